"""One thread that looks at loops while requests are in flight, and otherwise sleeps in a lock."""

import math
import threading
import time
from collections.abc import Callable
from typing import Final

from fastapi_diagnostics.collectors.event_loop.holds import HOLDS
from fastapi_diagnostics.collectors.event_loop.pulse import HEART
from fastapi_diagnostics.collectors.event_loop.running import RUNNING_S, tell_running
from fastapi_diagnostics.collectors.event_loop.sampling import look_at, name_calls, read_texts
from fastapi_diagnostics.collectors.event_loop.state import (
    SETTINGS,
    LoopState,
    Watch,
    cpu_seconds,
    thread_clock,
)
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import active

NAME: Final = "fastapi-diagnostics watchdog"
LINGER_S: Final = 1.0
"""Stays up so long after it was woken, or saw something, so that a burst wakes it once a second."""
_SCHEDULE: Final = ((12, 0.004), (40, 0.01), (200, 0.05))
"""How many samples of a step, and how far apart in seconds."""
_MIN_DELAY_S: Final = 0.001
_LATE_S: Final = 0.01
"""Twice the interval in which threads that compute take turns: somebody kept the GIL."""


class Watchdog:
    """Samples the steps that have run for a while.

    Attributes:
        asleep: Whether it waits for `wake_for`.
        turns: How often it has looked.
        on_turn: Called once in each turn with the clock; tells late victims.
        on_drowsy: Asked before it falls asleep whether something is still to be told.
    """

    def __init__(self) -> None:
        self.asleep = True
        self.turns = 0
        self.states: tuple[LoopState, ...] = ()
        self.on_turn: Callable[[float], None] = lambda _: None
        self.on_drowsy: Callable[[], bool] = lambda: False
        self._thread: threading.Thread | None = None
        self._bell = threading.Lock()
        self._pause = threading.Lock()
        self._looking = threading.Lock()
        self._ending = False
        self._reset()

    def _reset(self) -> None:
        self._bell = threading.Lock()
        self._bell.acquire()
        self._pause = threading.Lock()
        self._pause.acquire()
        self._looking = threading.Lock()
        self._thread = None
        self._ending = False
        self._late = 0.0
        self._due = math.inf
        self._cpu = 0.0
        self._clock_id: int | None = None
        self.asleep = True

    def forked(self) -> None:
        """Begin anew in a child: its parent's thread is not in it."""
        for state in self.states:
            state.close()
        self.states = ()
        HEART.end()
        HOLDS.forget()
        self._reset()

    def watch(self, state: LoopState) -> None:
        """Look at a loop from now on; closed ones go."""
        kept = []
        for known in self.states:
            if known.is_over():
                known.close()
            else:
                kept.append(known)
        self.states = (*kept, state)

    def wake_for(self, state: LoopState) -> None:
        """Wake up if a request is running in the present context."""
        if active() is not None:
            self.wake(state)

    def wake(self, state: LoopState) -> None:
        """Wake up; called on the loop's thread."""
        state.touched = True
        if not self.asleep:
            return
        try:
            state.note_reading()
            state.mark(self.late(), self.turns)
            self.asleep = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)
                self._thread.start()
            self._bell.release()
        except RuntimeError:
            # The bell was rung by another thread just now, or the interpreter is shutting down
            # and starts no more threads. In both cases there is nothing to do.
            return

    def end(self) -> None:
        """End the thread and wait for it."""
        thread, self._ending = self._thread, True
        if thread is None:
            self._ending = False
            return
        for lock in (self._bell, self._pause):
            if lock.locked():
                lock.release()
        if thread is not threading.current_thread():
            thread.join(timeout=2.0)
        for state in self.states:
            state.close()
        self.states = ()
        HEART.end()
        HOLDS.forget()
        self._reset()

    def glance(self) -> None:
        """Look in the watchdog's place if it is late; for a thread of ours that just got the GIL.

        A call that kept the GIL can be seen at one moment only, when it comes back, and by whoever
        gets the GIL then.
        """
        now = time.perf_counter()
        if now - self._due < _LATE_S or not self._looking.acquire(blocking=False):
            return
        try:
            for state in self.states:
                with FAULTS.contained("watchdog"):
                    self._look(state, now)
        finally:
            self._looking.release()

    def late(self) -> float:
        """Give the seconds that it lost in waiting for its turns, in all; from any thread."""
        lost = time.perf_counter() - self._due - (cpu_seconds(self._clock_id) - self._cpu)
        return self._late + max(0.0, lost)

    def _plan(self, delay: float) -> float:
        """Set when the next turn is to be; whatever was not work since the last one was loss."""
        self._late = self.late()
        self._cpu = cpu_seconds(self._clock_id)
        self._due = time.perf_counter() + delay
        return self._due

    def _run(self) -> None:
        HEART.begin()
        self._clock_id = thread_clock(threading.get_ident())
        while not self._ending:
            self._bell.acquire()
            while not self._ending and self._awake():
                pass

    def _awake(self) -> bool:
        """Look until nothing has happened for a while; `False` when it may sleep."""
        due = time.perf_counter()
        until = due + LINGER_S
        while not self._ending:
            now = time.perf_counter()
            if sum(self._is_touched(state) for state in self.states):  # all of them, so no any()
                until = now + LINGER_S
            if now >= until and not self.on_drowsy():
                break
            delay = self._turn(now, due)
            if delay > 0:
                due = self._plan(delay)
                self._pause.acquire(timeout=delay)
        for state in self.states:
            if state.switches is not None:
                state.switches.clear()  # it holds greenlets
        self._plan(math.inf)
        self.asleep = True
        if any(state.touched for state in self.states):  # since we looked: nobody will ring
            self.asleep = False
            return True
        return False

    def _is_touched(self, state: LoopState) -> bool:
        touched, state.touched = state.touched, False
        return touched or state.step is not None

    def _turn(self, now: float, due: float) -> float:
        """Look at every loop once and give the delay until the next time.

        Args:
            now: Reading of the clock.
            due: When this turn was to be; if it is late, somebody may have kept the GIL.
        """
        self.turns += 1
        delay = SETTINGS.short_s
        states = self.states
        with FAULTS.contained("watchdog threads"):
            HOLDS.look(due, frozenset(state.ident for state in states))
        for state in states:
            state.mark(self.late(), self.turns)
            with FAULTS.contained("watchdog"), self._looking:
                delay = min(delay, self._look(state, now))
        with FAULTS.contained("watchdog threads"):
            HOLDS.name()  # now that the loops' own lines are kept
        if delay > 0:
            with FAULTS.contained("watchdog threads"):
                HOLDS.turn(due, states)
        with FAULTS.contained("watchdog turn"):
            self.on_turn(now)
        return delay

    def _look(self, state: LoopState, now: float) -> float:
        step = state.step
        due = SETTINGS.short_s
        if step is None:
            state.note_reading()
            return due
        if not state.watches or step is not state.watches[0].step:
            state.watches = (Watch(step, [], {}), *state.watches[:1])
            state.next_sample = step[0] + due
            if now < state.next_sample:
                state.note_reading()
                now = time.perf_counter()  # reading lets go of the GIL: it may be much later
        if now >= state.next_sample:
            self._sample(state, now)
            if state.step is not None and state.step is not step:
                # A new step while we were at it: a pause would let go of the GIL, and if that
                # step has just held it in a C call, its line would be gone.
                return 0.0
        return max(state.next_sample - time.perf_counter(), _MIN_DELAY_S)

    def _sample(self, state: LoopState, now: float) -> None:
        step, samples, calls = state.watches[0]
        look = look_at(state.ident, time.perf_counter(), state.switches)
        if look is None or state.step is not step:
            state.next_sample = now + SETTINGS.threshold_s
            return
        state.looking = look, calls
        try:
            samples.append(look.sample)
            name_calls(look, calls)
            samples[-1] = look.sample._replace(
                system_call=state.system_call(), pulse=HEART.read(), slices=state.scheduled()[1]
            )
        finally:
            state.looking = None
        read_texts(look, calls)
        if now - step[0] >= RUNNING_S and state.told is not step:
            tell_running(state, state.watches[0])
        delay = next((pause for count, pause in _SCHEDULE if len(samples) <= count), None)
        state.next_sample = time.perf_counter() + (delay or 1.0)


WATCHDOG = Watchdog()
