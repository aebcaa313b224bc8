"""The one place where failures of our own are counted, so that none reaches the application.

A hook, a rule or an output that raises loses its own result and nothing else.
What raised is shown on the status page.
"""

from types import TracebackType

import msgspec

from fastapi_diagnostics.locks import Lock
from fastapi_diagnostics.redaction import redact_text

_LIMIT = (
    200  # distinct places; a place is a short name of ours, so this is never reached in practice
)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A place of ours that failed.

    Attributes:
        where: Such as ``sql.after_cursor_execute`` or ``rule SQL101``.
        count: Failures since the start of the process.
        last: Type and text of the latest one, at most 300 characters.
    """

    where: str
    count: int
    last: str


class Faults:
    """Counts failures by place; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: dict[str, Fault] = {}

    def note(self, where: str, error: BaseException) -> int:
        """Count a failure and return how often this place has failed."""
        with self._lock:
            if where not in self._seen and len(self._seen) >= _LIMIT:
                where = "elsewhere"
            before = self._seen.get(where)
            count = before.count + 1 if before else 1
            self._seen[where] = Fault(where=where, count=count, last=_text(error))
            return count

    def count(self, where: str) -> int:
        """Tell how often a place has failed."""
        fault = self._seen.get(where)
        return fault.count if fault else 0

    def all(self) -> tuple[Fault, ...]:
        """List the places that failed, most often first."""
        with self._lock:
            return tuple(sorted(self._seen.values(), key=lambda fault: -fault.count))

    def clear(self) -> None:
        """Forget everything; for tests."""
        with self._lock:
            self._seen.clear()

    def contained(self, where: str) -> "_Contained":
        """Run a block whose failure is counted and goes no further."""
        return _Contained(self, where)


class _Contained:
    """A third of what a generator as context manager costs, on every request."""

    __slots__ = ("_faults", "_where")

    def __init__(self, faults: Faults, where: str) -> None:
        self._faults = faults
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False  # nothing, or a cancellation, which is not ours to keep
        self._faults.note(self._where, error)
        return True


def _text(error: BaseException) -> str:
    try:
        return redact_text(f"{type(error).__name__}: {error}", 300)
    except Exception:  # noqa: BLE001 - the application's own __str__ may raise
        return type(error).__name__


FAULTS = Faults()
