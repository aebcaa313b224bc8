"""Pauses of the garbage collector, and for forks: parts of a block that are nobody's line."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

MIN_PAUSE_S: Final = 0.002


class Pauses:
    """The latest stretches of one kind that took a while."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began: float | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=64)

    def __call__(self, phase: str, _info: dict[str, Any]) -> None:
        """Be told by ``gc.callbacks``; the collector is never entered twice."""
        if phase == "start":
            self.begin()
        else:
            self.end()

    def begin(self) -> None:
        """Note that one begins."""
        self._began = self._clock()

    def end(self) -> None:
        """Note that it has ended; harmless if none had begun."""
        began, self._began = self._began, None
        now = self._clock()
        if began is not None and now - began > MIN_PAUSE_S:
            self._recent.append((began, now))

    def within(self, begin: float, end: float) -> float:
        """Sum up the seconds of pauses between two readings of the clock."""
        pauses = list(self._recent)
        began = self._began
        if began is not None:  # its end has not been told yet: another thread came in between
            pauses.append((began, end))
        return sum(max(0.0, min(stop, end) - max(start, begin)) for start, stop in pauses)


PAUSES = Pauses()
FORKS = Pauses()
"""Copying the page tables of a large process takes tens of milliseconds, in which nobody can look.
uvloop forks on the loop for ``asyncio.create_subprocess_exec``."""
