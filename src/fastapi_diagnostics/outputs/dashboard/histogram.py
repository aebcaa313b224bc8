"""How a duration is spread over many requests."""

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from fastapi_diagnostics.outputs.dashboard.words import milliseconds

_BOUNDS = (0.1, 1.0, 5.0, 10.0, 50.0, 100.0, 500.0)
"""Milliseconds; around 10 a person's click is still immediate, from 100 it is not."""
_LABELS = (
    "up to 0.1 ms",
    "0.1 to 1 ms",
    "1 to 5 ms",
    "5 to 10 ms",
    "10 to 50 ms",
    "50 to 100 ms",
    "100 to 500 ms",
    "over 500 ms",
)


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A row; `width` in per cent of the fullest, empty for none."""

    label: str
    count: str
    width: str


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """The drawing and the figures beside it."""

    buckets: tuple[Bucket, ...]
    median: str
    p95: str
    longest: str


def histogram(values: Sequence[float]) -> Histogram | None:
    """Count durations in milliseconds; `None` if there are none."""
    if not values:
        return None
    counts = [0] * len(_LABELS)
    for value in values:
        counts[bisect_left(_BOUNDS, value)] += 1
    most = max(counts)
    ordered = sorted(values)
    return Histogram(
        buckets=tuple(
            Bucket(
                label=label,
                count=f"{count:,}" if count else "",
                width=str(max(1, round(100 * count / most))) if count else "",
            )
            for label, count in zip(_LABELS, counts, strict=True)
        ),
        median=milliseconds(ordered[len(ordered) // 2]),
        p95=milliseconds(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]),
        longest=milliseconds(ordered[-1]),
    )
