"""One thread that looks at connections which run nothing; it sleeps while none is out.

Reading a suspended coroutine from another thread costs the application's own threads nothing but
the time of the look.
"""

import os
import threading
import time
from typing import Final

from fastapi_diagnostics.collectors.sqlalchemy.holds import HELD, IDLE_S, Hold
from fastapi_diagnostics.collectors.sqlalchemy.waiting import cpu_of, look_at
from fastapi_diagnostics.faults import FAULTS

NAME: Final = "fastapi-diagnostics connections"
PERIOD_S: Final = IDLE_S / 4
FIRST_LOOK_S: Final = IDLE_S / 2
LINGER_S: Final = 1.0
"""Stays up so long after the last connection went back, so that a burst wakes it once."""
MAX_LOOKS: Final = 200
"""At a line; a websocket may wait for hours."""


class Watch:
    """Looks at idle connections a few times a second while any is out.

    Attributes:
        asleep: Whether it waits for `wake`.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.asleep = True
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._bell = threading.Event()

    def forked(self) -> None:
        """Begin anew in a child: its parent's thread and connections are not in it."""
        HELD.clear()
        self._reset()

    def wake(self) -> None:
        """Begin to look; called when a connection was taken and `asleep`."""
        self.asleep = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter shuts down
                return
        self._bell.set()

    def end(self) -> None:
        """End the thread and wait for it; harmless if it never began."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            self._ending.set()
            self._bell.set()
            thread.join(timeout=2.0)
        self._reset()

    def _run(self) -> None:
        ending, bell = self._ending, self._bell
        while not ending.is_set():
            bell.wait()
            bell.clear()
            until = time.perf_counter() + LINGER_S
            while not ending.is_set() and time.perf_counter() < until:
                ending.wait(PERIOD_S)
                with FAULTS.contained("sql.watch"):
                    if look(time.perf_counter()):
                        until = time.perf_counter() + LINGER_S
            self.asleep = True
            if any(
                _is_watched(hold) for hold in list(HELD.values())
            ):  # taken since we looked: nobody will ring
                bell.set()
                self.asleep = False


def look(now: float) -> bool:
    """Look at every connection once; `False` if none of an open request is out."""
    holds = [hold for hold in list(HELD.values()) if _is_watched(hold)]
    for hold in holds:
        since = hold.idle_since
        if since is None or len(hold.looks) >= MAX_LOOKS:
            continue
        if hold.task is None and hold.cpu is None:
            hold.cpu = cpu_of(hold.native)
        if now - since < FIRST_LOOK_S:
            continue
        seen = look_at(hold, database=_uses_database(hold, holds))
        if hold.idle_since == since:
            hold.looks.append(seen)
    return bool(holds)


def _is_watched(hold: Hold) -> bool:
    return hold.recorder is not None and not hold.recorder.closed


def _uses_database(hold: Hold, holds: list[Hold]) -> bool:
    """Tell whether the same request runs a statement elsewhere, or waits for a connection."""
    recorder = hold.recorder
    part = recorder.parts.get("sessions") if recorder is not None else None
    if part is not None and part.waiting:
        return True
    return any(o is not hold and o.recorder is recorder and o.idle_since is None for o in holds)


WATCH = Watch()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WATCH.forked)
