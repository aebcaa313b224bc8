"""How slow this machine is just now, so that a bound on time means the same everywhere.

Bounds in milliseconds were set on a quiet machine. Where others use its caches and its power, the
same work takes twice the time or three times: a bound is then as much wider as other work is slow.
"""

import time
from collections import defaultdict
from typing import NamedTuple

USUAL_MS = 1.1
"""What the work takes on the quiet machine that the bounds were set on, CPython 3.11 to 3.13."""

_TIMES = 5


class _Item(NamedTuple):
    number: int
    name: str
    place: tuple[str, int]


_ITEMS = [_Item(n, f"name {n % 700}", ("a.py", n % 50)) for n in range(2000)]


def slowness() -> float:
    """Give how many times as long as usual Python takes here, at the best of a few: 1 or more."""
    return max(1.0, min(_worked_ms() for _ in range(_TIMES)) / USUAL_MS)


def _worked_ms() -> float:
    """Group and count objects, as most of our code does; in CPU time of this thread."""
    began = time.thread_time()
    groups: dict[tuple[object, ...], list[_Item]] = defaultdict(list)
    for item in _ITEMS:
        groups[_key(item)].append(item)
    for items in groups.values():
        sum(1 for item in items if item.number % 2)
    return (time.thread_time() - began) * 1000


def _key(item: _Item) -> tuple[object, ...]:
    return item.name, item.place
