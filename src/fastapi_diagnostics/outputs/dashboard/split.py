"""Where the time of a request went, as one bar."""

import msgspec

from fastapi_diagnostics.outputs.dashboard.bars import number_of
from fastapi_diagnostics.outputs.dashboard.words import milliseconds
from fastapi_diagnostics.record import TimeSplit

_PARTS = (
    ("on_loop_ms", "loop", "On the loop", "Its own code ran on the event loop."),
    ("queued_ms", "queued", "Waiting for the loop", "It was ready, but others held the loop."),
    (
        "threadpool_ms",
        "thread",
        "In threads",
        "In or waiting for a worker thread; calls side by side add up.",
    ),
    ("awaiting_ms", "await", "Awaiting", "The database, the network, a sleep: the loop was free."),
)
_LEAST_PERCENT = 0.4


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the bar; `x` and `width` in per cent, `width` empty if there is nothing to draw."""

    tone: str
    label: str
    title: str
    value: str
    share: str
    x: str
    width: str


def time_parts(split: TimeSplit) -> tuple[Part, ...]:
    """Describe the split; nothing where nobody measured it."""
    measured = [
        (tone, label, title, value)
        for name, tone, label, title in _PARTS
        if (value := getattr(split, name)) is not None
    ]
    whole = sum(value for *_, value in measured)
    if split.on_loop_ms is None or whole <= 0:
        return ()
    parts, x = [], 0.0
    for tone, label, title, value in measured:
        share = 100 * value / whole
        parts.append(
            Part(
                tone=tone,
                label=label,
                title=title,
                value=milliseconds(value),
                share=f"{share:.0f} %" if share >= 1 or not value else "<1 %",
                x=number_of(x),
                width=number_of(max(share, _LEAST_PERCENT)) if value else "",
            )
        )
        x += share
    return tuple(parts)
