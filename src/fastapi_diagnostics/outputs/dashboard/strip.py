"""The last minutes of the event loop: a bar for each block."""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from fastapi_diagnostics.outputs.dashboard.bars import number_of
from fastapi_diagnostics.outputs.dashboard.words import milliseconds, plural, times
from fastapi_diagnostics.record import LoopBlock

BINS = 80
"""What lies in the same eightieth is one bar: that of its longest block."""
HEIGHT = 84
_LEAST_MS = 10.0
_DECADES = 3.0
_LEAST_HEIGHT = 8
_RULERS = {100.0: "100 ms", 1_000.0: "1 s"}
_TICKS = 5
_LABEL_BINS = 6


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A block and the record it stands in.

    Attributes:
        at: When it began.
        owner: Route, or what else the record calls itself.
    """

    block: LoopBlock
    at: datetime
    record_id: str
    owner: str


class StripBar(msgspec.Struct, frozen=True, kw_only=True):
    """A bar; `x` and `width` in per cent, `y` and `height` in pixels.

    Attributes:
        often: How many blocks it stands for, where there is room to write it.
    """

    href: str
    x: str
    width: str
    y: str
    height: str
    tone: str
    title: str
    often: str
    selected: bool


class Ruler(msgspec.Struct, frozen=True, kw_only=True):
    """A line across, with the duration it stands for."""

    y: str
    label: str


class StripTick(msgspec.Struct, frozen=True, kw_only=True):
    """A line upwards, with its time of day."""

    x: str
    label: str


class Strip(msgspec.Struct, frozen=True, kw_only=True):
    """The drawing; `summary` is for those who do not see it."""

    bars: tuple[StripBar, ...]
    rulers: tuple[Ruler, ...]
    ticks: tuple[StripTick, ...]
    height: int
    summary: str


def strip(
    blocks: Sequence[Held],
    *,
    since: datetime,
    until: datetime,
    chosen: str,
    link: Callable[[Held], str],
) -> Strip:
    """Draw the blocks between two moments.

    Args:
        blocks: In any order; those outside are left out.
        since: Left edge.
        until: Right edge.
        chosen: Id of the block that is selected; empty for none.
        link: Gives the URL that selects a block.
    """
    length = (until - since).total_seconds()
    inside = [held for held in blocks if since <= held.at <= until]
    longest = max((held.block.duration_ms for held in inside), default=0.0)
    return Strip(
        bars=tuple(_bars(inside, since, length, chosen, link)),
        rulers=tuple(
            Ruler(y=f"{HEIGHT - _rise(at):.0f}", label=label) for at, label in _RULERS.items()
        ),
        ticks=tuple(_ticks(since, length)),
        height=HEIGHT,
        summary=f"{plural(len(inside), 'block')}, the longest {milliseconds(longest)}",
    )


def _bars(
    blocks: Sequence[Held],
    since: datetime,
    length: float,
    chosen: str,
    link: Callable[[Held], str],
) -> Iterator[StripBar]:
    bins: dict[int, list[Held]] = {}
    for held in blocks:
        position = (held.at - since).total_seconds() / length
        bins.setdefault(min(int(position * BINS), BINS - 1), []).append(held)
    labelled = -_LABEL_BINS
    for number, members in sorted(bins.items()):
        room = number - labelled >= _LABEL_BINS
        labelled = number if room and len(members) > 1 else labelled
        picked = next((held for held in members if held.block.id == chosen), None)
        shown = picked or max(members, key=lambda held: held.block.duration_ms)
        bar = _bar(shown, len(members), since, length, link)
        yield msgspec.structs.replace(
            bar, selected=picked is not None, often=bar.often if room else ""
        )


def _bar(
    held: Held, members: int, since: datetime, length: float, link: Callable[[Held], str]
) -> StripBar:
    block = held.block
    height = _rise(block.duration_ms)
    others = f"; the longest of {plural(members, 'block')} here" if members > 1 else ""
    victims = plural(len(block.victims), "request")
    return StripBar(
        href=link(held),
        x=number_of(100 * (held.at - since).total_seconds() / length),
        width=number_of(100 * block.duration_ms / 1000 / length),
        y=f"{HEIGHT - height:.0f}",
        height=f"{height:.0f}",
        tone="block" if block.victims else "alone",
        title=f"{block.call or block.kind} {milliseconds(block.duration_ms)}, "
        f"{victims} waited{others}",
        often=times(members),
        selected=False,
    )


def _rise(duration_ms: float) -> float:
    """Give the height of a bar: three decades from 10 ms on, each as high as the next."""
    decades = math.log10(max(duration_ms, _LEAST_MS) / _LEAST_MS)
    return _LEAST_HEIGHT + (HEIGHT - _LEAST_HEIGHT) * min(decades, _DECADES) / _DECADES


def _ticks(since: datetime, length: float) -> Iterator[StripTick]:
    form = "%H:%M" if length > 60 * _TICKS else "%H:%M:%S"
    for number in range(_TICKS):
        at = since + timedelta(seconds=length * number / _TICKS)
        yield StripTick(x=str(100 * number // _TICKS), label=at.astimezone().strftime(form))
