"""The watchdog's own share of the processor: tells a stopped process from a held GIL.

A thread that waits for the GIL wakes up every 5 ms, so it gets many time slices; one that the
system has stopped, or that a debugger or a virtual machine holds, gets none.
"""

import os
import threading
from typing import Final, NamedTuple

SLICES_A_SECOND: Final = 50
"""A thread that waits for the GIL was measured at 190 time slices a second, a stopped one at 7 to
40 in all; this is a quarter of the former."""

GIL_SLICES_A_SECOND: Final = 100
"""Half of the former: so the GIL was waited for."""
STARVED_SHARE: Final = 0.3
"""Who was ready to run and had no processor for more than this waited for the machine."""


class Pulse(NamedTuple):
    """The watchdog's thread at one moment.

    Attributes:
        slices: How often it has been given a processor.
        starved: Seconds for which it was ready to run and had none.
    """

    slices: int
    starved: float


class Heart:
    """Reads the pulse of the thread that last called `begin`; from any thread."""

    def __init__(self) -> None:
        self._file: int | None = None

    def begin(self) -> None:
        """Watch the calling thread."""
        self.end()
        path = f"/proc/self/task/{threading.get_native_id()}/schedstat"
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, AttributeError):  # not Linux
            self._file = None

    def read(self) -> Pulse | None:
        """Give the pulse; `None` where the system does not tell. About 1 µs."""
        if self._file is None:
            return None
        try:
            _, starved, slices = os.pread(self._file, 64, 0).split()
            return Pulse(int(slices), int(starved) / 1e9)
        except (OSError, ValueError):
            return None

    def end(self) -> None:
        """Let go of the file; harmless if called twice."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


HEART = Heart()


def waited_for_gil(before: Pulse | None, after: Pulse | None, seconds: float) -> bool:
    """Tell whether the watchdog wanted the GIL, and did not get it, for so many seconds."""
    if before is None or after is None:
        return False
    starved = after.starved - before.starved > seconds * STARVED_SHARE
    return not starved and after.slices - before.slices >= seconds * GIL_SLICES_A_SECOND


def is_stopped(before: Pulse | None, after: Pulse | None, seconds: float) -> bool:
    """Tell whether the process stood still between two pulses, so many seconds apart."""
    if before is None or after is None:
        return False
    few = after.slices - before.slices < seconds * SLICES_A_SECOND
    return few and after.starved - before.starved < seconds * STARVED_SHARE
