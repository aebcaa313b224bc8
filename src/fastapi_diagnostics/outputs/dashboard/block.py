"""One block of the event loop: the culprit, its line, and the victims."""

from collections.abc import Sequence

import msgspec

from fastapi_diagnostics.outputs.dashboard.links import Links
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.outputs.dashboard.queries import Mark
from fastapi_diagnostics.outputs.dashboard.shell import Frame
from fastapi_diagnostics.outputs.dashboard.snippets import Where, snippet_of
from fastapi_diagnostics.outputs.dashboard.strip import Held
from fastapi_diagnostics.outputs.dashboard.words import clock_time, cut, milliseconds, plural
from fastapi_diagnostics.outputs.resource import AnswerError
from fastapi_diagnostics.record import Location, LoopBlock, Victim, decode_record

MAX_VICTIMS = 50
_CONTEXT = 3
_NAMED_SHARE = 0.3
_KINDS = {
    "sleep": "a sleep",
    "http": "an HTTP call",
    "db": "a database call",
    "subprocess": "a subprocess",
    "dns": "a name lookup",
    "password-hash": "a password hash",
    "json": "JSON",
    "pickle": "pickling",
    "validation": "validation",
    "regex": "a regular expression",
    "gc": "garbage collection",
    "lock": "a lock",
    "socket": "a socket",
    "file": "file access",
    "import": "an import",
    "logging": "logging",
    "cpu": "computing",
    "gil": "another thread, which held the GIL",
}


class HotRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line and the time it took; `width` in per cent of the hottest."""

    place: Place
    took: str
    width: str


class VictimRow(msgspec.Struct, frozen=True, kw_only=True):
    """A request that waited; `width` in per cent of the block."""

    href: str
    request: str
    route: str
    waited: str
    width: str


class BlockView(msgspec.Struct, frozen=True, kw_only=True):
    """A block, in full.

    Attributes:
        what: The call, or the kind in words.
        href: The request that held the loop.
        notes: What makes it special, in sentences.
        marks: Findings about it; their titles say what to do.
    """

    what: str
    kind: str
    took: str
    when: str
    owner: str
    href: str
    request: str
    phase: str
    place: Place | None
    where: Where | None
    callers: tuple[Place, ...]
    hot: tuple[HotRow, ...]
    victims: tuple[VictimRow, ...]
    more_victims: str
    notes: tuple[str, ...]
    marks: tuple[Mark, ...]


def found_block(frame: Frame, blocks: Sequence[Held], wanted: str, record_id: str) -> Held:
    """Find a block by its id: among those shown, or in the request that is named.

    Raises:
        AnswerError: It is in neither.
    """
    for held in blocks:
        if held.block.id == wanted and record_id in {"", held.record_id}:
            return held
    stored = frame.backend.store.request(record_id) if record_id else None
    if stored is not None:
        record = decode_record(stored.record)
        owner = record.route or record.name
        for block in record.blocks:
            if block.id == wanted:
                return Held(block=block, at=frame.now, record_id=record_id, owner=owner)
    text = "There is no such block, or no longer: the oldest requests are pruned first."
    raise AnswerError(404, "not-found", text)


def block_view(frame: Frame, held: Held) -> BlockView:
    """Describe a block; blocks."""
    block, links = held.block, frame.links
    callers = (place_of(item.location, links) for item in block.stack[:16])
    known = tuple(place for place in callers if place is not None)
    rest = len(block.victims) - MAX_VICTIMS
    return BlockView(
        what=cut(block.call, 120) or _KINDS.get(block.kind, block.kind),
        kind=_KINDS.get(block.kind, block.kind),
        took=milliseconds(block.duration_ms),
        when=clock_time(block.started_at),
        owner=cut(held.owner, 200) or "no route",
        href=links.request(held.record_id),
        request=cut(held.record_id, 26),
        phase=block.phase,
        place=place_of(block.location, links),
        where=snippet_of(block.location, links, _CONTEXT),
        callers=known if len(known) > 1 else (),
        hot=_hot(block, links),
        victims=_victims(block, links),
        more_victims=f"and {plural(rest, 'more')}" if rest > 0 else "",
        notes=_notes(block),
        marks=_marks(frame, held),
    )


def _hot(block: LoopBlock, links: Links) -> tuple[HotRow, ...]:
    """Show where the time went if that is more than one line."""
    hottest = max((line.ms for line in block.hot_lines), default=0.0)
    if len(block.hot_lines) < 2 or hottest <= 0:  # noqa: PLR2004 - one line is the line itself
        return ()
    rows = []
    for line in block.hot_lines:
        place = place_of(_location(line.file, line.line), links)
        if place is not None:
            share = str(max(1, round(100 * line.ms / hottest)))
            rows.append(HotRow(place=place, took=milliseconds(line.ms), width=share))
    return tuple(rows)


def _victims(block: LoopBlock, links: Links) -> tuple[VictimRow, ...]:
    ordered = sorted(block.victims, key=lambda victim: victim.waited_ms, reverse=True)
    return tuple(_victim(victim, block, links) for victim in ordered[:MAX_VICTIMS])


def _victim(victim: Victim, block: LoopBlock, links: Links) -> VictimRow:
    share = 100 * victim.waited_ms / block.duration_ms if block.duration_ms > 0 else 0.0
    return VictimRow(
        href=links.request(victim.request_id),
        request=cut(victim.request_id, 26),
        route=cut(victim.route, 160),
        waited=("at most " if victim.at_most else "") + milliseconds(victim.waited_ms),
        width=str(max(1, min(100, round(share)))),
    )


def _location(file: str, line: int) -> Location:
    return Location(file=file, line=line, function="")


def _notes(block: LoopBlock) -> tuple[str, ...]:
    notes = []
    if not block.ended:
        since = clock_time(block.started_at)
        notes.append(
            f"It was not over yet when this was noted: running since {since}, so it took at least "
            "as long."
        )
    if block.first_call:
        notes.append(
            "It was the first call of its route in this process: imports and what is built at "
            "first use count, later calls may be quick."
        )
    if block.thread:
        notes.append(f"The thread “{cut(block.thread, 80)}” kept the interpreter lock.")
    if block.gc_ms > _NAMED_SHARE * block.duration_ms:
        notes.append(f"The garbage collector took {milliseconds(block.gc_ms)} of it.")
    return tuple(notes)


def _marks(frame: Frame, held: Held) -> tuple[Mark, ...]:
    """Give the findings of that request at that line."""
    stored = frame.backend.store.request(held.record_id)
    place = held.block.location
    if stored is None or place is None:
        return ()
    return tuple(
        Mark(
            label=group.rule,
            href=frame.links.finding(group.fingerprint),
            title=cut(group.fix.summary if group.fix else group.title, 300),
        )
        for group in stored.findings
        if group.location is not None
        and (group.location.file, group.location.line) == (place.file, place.line)
    )
