"""What the page of the event loop reads of the stored records."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from operator import attrgetter

import msgspec

from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.dashboard.scans import Extent, scanned
from fastapi_diagnostics.outputs.dashboard.strip import Held
from fastapi_diagnostics.record import LoopBlock, ShortBlocks, ThreadHolder, TimeSplit
from fastapi_diagnostics.store.protocol import ScanQuery, Store

_SLACK = timedelta(minutes=1)
"""A block may be later than the start of its request by that much and still be found."""


_APART = timedelta(seconds=0.5)
"""The start of a running block is reckoned back from another clock."""


class ThreadWaitFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a wait for a worker thread."""

    waited_ms: float
    name: str = ""
    role: str = "other"
    threads: int = 0
    holders: tuple[ThreadHolder, ...] = ()


class LoopFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a `RequestRecord`."""

    id: str
    kind: str
    started_at: str
    route: str = ""
    name: str = ""
    time: TimeSplit = TimeSplit()
    blocks: tuple[LoopBlock, ...] = ()
    short_blocks: tuple[ShortBlocks, ...] = ()
    thread_waits: tuple[ThreadWaitFacts, ...] = ()


def records_between(store: Store, since: datetime, until: datetime) -> list[LoopFacts]:
    """Read what started between two moments, or a little earlier; blocks."""
    first = (since - _SLACK).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    last = until.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    query = ScanQuery(since=first, limit=parameters.MAX_LIMIT)
    found = scanned(store, query, LoopFacts, Extent())
    return [record for record in found if record.started_at <= last]


def blocks_between(records: Iterable[LoopFacts], since: datetime, until: datetime) -> list[Held]:
    """Give the blocks between two moments, newest first.

    One that was told of while it ran is left out once its request tells of it as a whole.
    """
    blocks = [
        Held(block=block, at=at, record_id=record.id, owner=owner_of(record))
        for record in records
        for block in record.blocks
        if (at := moment_of(block.started_at)) is not None and since <= at <= until
    ]
    ended = [held for held in blocks if held.block.ended]
    kept = [held for held in blocks if held.block.ended or not any(_is_of(held, e) for e in ended)]
    return sorted(kept, key=lambda held: held.at, reverse=True)


def _is_of(running: Held, ended: Held) -> bool:
    """Tell whether a block that had not ended is the beginning of one that has."""
    if running.block.location != ended.block.location:
        return False
    length = timedelta(milliseconds=ended.block.duration_ms)
    return ended.at - _APART <= running.at <= ended.at + length


def owner_of(record: LoopFacts) -> str:
    """Name a record: by its route, or by what else it is."""
    return record.route or record.name or ("the process" if record.kind == "process" else "")


def moment_of(stamp: str) -> datetime | None:
    """Read a time of a record; `None` if it is unreadable."""
    try:
        return datetime.fromisoformat(stamp).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def measured(records: Iterable[LoopFacts], name: str) -> list[float]:
    """Give one part of the time of each record that knows it; *name* as in `TimeSplit`."""
    get = attrgetter(name)
    return [value for record in records if (value := get(record.time)) is not None]
