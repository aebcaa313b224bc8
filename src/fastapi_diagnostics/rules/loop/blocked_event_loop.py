"""LOOP101: a request held the event loop, and nothing else could run."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi_diagnostics.finding import Finding, Rule, Severity
from fastapi_diagnostics.record import Location, LoopBlock, RequestRecord
from fastapi_diagnostics.rules.loop._cures import cure_of, fix_of

ERROR_MS = 100
"""From here on people notice: 100 ms is the limit of what feels instant (Nielsen, 1993)."""
FIRST_TIME_KINDS = frozenset({"import", "validation"})
"""What only the first request of a route pays for: a note, not a defect."""
MAX_VICTIMS = 20

_NOT_OURS = frozenset({"gil"})
_LIBRARY_KINDS = frozenset({"json", "validation"})
_LIBRARY_PHASES = frozenset({"dependencies", "endpoint", "serialisation"})

RULE = Rule(
    code="LOOP101",
    name="blocked-event-loop",
    family="loop",
    severity="warning",
    title="A call without await held the event loop",
    what=(
        "Times every callback of the running loop and reports those over the threshold (50 ms): "
        "the line of your code that took the time, the call, what it was waiting for or computing, "
        "and the requests that had to wait. It is an error from 100 ms on or where another request "
        "waited, and a note for what only a route's first request pays for."
    ),
    why=(
        "An event loop runs one thing at a time. While one request sleeps, hashes or waits for a "
        "synchronous driver, every other request of this worker stands still."
    ),
    example=(
        '@app.get("/report")\n'
        "async def report() -> str:\n"
        "    time.sleep(0.4)  # every other request waits\n"
        '    return "done"'
    ),
    instead=(
        '@app.get("/report")\n'
        "async def report() -> str:\n"
        "    await asyncio.sleep(0.4)\n"
        '    return "done"'
    ),
    limits=(
        (
            "Requests that arrive while the loop is held are noticed only when it is free again: "
            "how long they waited is then an upper bound."
        ),
        "Lines are sampled, so a block made of many short calls shows the line that took most.",
        "Work inside the greenlets of SQLAlchemy's asynchronous API is seen, but not its line.",
        "Watched are asyncio and uvloop; trio is not.",
        "On a starved machine, where the loop's thread mostly waits for a CPU, nothing is said.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each line that held the loop."""
    lines: dict[Location, list[LoopBlock]] = {}
    for block in record.blocks:
        place = _place(block, record)
        if place is not None and block.kind not in _NOT_OURS:
            lines.setdefault(place, []).append(block)
    for place, blocks in lines.items():
        yield _finding(place, blocks, record)


def _place(block: LoopBlock, record: RequestRecord) -> Location | None:
    """Give the user's line, or the endpoint for what a library did on its behalf."""
    if block.location is not None:
        return block.location
    if block.kind in _LIBRARY_KINDS and block.phase in _LIBRARY_PHASES:
        return record.endpoint
    return None


def _finding(place: Location, blocks: list[LoopBlock], record: RequestRecord) -> Finding:
    longest = max(blocks, key=lambda block: block.duration_ms)
    total_ms = sum(block.duration_ms for block in blocks)
    victims = _victims(blocks)
    evidence = {
        "kind": longest.kind,
        "call": longest.call,
        "duration_ms": longest.duration_ms,
        "started_at": blocks[0].started_at,
        "hot_lines": [
            {"file": line.file, "line": line.line, "ms": line.ms} for line in longest.hot_lines
        ],
        "victims": victims[:MAX_VICTIMS],
        "count": len(blocks),
        "total_ms": round(total_ms, 3),
        "phase": longest.phase,
        "first_call": longest.first_call,
    }
    if longest.location is None:
        evidence["no_user_frame"] = "A library did this for the endpoint, which stands for it."
    return RULE.finding(
        _message(longest, len(blocks), total_ms, len(victims), record),
        location=place,
        severity=_severity(blocks, victims),
        confidence="likely" if longest.kind == "unknown" else "proven",
        fix=fix_of(longest),
        evidence=evidence,
        cause=f"{longest.kind} {longest.call}".strip(),
        subject=f"blocks {place.file}:{place.line}",
    )


def _severity(blocks: Iterable[LoopBlock], victims: list[dict[str, Any]]) -> Severity:
    serious = [b for b in blocks if not (b.first_call and b.kind in FIRST_TIME_KINDS)]
    if not serious:
        return "info"
    if victims or any(block.duration_ms >= ERROR_MS for block in serious):
        return "error"
    return "warning"


def _victims(blocks: Iterable[LoopBlock]) -> list[dict[str, Any]]:
    """List who waited, each request once, longest first."""
    found: dict[str, dict[str, Any]] = {}
    for block in blocks:
        for victim in block.victims:
            entry = found.setdefault(
                victim.request_id,
                {
                    "request_id": victim.request_id,
                    "route": victim.route,
                    "waited_ms": 0.0,
                    "at_most": False,
                },
            )
            entry["waited_ms"] = round(entry["waited_ms"] + victim.waited_ms, 3)
            entry["at_most"] = entry["at_most"] or victim.at_most
    return sorted(found.values(), key=lambda entry: -entry["waited_ms"])


def _message(
    block: LoopBlock, count: int, total_ms: float, waiting: int, record: RequestRecord
) -> str:
    who = record.route or f"{record.method} {record.path}".strip() or record.name or "This code"
    held = f"for {total_ms:.0f} ms"
    if count > 1:
        held = f"{count} times, {held} in all,"
    text = f"{who} held the event loop {held} {_doing(block)}"
    if waiting:
        text += f"; {waiting} other request{'s' * (waiting != 1)} waited"
    return f"{text}."


def _doing(block: LoopBlock) -> str:
    if block.call:
        return f"at `{block.call}(...)`"
    where = f" in `{block.location.function}`" if block.location else ""
    return cure_of(block.kind).doing + where
