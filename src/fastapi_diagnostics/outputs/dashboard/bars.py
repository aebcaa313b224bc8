"""Bars of a time axis, placed in per cent of the whole."""

import msgspec

from fastapi_diagnostics.outputs.dashboard.words import milliseconds

MAX_BARS = 120
"""Bars of a lane; what is closer than a pixel is drawn as one."""
_MERGE_PERCENT = 0.25
_LEAST_PERCENT = 0.2
_LABEL_PERCENT = 6.0


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A bar: `x` and `width` in per cent, written for an attribute."""

    x: str
    width: str
    tone: str
    title: str
    label: str = ""
    label_x: str = ""


class Span(msgspec.Struct):
    """What a bar stands for; `start` and `end` in milliseconds.

    Attributes:
        merged: How many of them it stands for.
        busy: Milliseconds; less than the length where a bar stands for several statements.
    """

    start: float
    end: float
    tone: str
    title: str
    label: str = ""
    merged: int = 1
    busy: float | None = None


def joined(spans: list[Span], whole: float, most: int = MAX_BARS) -> list[Span]:
    """Join bars that would touch, the more so the more there are."""
    gap = max(_MERGE_PERCENT, 100 / most if len(spans) > most else 0) * whole / 100
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        last = merged[-1] if merged else None
        joins = last is not None and span.start - last.end < gap
        small = span.end - span.start < gap or len(spans) > most
        if last is None or not joins or not small or last.tone != span.tone:
            merged.append(msgspec.structs.replace(span))
            continue
        last.end = max(last.end, span.end)
        last.merged += span.merged
        last.label = ""
        last.title = f"{last.merged} close together, {milliseconds(last.end - last.start)}"
    return merged[: 3 * most]


def bar_of(span: Span, whole: float) -> Bar:
    """Place a bar; its label only where there is room."""
    width = max(100 * (span.end - span.start) / whole, _LEAST_PERCENT)
    x = min(100 * span.start / whole, 100 - width)
    wide = width >= max(_LABEL_PERCENT, 0.9 * len(span.label))
    return Bar(
        x=number_of(x),
        width=number_of(width),
        tone=span.tone,
        title=span.title,
        label=span.label if wide else "",
        label_x=number_of(x + 0.4),
    )


def busy_time(spans: list[Span]) -> str:
    """Add up a lane; bars that overlap count once."""
    total, reached = 0.0, 0.0
    for span in sorted(spans, key=lambda span: span.start):
        alone = max(0.0, span.end - max(span.start, reached))
        total += alone if span.busy is None else min(alone, span.busy)
        reached = max(reached, span.end)
    return milliseconds(total)


def percent(value: float, whole: float) -> str:
    """Write a part of the whole for an attribute."""
    return number_of(100 * value / whole)


def number_of(value: float) -> str:
    """Write a number of per cent, 0 to 100, shortly."""
    return f"{max(0.0, min(value, 100.0)):.2f}".rstrip("0").rstrip(".")
