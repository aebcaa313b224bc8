"""What wakes the watchdog: a kernel's timer that can be put off without waking anybody.

A thread that wakes up while the loop is busy wants the GIL. The loop gives it up at each look at
its sockets and takes it again at once, so the thread mostly comes too late and waits on, and each
of these moments costs the loop a system call: 3 µs, twice in a request, for 50 ms and more.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, TypeAlias

_NOW_S: Final = 1e-9
"""The shortest time: zero would switch a timer off."""

Setter: TypeAlias = Callable[[int, float], object]
"""Sets a timer's descriptor to so many seconds from now."""


class Alarm(Protocol):
    """Wakes one thread.

    Attributes:
        movable: Whether `set` puts off what was set before, without waking the thread.
    """

    movable: bool

    def set(self, delay_s: float) -> None:
        """Ring after so many seconds from now, whatever was set before."""
        ...

    def wait(self) -> None:
        """Wait until it rings; for ever if it is not set."""
        ...

    def close(self) -> None:
        """Let go of what it holds; nobody waits any more."""
        ...


class LockAlarm:
    """A lock with a timeout: works everywhere."""

    movable = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._ends: float | None = None

    def set(self, delay_s: float) -> None:
        """Ring after so many seconds; whoever waits for longer is woken to wait anew."""
        ends = time.perf_counter() + delay_s
        sooner = self._ends is None or ends < self._ends
        self._ends = ends
        if sooner:
            with suppress(RuntimeError):  # another thread did the same just now
                self._lock.release()

    def wait(self) -> None:
        """Wait until it rings."""
        while True:
            ends = self._ends
            left = -1.0 if ends is None else ends - time.perf_counter()
            if ends is not None and left <= 0.0:
                break
            self._lock.acquire(timeout=left)
        if self._ends is ends:
            self._ends = None

    def close(self) -> None:
        """Hold nothing."""


class TimerAlarm:
    """A timer of Linux."""

    movable = True

    def __init__(self, descriptor: int, setter: Setter) -> None:
        self._descriptor = descriptor
        self._set = setter

    def set(self, delay_s: float) -> None:
        """Ring after so many seconds from now, whatever was set before; about 1 µs."""
        self._set(self._descriptor, max(delay_s, _NOW_S))

    def wait(self) -> None:
        """Wait until it rings."""
        os.read(self._descriptor, 8)

    def close(self) -> None:
        """Give the descriptor back."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def make_alarm() -> Alarm:
    """Give the best alarm that there is here."""
    with suppress(Exception):  # any reason to have none is a reason for the lock
        return _timer()
    return LockAlarm()


def _timer() -> TimerAlarm:
    names = ("timerfd_create", "timerfd_settime", "TFD_CLOEXEC")  # since Python 3.13
    create, set_time, flags = (getattr(os, name, None) for name in names)
    if create is None or set_time is None:
        return _timer_of_libc()
    descriptor = create(time.CLOCK_MONOTONIC, flags=flags)
    return TimerAlarm(descriptor, lambda fd, delay_s: set_time(fd, initial=delay_s))


def _timer_of_libc() -> TimerAlarm:
    """Do before Python 3.13 what `os` does since then."""
    if sys.platform != "linux":
        raise OSError("timerfd is of Linux")
    import ctypes  # noqa: PLC0415 - only where it is needed: it takes milliseconds

    class Timespec(ctypes.Structure):
        _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))

    class Timer(ctypes.Structure):
        _fields_ = (("interval", Timespec), ("value", Timespec))

    libc = ctypes.PyDLL(None)  # keeps the GIL: giving it up is what we are here to avoid
    descriptor = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError("timerfd_create failed")
    set_time = libc.timerfd_settime
    timer = Timer()
    value, pointer = timer.value, ctypes.byref(timer)

    def setter(descriptor: int, delay_s: float) -> None:
        value.seconds = int(delay_s)
        value.nanoseconds = int(delay_s % 1 * 1e9) or 1
        set_time(descriptor, 0, pointer, None)

    return TimerAlarm(descriptor, setter)
