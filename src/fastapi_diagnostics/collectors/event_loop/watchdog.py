"""One thread that looks at loops that stand still, and otherwise sleeps.

Where the alarm can be moved, a loop that goes on puts the next look off, so that nobody wakes up
beside it. Elsewhere, and while threads compete for the GIL, it looks at regular turns.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import Final

from fastapi_diagnostics.collectors.event_loop.alarm import Alarm, make_alarm
from fastapi_diagnostics.collectors.event_loop.holds import HOLDS, LATE_SHARE
from fastapi_diagnostics.collectors.event_loop.pulse import HEART
from fastapi_diagnostics.collectors.event_loop.running import RUNNING_S, tell_running
from fastapi_diagnostics.collectors.event_loop.sampling import look_at, name_calls, read_texts
from fastapi_diagnostics.collectors.event_loop.state import (
    AT_ONCE,
    SETTINGS,
    LoopState,
    Watch,
    cpu_seconds,
    thread_clock,
)
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import Recorder

NAME: Final = "fastapi-diagnostics watchdog"
LINGER_S: Final = 1.0
"""Stays up so long after it was woken, or saw something, so that a burst wakes it once a second."""
PUT_OFF_SHARE: Final = 0.7
"""A loop that goes on is looked at after this share of the time after which a step is looked at:
in time to stand in the queue for the GIL where a call keeps it."""
REPORT_SHARE: Final = 0.3
"""It puts the look off again after this share, so a step has the sum of both before it is seen."""
OTHERS_SHARE: Final = 0.5
"""Where other threads had more of a processor than this, they compete with the loop."""
_SCHEDULE: Final = ((12, 0.004), (40, 0.01), (200, 0.05))
"""How many samples of a step, and how far apart in seconds."""
_MIN_DELAY_S: Final = 0.001
_LATE_S: Final = 0.01
"""Twice the interval in which threads that compute take turns: somebody kept the GIL."""


class Watchdog:
    """Samples the steps that have run for a while.

    Attributes:
        asleep: Whether it waits to be woken.
        turns: How often it has looked.
        on_turn: Called once in each turn with the clock; tells late victims.
        on_drowsy: Asked before it falls asleep whether something is still to be told.
    """

    def __init__(self) -> None:
        self.turns = 0
        self.states: tuple[LoopState, ...] = ()
        self.on_turn: Callable[[float], None] = lambda _: None
        self.on_drowsy: Callable[[], bool] = lambda: False
        self._alarm: Alarm | None = None
        self._reset()

    def _reset(self) -> None:
        self._close_alarm()
        self._looking = threading.RLock()
        self._thread: threading.Thread | None = None
        self._ending = False
        self._late = 0.0
        self._due = math.inf
        self._until = 0.0
        self._turned = 0.0
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

    def report(self, state: LoopState, now: float, recorder: Recorder | None) -> None:
        """Be told that a loop goes on: by its first step from `LoopState.report_at` on.

        Args:
            state: Of the loop.
            now: Reading of the clock.
            recorder: Of the request that this step belongs to.
        """
        try:
            in_flight = recorder is not None and not recorder.closed
            state.attends()
            if self.asleep and in_flight:
                self.wake(state)
            elif self.asleep:
                state.report_at = AT_ONCE
            elif now < self._due:
                self._put_off(state, now, in_flight=in_flight)
            elif now < self._late_from():
                state.report_at = self._late_from()
            else:  # whoever kept both of us from the GIL still stands at its line
                HOLDS.look(self._due, frozenset(one.ident for one in self.states))
        except Exception as error:  # noqa: BLE001 - ours, contained: the loop calls this unguarded
            FAULTS.note("watchdog report", error)

    def wake(self, state: LoopState) -> None:
        """Wake up; called on the loop's thread."""
        state.touched = True
        if not self.asleep:
            return
        try:
            state.note_reading()
            state.mark(self.late(), self.turns)
            self.asleep = False
            if self._alarm is not None:
                self._plan(SETTINGS.short_s * PUT_OFF_SHARE)
                self._let_pass(self._alarm)
            elif self._thread is None:
                self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)
                self._thread.start()
        except RuntimeError:
            return  # the interpreter is shutting down and starts no more threads

    def _put_off(self, state: LoopState, now: float, *, in_flight: bool) -> None:
        """Look later than planned, as nothing has stood still; 10 µs on the loop's thread.

        Notes what a turn would note. Does nothing where the watchdog is late already, was not
        there for long, or where others compete with the loop: then it has to see for itself.
        """
        if in_flight:
            state.touched = True
            self._until = now + LINGER_S
        if now >= min(self._until, self._turned + LINGER_S):
            return
        if not state.is_calm_at(now):
            return
        before, reading = state.readings[-1], state.read()
        if reading.others_s - before.others_s > (reading.at - before.at) * OTHERS_SHARE:
            return
        state.readings.append(reading)
        state.mark(self.late(), self.turns)
        HOLDS.renew(reading)
        if time.perf_counter() >= self._due:  # reading lets go of the GIL
            return
        self._plan(SETTINGS.short_s * PUT_OFF_SHARE)
        state.reports_from(now, SETTINGS.short_s * REPORT_SHARE)

    def end(self) -> None:
        """End the thread and wait for it."""
        thread, self._ending = self._thread, True
        if thread is None:
            self._ending = False
            return
        if self._alarm is not None:
            self._alarm.set(0.0)
        if thread is not threading.current_thread():
            thread.join(timeout=2.0)
        with self._looking:  # who looks in the watchdog's place reads their files
            for state in self.states:
                state.close()
            self.states = ()
        HEART.end()
        HOLDS.forget()
        self._reset()

    def _close_alarm(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.close()

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

    def _late_from(self) -> float:
        """Give the moment from which on it is so late that somebody may have kept the GIL."""
        return self._due + SETTINGS.threshold_s * LATE_SHARE

    def _plan(self, delay: float) -> float:
        """Set when the next turn is to be; whatever was not work since the last one was loss."""
        self._late = self.late()
        self._cpu = cpu_seconds(self._clock_id)
        self._due = time.perf_counter() + delay
        if self._alarm is not None and delay < math.inf:
            self._alarm.set(delay)
        return self._due

    def _run(self) -> None:
        HEART.begin()
        self._clock_id = thread_clock(threading.get_ident())
        alarm = self._alarm = make_alarm()
        while not self._ending:
            while not self._ending and not self.asleep and self._awake(alarm):
                pass
            if not self._ending:
                alarm.wait()

    def _awake(self, alarm: Alarm) -> bool:
        """Look until nothing has happened for a while; `False` when it may sleep."""
        due = min(time.perf_counter(), self._due)
        self._until = due + LINGER_S
        while not self._ending:
            now = time.perf_counter()
            if sum(self._is_touched(state) for state in self.states):  # all of them, so no any()
                self._until = now + LINGER_S
            if now >= self._until and not self.on_drowsy():
                break
            delay = self._turn(now, due)
            if delay > 0:
                due = self._pause(alarm, delay)
        for state in self.states:
            if state.switches is not None:
                state.switches.clear()  # it holds greenlets
        self._plan(math.inf)
        self.asleep = True
        for state in self.states:
            state.report_at = AT_ONCE
        if any(state.touched for state in self.states):  # since we looked: nobody will ring
            self.asleep = False
            return True
        return False

    def _pause(self, alarm: Alarm, delay: float) -> float:
        """Wait for the next turn, which the loop puts off as long as it goes on.

        Returns:
            When that turn was to be.
        """
        self._plan(delay)
        self._let_pass(alarm)
        alarm.wait()
        for state in self.states:
            state.attends()
        return self._due

    def _let_pass(self, alarm: Alarm) -> None:
        """Have the loop report after a while, if that can put off the alarm; else if it is late."""
        if alarm.movable and self._is_quiet():
            (state,) = self.states
            step, now = state.step, time.perf_counter()
            state.reports_from(now if step is None else step, SETTINGS.short_s * REPORT_SHARE)
            return
        for state in self.states:
            state.report_at = self._late_from()

    def _is_quiet(self) -> bool:
        """Tell whether there is nothing to see or to tell but that the one loop goes on."""
        if len(self.states) != 1 or self.states[0].driven:
            return False
        (state,) = self.states
        step, now = state.step, time.perf_counter()
        young = step is None or now - step < SETTINGS.short_s
        told = not HOLDS.expects() and not self.on_drowsy()
        return young and told and state.is_calm_at(now)

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
        self._turned = now
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
            self.on_turn(time.perf_counter())
        return delay

    def _look(self, state: LoopState, now: float) -> float:
        step = state.step
        due = SETTINGS.short_s
        if step is None:
            state.note_reading()
            return due
        if not state.watches or step is not state.watches[0].step:
            state.watches = (Watch(step, [], {}), *state.watches[:1])
            state.next_sample = step + due
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
        if now - step >= RUNNING_S and state.told is not step:
            tell_running(state, state.watches[0])
        delay = next((pause for count, pause in _SCHEDULE if len(samples) <= count), None)
        state.next_sample = time.perf_counter() + (delay or 1.0)


WATCHDOG = Watchdog()
