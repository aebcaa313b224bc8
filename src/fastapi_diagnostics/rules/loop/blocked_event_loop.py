"""LOOP101: a request held the event loop, and nothing else could run."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi_diagnostics.finding import Finding, Rule, Severity
from fastapi_diagnostics.record import Location, LoopBlock, RequestRecord
from fastapi_diagnostics.rules.loop._cures import fix_of
from fastapi_diagnostics.rules.loop._shorts import function_of, many_short
from fastapi_diagnostics.rules.loop._words import (
    culprit_of,
    doing,
    evidence_of,
    name_of,
    plural,
    victims_of,
)

ERROR_MS = 100
"""From here on people notice: 100 ms is the limit of what feels instant (Nielsen, 1993)."""
GC_SHARE = 0.3
"""The garbage collector is worth a word from this share of a block on."""

_NOT_OURS = frozenset({"gil", "fork"})
"""What another thread did; and starting a process the asynchronous way, which is right."""
_OF_OTHERS = frozenset({"startup"})
_LIBRARY_KINDS = frozenset({"json", "validation"})
_UNSEEN_KINDS = frozenset({"cpu", "gc"})
"""The clock of the thread proves who did it, also where nobody could look at the line."""
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
        (
            "Work inside the greenlets of SQLAlchemy's asynchronous API is seen, but not its line "
            "where another tool traces greenlets."
        ),
        (
            "Every callback of asyncio and uvloop is timed; on trio, and on loops that take no "
            "attributes, only the steps of the request's own task."
        ),
        "On a starved machine, where the loop's thread mostly waits for a CPU, nothing is said.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each line that held the loop."""
    lines: dict[Location, list[LoopBlock]] = {}
    elsewhere = many_short(record)  # LOOP102 says it: one stretch of many, on a busy machine
    for block in record.blocks:
        if block.location is not None and function_of(block.location) in elsewhere:
            continue
        place = _place(block, record)
        if place is None or block.kind in _NOT_OURS or block.phase in _OF_OTHERS:
            continue
        lines.setdefault(place, []).append(block)
    for place, blocks in lines.items():
        yield _finding(place, blocks, record)


def _place(block: LoopBlock, record: RequestRecord) -> Location | None:
    """Give the user's line, or the endpoint for what a library did on its behalf."""
    if block.location is not None:
        return block.location
    if block.kind in _LIBRARY_KINDS and block.phase in _LIBRARY_PHASES:
        return record.endpoint
    return record.endpoint if _is_unseen(block) and block.phase == "endpoint" else None


def _is_unseen(block: LoopBlock) -> bool:
    return block.location is None and block.kind in _UNSEEN_KINDS


def _is_paid_once(block: LoopBlock) -> bool:
    return block.first_call and (block.builds or block.kind == "import")


def _finding(place: Location, blocks: list[LoopBlock], record: RequestRecord) -> Finding:
    longest = max(blocks, key=lambda block: block.duration_ms)
    victims = victims_of(blocks)
    evidence = evidence_of(longest, blocks)
    if longest.location is None:
        evidence["no_user_frame"] = (
            "Nobody could look while it ran; the endpoint stands for the line."
            if _is_unseen(longest)
            else "A library did this for the endpoint, which stands for it."
        )
    return RULE.finding(
        _message(longest, blocks, len(victims), record),
        location=place,
        severity=_severity(blocks, victims),
        confidence="likely" if longest.kind == "unknown" or _is_unseen(longest) else "proven",
        fix=fix_of(longest, record.endpoint),
        evidence=evidence,
        cause=_cause(longest),
        subject=f"blocks {place.file}:{place.line}",
    )


def _cause(block: LoopBlock) -> str:
    """Tell defects of one line apart: by the call, and in computing chance decides which is seen.

    The kind is an estimate, which may come out differently for the same call.
    """
    return block.kind if block.kind == "cpu" or not block.call else block.call


def _severity(blocks: Iterable[LoopBlock], victims: list[dict[str, Any]]) -> Severity:
    serious = [block for block in blocks if not _is_paid_once(block)]
    if not serious:
        return "info"
    if victims or any(block.duration_ms >= ERROR_MS for block in serious):
        return "error"
    return "warning"


def _message(block: LoopBlock, blocks: list[LoopBlock], waiting: int, record: RequestRecord) -> str:
    total_ms = sum(one.duration_ms for one in blocks)
    if not block.ended:
        return (
            f"{name_of(record)} has held the event loop for {total_ms / 1000:.0f} s "
            f"{doing(block)}, and has not let go of it yet."
        )
    held = f"for {total_ms:.0f} ms"
    if len(blocks) > 1:
        held = f"{len(blocks)} times, {held} in all,"
    text = f"{culprit_of(record, block)} held the event loop {held} {doing(block)}"
    if _is_unseen(block):
        text += ", somewhere in its endpoint: nothing else could run, so nobody saw the line"
    if waiting:
        text += f"; {plural(waiting, 'other request')} waited"
    if block.gc_ms >= block.duration_ms * GC_SHARE and block.kind != "gc":
        text += f"; {block.gc_ms:.0f} ms of it went to the garbage collector"
    if _is_paid_once(block):
        text += "; it was the first request of this route, and later ones do not pay for that"
    return f"{text}."
