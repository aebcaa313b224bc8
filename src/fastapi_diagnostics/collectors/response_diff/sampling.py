"""Which responses are looked at: the first ones of each kind, then one in a few."""

import weakref
from typing import Any, Final

FIRST: Final = 25
"""So many of each kind are looked at before sampling begins."""
EVERY: Final = 10
_MAX_KINDS: Final = 4000
_MAX_KEYS: Final = 40


class _Count:
    """How often a kind was seen; the reference tells a field from a later one at its address."""

    __slots__ = ("field", "seen")

    def __init__(self, field: Any) -> None:
        self.field = weakref.ref(field)
        self.seen = 0


class Sampling:
    """Counts responses by response field, type of the value and its top-level keys.

    A count that another thread's turn loses makes no difference.

    Args:
        first: So many of each kind are looked at.
        every: From then on, one in so many.
    """

    def __init__(self, first: int = FIRST, every: int = EVERY) -> None:
        self._first = first
        self._every = every
        self._counts: dict[Any, _Count] = {}

    def wanted(self, field: Any, raw: Any) -> bool:
        """Count a response and tell whether to look at it."""
        cls = type(raw)
        if cls is dict and len(raw) <= _MAX_KEYS:
            kind: Any = (id(field), *raw)
        else:
            kind = (id(field), cls)
        count = self._counts.get(kind)
        if count is None or count.field() is not field:
            if len(self._counts) >= _MAX_KINDS:
                self._counts.clear()
            count = self._counts[kind] = _Count(field)
        count.seen = seen = count.seen + 1
        return seen <= self._first or (seen - 1) % self._every == 0
