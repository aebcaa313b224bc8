"""Blocks and records for the tests of the rules about the loop."""

from typing import Any

from fastapi_diagnostics.record import Frame, HotLine, LoopBlock, ShortBlocks, ThreadWait, Victim
from tests.builders import a_location

HERE = a_location(file="app/service.py", line=12, function="report")
CALLER = a_location(file="app/routes.py", line=40, function="get_report")
ENDPOINT = a_location(file="app/service.py", line=10, function="report")


def a_block(**changes: Any) -> LoopBlock:
    """A ``time.sleep`` of 412 ms at `HERE`, in a coroutine."""
    defaults: dict[str, Any] = {
        "id": "b1",
        "kind": "sleep",
        "call": "time.sleep",
        "started_at": "2026-01-01T00:00:00.000000Z",
        "started_ms": 1.0,
        "duration_ms": 412.3,
        "phase": "endpoint",
        "location": HERE,
        "coroutine": HERE,
        "stack": (Frame(location=HERE),),
        "hot_lines": (HotLine(file="app/service.py", line=12, ms=412.0),),
    }
    return LoopBlock(**defaults | changes)


def a_written(kind: str, call: str, source: str, **changes: Any) -> LoopBlock:
    """A block whose call is known as it stands in the source."""
    written = source.partition("(")[0]
    return a_block(kind=kind, call=call, written=written, source=source, **changes)


def a_victim(number: int, waited_ms: float = 300.0, **changes: Any) -> Victim:
    """A request that waited."""
    return Victim(request_id=f"v{number}", route="GET /fast", waited_ms=waited_ms, **changes)


def shorts(count: int, total_ms: float, **changes: Any) -> ShortBlocks:
    """Short stretches at one line."""
    longest = a_block(**{"kind": "cpu", "call": "", "duration_ms": 45.0} | changes)
    return ShortBlocks(longest=longest, count=count, total_ms=total_ms)


def a_thread_wait(**changes: Any) -> ThreadWait:
    """A ``def`` endpoint that waited 120 ms."""
    defaults: dict[str, Any] = {
        "name": "report",
        "role": "endpoint",
        "started_ms": 1.0,
        "waited_ms": 120.0,
        "phase": "endpoint",
        "location": ENDPOINT,
        "ran_ms": 3.0,
        "threads": 40,
    }
    return ThreadWait(**defaults | changes)
