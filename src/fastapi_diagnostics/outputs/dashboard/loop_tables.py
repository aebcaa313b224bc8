"""What the page of the event loop tells beside its blocks: short stretches and worker threads."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec

from fastapi_diagnostics.outputs.dashboard.links import Links
from fastapi_diagnostics.outputs.dashboard.loop_facts import (
    LoopFacts,
    ThreadWaitFacts,
    measured,
    moment_of,
    owner_of,
)
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.outputs.dashboard.words import cut, milliseconds, plural, times
from fastapi_diagnostics.record import ShortBlocks

ROWS = 10
HOLDERS = 4
_ROLES = {
    "endpoint": "a plain def endpoint",
    "dependency": "a plain def dependency",
    "class-dependency": "a class as a dependency",
}


class ShortRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line that held the loop for less than the threshold, again and again."""

    href: str
    place: Place | None
    call: str
    route: str
    times: str
    longest: str
    total: str


class HolderRow(msgspec.Struct, frozen=True, kw_only=True):
    """Who had threads while others waited; `href` is empty for work of no request."""

    href: str
    what: str
    threads: str


class WaitRow(msgspec.Struct, frozen=True, kw_only=True):
    """A function that had to wait for a thread, and who had them when it waited longest."""

    name: str
    role: str
    times: str
    longest: str
    href: str
    route: str
    holders: tuple[HolderRow, ...]


class ThreadFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The threadpool in the same minutes: two sentences, and who waited for whom."""

    busy: str
    waits: str
    rows: tuple[WaitRow, ...]


def short_rows(records: Sequence[LoopFacts], links: Links) -> tuple[ShortRow, ...]:
    """List the lines whose short stretches took most, a row for each line and call."""
    grouped: dict[object, list[tuple[ShortBlocks, LoopFacts]]] = {}
    for record in records:
        for shorts in record.short_blocks:
            at = shorts.longest.location
            key = (at.file, at.line) if at else owner_of(record)
            grouped.setdefault((key, shorts.longest.call), []).append((shorts, record))
    ordered = sorted(grouped.values(), key=_total_ms, reverse=True)
    return tuple(_short(members, links) for members in ordered[:ROWS])


def _total_ms(members: Sequence[tuple[ShortBlocks, LoopFacts]]) -> float:
    return sum(shorts.total_ms for shorts, _ in members)


def _short(members: Sequence[tuple[ShortBlocks, LoopFacts]], links: Links) -> ShortRow:
    longest, record = max(members, key=lambda member: member[0].longest.duration_ms)
    count = sum(shorts.count for shorts, _ in members)
    return ShortRow(
        href=links.request(record.id),
        place=place_of(longest.longest.location, links),
        call=cut(longest.longest.call or longest.longest.kind, 80),
        route=cut(owner_of(record), 120),
        times=times(count) or "once",
        longest=milliseconds(longest.longest.duration_ms),
        total=milliseconds(_total_ms(members)),
    )


def thread_facts(
    records: Sequence[LoopFacts], since: datetime, until: datetime, links: Links
) -> ThreadFacts | None:
    """Tell how worker threads were used; `None` where none was."""
    spent = measured(records, "threadpool_ms")
    waits = [(wait, record) for record in records for wait in record.thread_waits]
    if not spent and not waits:
        return None
    first = min((at for record in records if (at := moment_of(record.started_at))), default=None)
    seconds = (until - max(since, first or since)).total_seconds()
    mean = sum(spent) / 1000 / max(seconds, 1.0)
    busy = f"{mean:.1f}" if mean >= 0.05 else "under 0.1"  # noqa: PLR2004 - would be printed as 0.0
    longest = max((wait.waited_ms for wait, _ in waits), default=0.0)
    most = max((wait.threads for wait, _ in waits), default=0)
    pool = f", all {most:,} of them taken" if most > 1 else ", the only one taken" if most else ""
    return ThreadFacts(
        busy=f"{plural(len(spent), 'request')} spent {milliseconds(sum(spent))} in or waiting for "
        f"worker threads, {busy} of which were busy on average.",
        waits=f"{plural(len(waits), 'call')} had to wait for a thread{pool}, "
        f"at most {milliseconds(longest)}."
        if waits
        else "No call had to wait for one.",
        rows=_waits(waits, links),
    )


def _waits(waits: Sequence[tuple[ThreadWaitFacts, LoopFacts]], links: Links) -> tuple[WaitRow, ...]:
    grouped: dict[str, list[tuple[ThreadWaitFacts, LoopFacts]]] = {}
    for wait, record in waits:
        grouped.setdefault(wait.name, []).append((wait, record))
    ordered = sorted(grouped.values(), key=_waited_ms, reverse=True)
    return tuple(_wait(members, links) for members in ordered[:ROWS])


def _waited_ms(members: Sequence[tuple[ThreadWaitFacts, LoopFacts]]) -> float:
    return sum(wait.waited_ms for wait, _ in members)


def _wait(members: Sequence[tuple[ThreadWaitFacts, LoopFacts]], links: Links) -> WaitRow:
    longest, record = max(members, key=lambda member: member[0].waited_ms)
    return WaitRow(
        name=cut(longest.name, 80) or "a call",
        role=_ROLES.get(longest.role, ""),
        times=times(len(members)) or "once",
        longest=milliseconds(longest.waited_ms),
        href=links.request(record.id),
        route=cut(owner_of(record), 120),
        holders=_holders(longest, links),
    )


def _holders(wait: ThreadWaitFacts, links: Links) -> tuple[HolderRow, ...]:
    counted: Counter[tuple[str, str]] = Counter()
    hrefs: dict[tuple[str, str], str] = {}
    for holder in wait.holders:
        key = (holder.route, holder.name)
        counted[key] += holder.threads
        hrefs.setdefault(key, links.request(holder.request_id) if holder.request_id else "")
    return tuple(
        HolderRow(
            href=hrefs[route, name],
            what=cut(f"{route} {name}".strip(), 120),
            threads=plural(threads, "thread"),
        )
        for (route, name), threads in counted.most_common(HOLDERS)
    )
