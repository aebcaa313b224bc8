"""Which responses are looked at: the first ones of each kind, then one in a few."""

from typing import Any, Final

FIRST: Final = 25
"""So many of each kind are looked at before sampling begins."""
EVERY: Final = 10
_MAX_KINDS: Final = 4000
_MAX_KEYS: Final = 40


class Sampling:
    """Counts responses by response field, type of the value and its top-level keys.

    A count that another thread's turn loses makes no difference.
    """

    def __init__(self) -> None:
        self._counts: dict[Any, int] = {}

    def wanted(self, field: Any, raw: Any) -> bool:
        """Count a response and tell whether to look at it."""
        keys = tuple(raw) if type(raw) is dict and len(raw) <= _MAX_KEYS else None
        kind = (id(field), type(raw), keys)
        count = self._counts.get(kind, 0)
        if count == 0 and len(self._counts) >= _MAX_KINDS:
            self._counts.clear()
        self._counts[kind] = count + 1
        return count < FIRST or count % EVERY == 0
