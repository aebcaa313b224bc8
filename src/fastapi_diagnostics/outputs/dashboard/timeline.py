"""The waterfall of one request: lanes of bars, placed in per cent of the whole."""

from collections.abc import Iterable, Iterator
from itertools import groupby

import msgspec

from fastapi_diagnostics.outputs.dashboard.words import cut, milliseconds, times
from fastapi_diagnostics.record import Phase, Query, RequestRecord

MAX_BARS = 120
"""Bars of a lane; what is closer than a pixel is drawn as one."""
LANE_HEIGHT = 24
SCALE_HEIGHT = 22
_MERGE_PERCENT = 0.25
_LEAST_PERCENT = 0.2
_LABEL_PERCENT = 6.0
_TICKS = 5
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


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A bar: `x` and `width` in per cent, written for an attribute."""

    x: str
    width: str
    tone: str
    title: str
    label: str = ""
    label_x: str = ""


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """A row of bars."""

    name: str
    y: int
    total: str
    bars: tuple[Bar, ...]


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the scale."""

    x: str
    label: str


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The drawing.

    Attributes:
        sent_x: Where the last byte was sent; empty if nothing came after it.
        after_width: Width of what came after, in per cent.
        summary: The drawing in a sentence, for those who do not see it.
    """

    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    height: int
    sent_x: str
    sent_label: str
    after_width: str
    summary: str


class _Span(msgspec.Struct):
    start: float
    end: float
    tone: str
    title: str
    label: str = ""
    merged: int = 1
    busy: float | None = None  # less than the length where a bar stands for several statements


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
        lanes=tuple(
            _lane(name, spans, whole, number) for number, (name, spans) in enumerate(lanes)
        ),
        ticks=tuple(_ticks(whole)),
        height=SCALE_HEIGHT + len(lanes) * LANE_HEIGHT,
        sent_x=_percent(record.duration_ms, whole) if has_after else "",
        sent_label=f"response sent after {milliseconds(record.duration_ms)}",
        after_width=_percent(after, whole) if has_after else "",
        summary="; ".join(f"{name} {_busy(spans)}" for name, spans in lanes),
    )


def _lanes(record: RequestRecord) -> Iterator[tuple[str, list[_Span]]]:
    for phase, label in _PHASE_LANES:
        spans = _phase_spans(record.phases, phase)
        if phase == "dependencies" and record.dependencies:
            spans = _dependency_spans(record)
        yield label, spans
        if phase == "endpoint":
            yield "SQL", _query_spans(record.queries)
            yield "Loop blocked", _block_spans(record)
    yield "After the response", _after_spans(record)


def _phase_spans(phases: Iterable[Phase], name: str) -> list[_Span]:
    return [
        _Span(
            phase.started_ms,
            phase.started_ms + phase.duration_ms,
            name,
            f"{name} {milliseconds(phase.duration_ms)}",
        )
        for phase in phases
        if phase.name == name
    ]


def _dependency_spans(record: RequestRecord) -> list[_Span]:
    return [
        _Span(
            run.started_ms,
            run.started_ms + run.duration_ms,
            "raised" if run.raised else "dependencies",
            f"{cut(run.name, 80)} {milliseconds(run.duration_ms)}",
            cut(run.name.rpartition(".")[2], 24),
        )
        for run in sorted(record.dependencies, key=lambda run: run.started_ms)
        if not run.cached
    ]


def _query_spans(queries: Iterable[Query]) -> list[_Span]:
    """Make one bar of statements that repeat one after another."""
    spans = []
    for _, repeated in groupby(queries, key=lambda query: (query.sql, query.location)):
        run = list(repeated)
        end = max(query.started_ms + query.duration_ms for query in run)
        often = times(len(run))
        took = milliseconds(sum(query.duration_ms for query in run))
        spans.append(
            _Span(
                run[0].started_ms,
                end,
                "failed" if any(query.error for query in run) else "sql",
                f"{often} {cut(' '.join(run[0].sql.split()), 90)} {took}".strip(),
                often,
                busy=sum(query.duration_ms for query in run),
            )
        )
    return spans


def _block_spans(record: RequestRecord) -> list[_Span]:
    return [
        _Span(
            block.started_ms,
            block.started_ms + block.duration_ms,
            "block",
            f"{cut(block.call or block.kind, 80)} held the loop {milliseconds(block.duration_ms)}",
            cut(block.call or block.kind, 24),
        )
        for block in record.blocks
    ]


def _after_spans(record: RequestRecord) -> list[_Span]:
    tasks = [
        _Span(
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


def _lane(name: str, spans: list[_Span], whole: float, number: int) -> Lane:
    merged = _merged(spans, whole)
    return Lane(
        name=name,
        y=SCALE_HEIGHT + number * LANE_HEIGHT,
        total=_busy(spans),
        bars=tuple(_bar(span, whole) for span in merged),
    )


def _merged(spans: list[_Span], whole: float) -> list[_Span]:
    """Join bars that would touch, the more so the more there are."""
    gap = max(_MERGE_PERCENT, 100 / MAX_BARS if len(spans) > MAX_BARS else 0) * whole / 100
    merged: list[_Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        last = merged[-1] if merged else None
        joins = last is not None and span.start - last.end < gap
        small = span.end - span.start < gap or len(spans) > MAX_BARS
        if last is None or not joins or not small or last.tone != span.tone:
            merged.append(msgspec.structs.replace(span))
            continue
        last.end = max(last.end, span.end)
        last.merged += span.merged
        last.label = ""
        last.title = f"{last.merged} close together, {milliseconds(last.end - last.start)}"
    return merged[: 3 * MAX_BARS]


def _bar(span: _Span, whole: float) -> Bar:
    width = max(100 * (span.end - span.start) / whole, _LEAST_PERCENT)
    x = min(100 * span.start / whole, 100 - width)
    wide = width >= max(_LABEL_PERCENT, 0.9 * len(span.label))
    return Bar(
        x=_number(x),
        width=_number(width),
        tone=span.tone,
        title=span.title,
        label=span.label if wide else "",
        label_x=_number(x + 0.4),
    )


def _busy(spans: list[_Span]) -> str:
    """Add up a lane; bars that overlap count once."""
    total, reached = 0.0, 0.0
    for span in sorted(spans, key=lambda span: span.start):
        alone = max(0.0, span.end - max(span.start, reached))
        total += alone if span.busy is None else min(alone, span.busy)
        reached = max(reached, span.end)
    return milliseconds(total)


def _ticks(whole: float) -> Iterator[Tick]:
    step = _nice(whole / _TICKS)
    count = int(whole / step)
    for number in range(count + 1):
        at = number * step
        if at < whole * 0.96:
            yield Tick(x=_percent(at, whole), label=_tick_label(at))


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


def _percent(value: float, whole: float) -> str:
    return _number(100 * value / whole)


def _number(value: float) -> str:
    return f"{max(0.0, min(value, 100.0)):.2f}".rstrip("0").rstrip(".")
