"""The waterfall of one request: lanes of bars, placed in per cent of the whole."""

from collections.abc import Iterable, Iterator
from itertools import groupby

import msgspec

from fastapi_diagnostics.outputs.dashboard.bars import (
    Bar,
    Span,
    bar_of,
    busy_time,
    joined,
    percent,
)
from fastapi_diagnostics.outputs.dashboard.words import cut, milliseconds, times
from fastapi_diagnostics.record import LoopBlock, Phase, Query, RequestRecord

LANE_HEIGHT = 24
SCALE_HEIGHT = 22
_TICKS = 5
_NEAR_END = 0.84
"""On a telephone a label takes up to 16 % of the width."""
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_PHASE_LANES = (
    ("middleware", "Middleware"),
    ("dependencies", "Dependencies"),
    ("endpoint", "Endpoint"),
    ("serialisation", "Serialisation"),
    ("response", "Sending"),
    ("startup", "Startup"),
    ("outside", "Outside"),
)
_AFTER = ("background", "teardown")


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """A row of bars."""

    name: str
    y: int
    total: str
    bars: tuple[Bar, ...]


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the scale.

    Attributes:
        near_end: Whether a narrow screen has no room for the label.
    """

    x: str
    label: str
    near_end: bool


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The drawing.

    Attributes:
        whole_ms: What its width stands for.
        sent_x: Where the last byte was sent; empty if nothing came after it.
        after_width: Width of what came after, in per cent.
        summary: The drawing in a sentence, for those who do not see it.
    """

    whole_ms: float
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    height: int
    sent_x: str
    sent_label: str
    after_width: str
    summary: str


def timeline(record: RequestRecord) -> Timeline | None:
    """Draw a record; `None` if nothing in it has a duration."""
    lanes = [(name, spans) for name, spans in _lanes(record) if spans]
    ends = [span.end for _, spans in lanes for span in spans]
    whole = max([record.duration_ms, *ends])
    if whole <= 0 or not lanes:
        return None
    after = whole - record.duration_ms
    has_after = after > whole / 200
    return Timeline(
        whole_ms=whole,
        lanes=tuple(
            _lane(name, spans, whole, number) for number, (name, spans) in enumerate(lanes)
        ),
        ticks=tuple(_ticks(whole)),
        height=SCALE_HEIGHT + len(lanes) * LANE_HEIGHT,
        sent_x=percent(record.duration_ms, whole) if has_after else "",
        sent_label=f"response sent after {milliseconds(record.duration_ms)}",
        after_width=percent(after, whole) if has_after else "",
        summary="; ".join(f"{name} {busy_time(spans)}" for name, spans in lanes),
    )


def _lanes(record: RequestRecord) -> Iterator[tuple[str, list[Span]]]:
    for phase, label in _PHASE_LANES:
        spans = _phase_spans(record.phases, phase)
        if phase == "dependencies" and record.dependencies:
            spans = _dependency_spans(record)
        yield label, spans
        if phase == "endpoint":
            yield "SQL", _query_spans(one for one in record.queries if one.phase not in _AFTER)
            yield "Loop blocked", _block_spans(b for b in record.blocks if b.phase not in _AFTER)
    yield "After the response", _after_spans(record)
    yield "SQL afterwards", _query_spans(one for one in record.queries if one.phase in _AFTER)
    yield "Blocked afterwards", _block_spans(b for b in record.blocks if b.phase in _AFTER)


def _phase_spans(phases: Iterable[Phase], name: str) -> list[Span]:
    return [
        Span(
            phase.started_ms,
            phase.started_ms + phase.duration_ms,
            name,
            f"{name} {milliseconds(phase.duration_ms)}",
        )
        for phase in phases
        if phase.name == name
    ]


def _dependency_spans(record: RequestRecord) -> list[Span]:
    return [
        Span(
            run.started_ms,
            run.started_ms + run.duration_ms,
            "raised" if run.raised else "dependencies",
            f"{cut(run.name, 80)} {milliseconds(run.duration_ms)}",
            cut(run.name.rpartition(".")[2], 24),
        )
        for run in sorted(record.dependencies, key=lambda run: run.started_ms)
        if not run.cached
    ]


def _query_spans(queries: Iterable[Query]) -> list[Span]:
    """Make one bar of statements that repeat one after another."""
    spans = []
    for _, repeated in groupby(queries, key=lambda query: (query.sql, query.location)):
        run = list(repeated)
        end = max(query.started_ms + query.duration_ms for query in run)
        often = times(len(run))
        took = milliseconds(sum(query.duration_ms for query in run))
        spans.append(
            Span(
                run[0].started_ms,
                end,
                "failed" if any(query.error for query in run) else "sql",
                f"{often} {cut(' '.join(run[0].sql.split()), 90)} {took}".strip(),
                often,
                busy=sum(query.duration_ms for query in run),
            )
        )
    return spans


def _block_spans(blocks: Iterable[LoopBlock]) -> list[Span]:
    return [
        Span(
            block.started_ms,
            block.started_ms + block.duration_ms,
            "block",
            f"{cut(block.call or block.kind, 80)} held the loop {milliseconds(block.duration_ms)}",
            cut(block.call or block.kind, 24),
        )
        for block in blocks
    ]


def _after_spans(record: RequestRecord) -> list[Span]:
    tasks = [
        Span(
            task.started_ms,
            task.started_ms + (task.duration_ms or 0),
            "failed" if task.state == "failed" else "background",
            f"{cut(task.name, 80)} {milliseconds(task.duration_ms or 0)} {task.state}",
            cut(task.name.rpartition(".")[2], 24),
        )
        for task in record.tasks
        if task.started_ms is not None
    ]
    phases = [span for name in _AFTER for span in _phase_spans(record.phases, name)]
    if tasks:
        phases = [span for span in phases if span.tone == "teardown"]
    return sorted(tasks + phases, key=lambda span: span.start)


def _lane(name: str, spans: list[Span], whole: float, number: int) -> Lane:
    merged = joined(spans, whole)
    return Lane(
        name=name,
        y=SCALE_HEIGHT + number * LANE_HEIGHT,
        total=busy_time(spans),
        bars=tuple(bar_of(span, whole) for span in merged),
    )


def _ticks(whole: float) -> Iterator[Tick]:
    step = _nice(whole / _TICKS)
    count = int(whole / step)
    for number in range(count + 1):
        at = number * step
        if at < whole * 0.96:
            near_end = at > whole * _NEAR_END
            yield Tick(x=percent(at, whole), label=_tick_label(at), near_end=near_end)


def _tick_label(at: float) -> str:
    if at >= 1000:  # noqa: PLR2004 - a second
        return f"{at / 1000:g} s"
    return f"{at:g} ms"


def _nice(step: float) -> float:
    power = 1.0
    while power * 10 <= step:
        power *= 10
    while power > step:
        power /= 10
    return next(power * factor for factor in _NICE if power * factor >= step)
