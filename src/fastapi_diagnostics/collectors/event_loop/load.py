"""What a loop had done by certain moments, and how late the watchdog was: to compare with."""

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

MAX_MARKS: Final = 1024
"""Twenty seconds of a loop with nothing to do, six of a busy one, four of one in a long step."""


class Mark(NamedTuple):
    """Sums up to one moment.

    Attributes:
        at: Reading of the clock.
        busy: Seconds in callbacks of the loop.
        late: Seconds by which the watchdog came late to its turns.
        turns: How many turns these were.
    """

    at: float
    busy: float
    late: float
    turns: int


class Load:
    """Marks of one loop.

    Attributes:
        ended: Gives the seconds in callbacks that have ended; of the loop's own thread alone.
    """

    __slots__ = ("ended", "marks")

    def __init__(self) -> None:
        self.ended: Callable[[], float] = _nothing
        self.marks: deque[Mark] = deque(maxlen=MAX_MARKS)

    def since(self, moment: float) -> tuple[Mark, ...]:
        """Give the latest mark before a moment, if there is one, and all that followed."""
        marks = tuple(self.marks)  # the watchdog may be adding one
        first = next((n for n in reversed(range(len(marks))) if marks[n].at <= moment), 0)
        return marks[first:]


def _nothing() -> float:
    return 0.0
