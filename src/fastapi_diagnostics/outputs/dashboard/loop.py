"""The event loop: who held it, at which line, and who had to wait."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from starlette.datastructures import QueryParams

from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.dashboard.block import BlockView, block_view, found_block
from fastapi_diagnostics.outputs.dashboard.choices import Choice
from fastapi_diagnostics.outputs.dashboard.histogram import Histogram, histogram
from fastapi_diagnostics.outputs.dashboard.loop_facts import (
    LoopFacts,
    blocks_between,
    measured,
    records_between,
)
from fastapi_diagnostics.outputs.dashboard.loop_tables import (
    ShortRow,
    ThreadFacts,
    short_rows,
    thread_facts,
)
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.outputs.dashboard.shell import Frame, Shell
from fastapi_diagnostics.outputs.dashboard.strip import Held, Strip, strip
from fastapi_diagnostics.outputs.dashboard.words import (
    clock_time,
    cut,
    milliseconds,
    plural,
    sentence,
    times,
)

LINES = 30
_STRETCHES = {"5": "5 min", "15": "15 min", "60": "1 h", "1440": "24 h"}


class LineRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line that held the loop; the link selects its longest block."""

    href: str
    place: Place | None
    call: str
    kind: str
    routes: str
    times: str
    longest: str
    total: str
    waited: str
    current: bool


class LoopPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page.

    Attributes:
        headline: The verdict of these minutes.
        strip: `None` where nobody watched.
        now: Link back to the present; empty while it is shown.
        wider: A stretch in which there are blocks, if this one has none.
        first: Whether to teach what a block is.
    """

    shell: Shell
    headline: str
    detail: str
    stretches: tuple[Choice, ...]
    now: str
    strip: Strip | None
    block: BlockView | None
    lines: tuple[LineRow, ...]
    more_lines: str
    queued: Histogram | None
    held: Histogram | None
    shorts: tuple[ShortRow, ...]
    threads: ThreadFacts | None
    wider: Choice | None
    first: bool


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the URL asks for; `until` is given once a block is selected, so that nothing moves."""

    minutes: str
    until: datetime
    fixed: bool
    block: str
    request: str

    @property
    def since(self) -> datetime:
        return self.until - timedelta(minutes=int(self.minutes))

    def query(self, **changes: str | None) -> dict[str, str | None]:
        mine = {
            "minutes": None if self.minutes == "5" else self.minutes,
            "until": _stamp(self.until) if self.fixed else None,
            "block": self.block,
            "request": self.request,
        }
        return mine | changes


def loop_page(frame: Frame) -> LoopPage:
    """Build the page; blocks.

    Raises:
        InvalidParameterError: The URL asks for what there is not.
        AnswerError: There is no such block.
    """
    wanted = _wanted(frame.request.query_params, frame.now)
    records = records_between(frame.backend.store, wanted.since, wanted.until)
    blocks = blocks_between(records, wanted.since, wanted.until)
    chosen = found_block(frame, blocks, wanted.block, wanted.request) if wanted.block else None
    hook = frame.hook("loop")
    watched = hook is None or hook.on
    lines = _lines(frame, blocks, wanted)
    total = frame.store.totals.requests
    return LoopPage(
        shell=frame.shell("Event loop", "loop"),
        headline=_headline(blocks, wanted, watched=watched, requests=total),
        detail=_detail(blocks, records, total) if watched else sentence(hook.why if hook else ""),
        stretches=_stretches(frame, wanted) if watched and total else (),
        now=frame.links.page("/loop", minutes=wanted.query()["minutes"]) if wanted.fixed else "",
        strip=_strip(frame, blocks, wanted) if watched and total else None,
        block=block_view(frame, chosen) if chosen else None,
        lines=tuple(lines[:LINES]),
        more_lines=f"{plural(len(lines) - LINES, 'more line')}" if len(lines) > LINES else "",
        queued=histogram(measured(records, "queued_ms")),
        held=histogram(measured(records, "on_loop_ms")),
        shorts=short_rows(records, frame.links),
        threads=thread_facts(records, wanted.since, wanted.until, frame.links),
        wider=_wider(frame, wanted) if not blocks and total else None,
        first=not blocks and not chosen,
    )


def _wanted(params: QueryParams, now: datetime) -> _Wanted:
    text = parameters.text(params, "until")
    until = now if text is None else _moment(text)
    return _Wanted(
        minutes=parameters.choice(params, "minutes", tuple(_STRETCHES)) or "5",
        until=until,
        fixed=text is not None,
        block=parameters.text(params, "block") or "",
        request=parameters.text(params, "request") or "",
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
        moment - timedelta(days=2)  # what cannot be reckoned with is no moment, either
    except (ValueError, OverflowError):
        raise parameters.InvalidParameterError("until", text, "a moment in RFC 3339") from None
    return moment


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _strip(frame: Frame, blocks: Sequence[Held], wanted: _Wanted) -> Strip:
    return strip(
        blocks,
        since=wanted.since,
        until=wanted.until,
        chosen=wanted.block,
        link=lambda held: _select(frame, held, wanted),
    )


def _select(frame: Frame, held: Held, wanted: _Wanted) -> str:
    query = wanted.query(until=_stamp(_whole_second(wanted)), block=held.block.id,
                         request=held.record_id)  # fmt: skip
    return frame.links.page("/loop", **query)


def _whole_second(wanted: _Wanted) -> datetime:
    """Give the right edge, rounded so that what was seen stays inside."""
    return wanted.until if wanted.fixed else wanted.until + timedelta(seconds=1)


def _stretches(frame: Frame, wanted: _Wanted) -> tuple[Choice, ...]:
    return tuple(
        Choice(
            label=label,
            href=frame.links.page(
                "/loop", **wanted.query(minutes=None if minutes == "5" else minutes)
            ),
            current=minutes == wanted.minutes,
        )
        for minutes, label in _STRETCHES.items()
    )


def _lines(frame: Frame, blocks: Sequence[Held], wanted: _Wanted) -> list[LineRow]:
    """Group blocks by line and call, the costliest first."""
    grouped: dict[object, list[Held]] = {}
    for held in blocks:
        place = held.block.location
        key = (place.file, place.line) if place else held.owner
        grouped.setdefault((key, held.block.call or held.block.kind), []).append(held)
    ordered = sorted(grouped.values(), key=_total_ms, reverse=True)
    return [_line(frame, members, wanted) for members in ordered]


def _line(frame: Frame, members: Sequence[Held], wanted: _Wanted) -> LineRow:
    longest = max(members, key=lambda held: held.block.duration_ms)
    owners = list(dict.fromkeys(held.owner for held in members if held.owner))
    victims = {victim.request_id for held in members for victim in held.block.victims}
    more = f" +{len(owners) - 1}" if len(owners) > 1 else ""
    return LineRow(
        href=_select(frame, longest, wanted),
        place=place_of(longest.block.location, frame.links),
        call=cut(longest.block.call, 80),
        kind=cut(longest.block.kind, 40),
        routes=cut(owners[0], 120) + more if owners else "",
        times=times(len(members)) or "once",
        longest=milliseconds(longest.block.duration_ms),
        total=milliseconds(_total_ms(members)),
        waited=f"{len(victims):,}" if victims else "",
        current=any(held.block.id == wanted.block for held in members),
    )


def _total_ms(members: Sequence[Held]) -> float:
    return sum(held.block.duration_ms for held in members)


def _headline(blocks: Sequence[Held], wanted: _Wanted, *, watched: bool, requests: int) -> str:
    if not watched:
        return "The event loop is not watched."
    if not requests:
        return "No request recorded yet."
    stretch = _STRETCHES[wanted.minutes]
    clock = wanted.until.astimezone().strftime("%H:%M:%S")
    when = f"in the {stretch} before {clock}" if wanted.fixed else f"in the last {stretch}"
    if not blocks:
        return f"Nothing held the event loop for long {when}."
    victims = {victim.request_id for held in blocks for victim in held.block.victims}
    waited = f"; {plural(len(victims), 'other request')} waited" if victims else ""
    spent = milliseconds(_total_ms(blocks))
    return f"The loop was held {_often(len(blocks))} {when}, {spent} in all{waited}."


def _often(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _detail(blocks: Sequence[Held], records: Sequence[LoopFacts], total: int) -> str:
    if not total:
        return "Send one to your application: this page will tell."
    if not blocks:
        return f"{plural(len(records), 'request')} ran in that time."
    running = next((held for held in blocks if not held.block.ended), None)
    return (
        _running(running)
        + "Each bar is a block; select one to see its line, its request, and who had to wait."
    )


def _running(held: Held | None) -> str:
    """Tell of a block whose end nobody has seen: it goes on, or its process has ended in it."""
    if held is None:
        return ""
    what = cut(held.block.call or held.block.kind, 80)
    return (
        f"{what} of {held.owner or 'the process'} runs since {clock_time(held.block.started_at)}. "
    )


def _wider(frame: Frame, wanted: _Wanted) -> Choice | None:
    """Find the shortest longer stretch with a block in it."""
    day = msgspec.structs.replace(wanted, minutes="1440")
    blocks = blocks_between(
        records_between(frame.backend.store, day.since, day.until), day.since, day.until
    )
    for minutes, label in _STRETCHES.items():
        since = wanted.until - timedelta(minutes=int(minutes))
        count = sum(held.at >= since for held in blocks)
        if count:
            return Choice(
                label=f"{plural(count, 'block')} in the last {label}",
                href=frame.links.page("/loop", minutes=minutes),
            )
    return None
