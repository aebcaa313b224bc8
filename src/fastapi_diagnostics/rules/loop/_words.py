"""Evidence and phrases that the rules about the loop share."""

from collections.abc import Iterable
from typing import Any, Final

from fastapi_diagnostics.record import LoopBlock, RequestRecord
from fastapi_diagnostics.rules.loop._cures import cure_of

MAX_VICTIMS: Final = 20


def name_of(record: RequestRecord) -> str:
    """Name a request, a capture or nobody in particular, as the beginning of a sentence."""
    return record.route or f"{record.method} {record.path}".strip() or record.name or "This code"


def culprit_of(record: RequestRecord, block: LoopBlock) -> str:
    """Name who held the loop: the request, or what it left behind when it was over."""
    name = name_of(record)
    is_later = block.phase == "outside" and record.kind in {"http", "websocket"}
    return f"A task started by {name}" if is_later else name


def doing(block: LoopBlock) -> str:
    """Say at which call a block was, or in which function and doing what."""
    if block.call:
        return f"at `{block.call}(...)`"
    where = f" in `{block.location.function}`" if block.location else ""
    return cure_of(block.kind).doing + where


def plural(count: int, noun: str) -> str:
    """Write a number with its noun."""
    return f"{count} {noun}{'s' * (count != 1)}"


def evidence_of(longest: LoopBlock, blocks: list[LoopBlock]) -> dict[str, Any]:
    """Give the evidence that every rule about blocks has; its main facts are of the longest."""
    found: dict[str, Any] = {
        "kind": longest.kind,
        "call": longest.call,
        "duration_ms": longest.duration_ms,
        "started_at": blocks[0].started_at,
        "hot_lines": hot_lines(blocks),
        "victims": victims_of(blocks)[:MAX_VICTIMS],
        "count": len(blocks),
        "total_ms": round(sum(block.duration_ms for block in blocks), 3),
        "phase": longest.phase,
        "first_call": longest.first_call,
    }
    if longest.gc_ms:
        found["gc_ms"] = longest.gc_ms
    if longest.through:
        found["through"] = list(longest.through)
    return found


def hot_lines(blocks: Iterable[LoopBlock]) -> list[dict[str, Any]]:
    """Sum up the milliseconds of each line, most first."""
    spent: dict[tuple[str, int], float] = {}
    for block in blocks:
        for line in block.hot_lines:
            spent[line.file, line.line] = spent.get((line.file, line.line), 0.0) + line.ms
    ranked = sorted(spent.items(), key=lambda item: -item[1])
    return [{"file": file, "line": line, "ms": round(ms, 1)} for (file, line), ms in ranked]


def victims_of(blocks: Iterable[LoopBlock]) -> list[dict[str, Any]]:
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
