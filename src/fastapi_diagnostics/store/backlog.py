"""What could not be written yet."""

from collections import deque
from collections.abc import Callable, Iterable

from fastapi_diagnostics.store.entries import Entry

_MAX_ENTRIES = 1_000
_MAX_BYTES = 16 * 1024 * 1024
_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0


class Backlog:
    """Entries that wait for the store to work again, and when to try the next time.

    Attributes:
        errors: Failed writes since the start.
        dropped: Entries lost since the start.
        cause: Why the last write failed; ``""`` when it did not.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start empty; *clock* gives seconds."""
        self.errors = 0
        self.dropped = 0
        self.cause = ""
        self._clock = clock
        self._entries: deque[Entry] = deque()
        self._size = 0
        self._delay_s = 0.0
        self._failed_at = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def due(self) -> bool:
        """Whether it is time to write; a clock that went back does not make us wait longer."""
        return not 0 <= self._clock() - self._failed_at < self._delay_s

    def keep(self, entries: Iterable[Entry]) -> None:
        """Put *entries* behind the others; the oldest go when there are too many."""
        for entry in entries:
            self._entries.append(entry)
            self._size += entry.size
        while len(self._entries) > _MAX_ENTRIES or self._size > _MAX_BYTES:
            self._size -= self._entries.popleft().size
            self.dropped += 1

    def all(self) -> list[Entry]:
        """List all that wait, the oldest first."""
        return list(self._entries)

    def of(self, record_id: str) -> list[Entry]:
        """List what waits of one record."""
        return [entry for entry in self._entries if entry.id == record_id]

    def take(self) -> list[Entry]:
        """Take out all that wait."""
        entries = self.all()
        self.clear()
        return entries

    def clear(self) -> None:
        """Forget all that wait."""
        self._entries.clear()
        self._size = 0

    def failed(self, cause: str) -> None:
        """Note a failed write: wait one second, then two, four, up to sixty."""
        self.errors += 1
        self.cause = cause
        self._failed_at = self._clock()
        self._delay_s = min(max(self._delay_s * 2, _FIRST_DELAY_S), _LONGEST_DELAY_S)

    def succeeded(self) -> None:
        """Note that writing works."""
        self.cause = ""
        self._delay_s = 0.0
