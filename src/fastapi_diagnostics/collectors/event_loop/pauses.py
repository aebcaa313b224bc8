"""Pauses of the cyclic garbage collector: part of a block that is nobody's line."""

import time
from collections import deque
from typing import Any, Final

MIN_PAUSE_S: Final = 0.002


class Pauses:
    """The latest collections that took a while."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=64)

    def __call__(self, phase: str, _info: dict[str, Any]) -> None:
        """Be told by ``gc.callbacks``; the collector is never entered twice."""
        now = time.perf_counter()
        if phase == "start":
            self._began = now
        elif self._began is not None:
            if now - self._began > MIN_PAUSE_S:
                self._recent.append((self._began, now))
            self._began = None

    def within(self, begin: float, end: float) -> float:
        """Sum up the seconds of pauses between two readings of the clock."""
        pauses = list(self._recent)
        began = self._began
        if began is not None:  # its end has not been told yet: another thread came in between
            pauses.append((began, end))
        return sum(max(0.0, min(stop, end) - max(start, begin)) for start, stop in pauses)


PAUSES = Pauses()
