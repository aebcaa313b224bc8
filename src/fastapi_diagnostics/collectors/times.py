"""Where the wall time of a request goes: the part to which several collectors add."""

from collections.abc import Sequence
from typing import Any, Final, Self

from fastapi_diagnostics.record import ThreadWait, TimeSplit
from fastapi_diagnostics.recorder import READINGS, Recorder

PART: Final = "time"


class TimePart:
    """Seconds of one request; `None` where nobody measures them.

    Attributes:
        on_loop: In callbacks of the event loop, those of tasks it started included.
        queued: Between the moment a callback was ready and the one at which it ran.
        threadpool: Of `anyio.to_thread.run_sync`, the wait for a thread included.
        thread_waits: Calls that found every thread taken, as facts; `None` before the first.
        threadpool_wait: What of the threadpool's time passed before the thread began.
    """

    __slots__ = ("on_loop", "queued", "thread_waits", "threadpool", "threadpool_wait")

    def __init__(self) -> None:
        self.on_loop: float | None = None
        self.queued: float | None = None
        self.threadpool: float | None = None
        self.threadpool_wait: float = 0.0
        self.thread_waits: list[ThreadWait] | None = None

    def seal(self, recorder: Recorder) -> dict[str, Any]:
        """Give the readings until now, of which `_split` makes the field."""
        wall = recorder.clock() - recorder.started
        fields: dict[str, Any] = {PART: (self.on_loop, self.queued, self.threadpool, wall)}
        if self.thread_waits:
            fields["thread_waits"] = tuple(self.thread_waits)
        return fields

    def absorb(self, other: Self, *, exceptions: int) -> None:  # noqa: ARG002 - of the protocol
        """Add the times of a recorder that ran inside this one."""
        self.on_loop = _sum(self.on_loop, other.on_loop)
        self.queued = _sum(self.queued, other.queued)
        self.threadpool = _sum(self.threadpool, other.threadpool)
        self.threadpool_wait += other.threadpool_wait
        if other.thread_waits:
            self.thread_waits = [*(self.thread_waits or ()), *other.thread_waits]


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None and other is None else (one or 0.0) + (other or 0.0)


def _split(seconds: Sequence[float | None]) -> TimeSplit:
    """Read on loop, queued, in threads and wall; overlapping calls in threads may exceed it."""
    on_loop, queued, threadpool, wall = seconds
    awaiting = None
    if on_loop is not None:
        awaiting = max(0.0, (wall or 0.0) - on_loop - (queued or 0.0) - (threadpool or 0.0))
    return TimeSplit(
        on_loop_ms=_ms(on_loop),
        queued_ms=_ms(queued),
        threadpool_ms=_ms(threadpool),
        awaiting_ms=_ms(awaiting),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


READINGS[PART] = _split
