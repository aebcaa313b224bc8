"""Times the steps of a request where its loop takes no stand-ins: on trio and on unusual loops.

Seen is the request's own task: neither the tasks that it starts nor how long a step was ready.
"""

import threading
import time
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Final, TypeAlias

from fastapi_diagnostics.collectors.event_loop import sampling
from fastapi_diagnostics.collectors.event_loop.blocks import charge_running
from fastapi_diagnostics.collectors.event_loop.greenlets import leave
from fastapi_diagnostics.collectors.event_loop.state import (
    DRIVEN,
    SETTINGS,
    LoopState,
    Step,
)
from fastapi_diagnostics.collectors.event_loop.victims import note_arrival
from fastapi_diagnostics.collectors.event_loop.watchdog import WATCHDOG
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import Recorder

Driver: TypeAlias = Callable[[Any, Recorder], Any]
"""Takes what a request would await, and its recorder; gives what to await instead."""

WHY: Final = (
    "only the steps of a request's own task are timed, because {}; "
    "tasks that it starts, and who waited in the queue, are not seen"
)


class _Here:
    """Stands for the loop of a thread: as long as that thread lives, it is open."""

    def __init__(self) -> None:
        self._thread = threading.current_thread()

    def is_closed(self) -> bool:
        return not self._thread.is_alive()


class DrivenState(LoopState):
    """The running step of a thread whose loop cannot be watched itself."""

    driven = True

    def __init__(self) -> None:
        self.here = _Here()
        super().__init__(self.here)


def driver_here() -> Driver:
    """Give the driver of the running thread."""
    ident = threading.get_ident()
    state = DRIVEN.get(ident)
    if state is None or state.is_over():
        for known in [key for key, old in DRIVEN.items() if old.is_over()]:
            DRIVEN.pop(known, None)
        state = DRIVEN[ident] = DrivenState()
        state.note_reading()
        WATCHDOG.watch(state)
    return partial(_driven, state)


def forget() -> None:
    """Forget every thread; for undoing."""
    for state in DRIVEN.values():
        leave(state.switches)
    DRIVEN.clear()


def _driven(state: LoopState, call: Any, recorder: Recorder) -> Any:
    if not isinstance(call, types.CoroutineType):
        return call  # some other awaitable: it has its way
    if state.arrivals is not None:
        note_arrival(state, recorder)
    return _drive(call, recorder, state)


@types.coroutine
def _drive(
    coroutine: Coroutine[Any, Any, Any], recorder: Recorder, state: LoopState
) -> Generator[Any, Any, Any]:
    """Run a coroutine in the same task and context, and time each of its steps."""
    value: Any = None
    thrown: BaseException | None = None
    while True:
        before = _begin(state)
        try:
            if thrown is None:
                pending = coroutine.send(value)
            else:
                error, thrown = thrown, None
                try:
                    pending = coroutine.throw(error)
                finally:
                    del error  # no cycle of exception, frame and exception
        except StopIteration as stop:
            return stop.value
        finally:
            _end(state, recorder, before)
        try:
            value = yield pending
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:  # noqa: BLE001 - cancellation too belongs to the coroutine
            # Without our own entry, or it would stand in the traceback twice.
            thrown = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
            value = None


sampling.OWN_STEP.add(_drive.__code__)


def _begin(state: LoopState) -> Step | None:
    before = state.step
    state.continues(time.perf_counter())
    if WATCHDOG.asleep:
        WATCHDOG.wake(state)
    return before


def _end(state: LoopState, recorder: Recorder, before: Step | None) -> None:
    try:
        step = state.step
        if step is not None and not recorder.closed:
            charge_running(state, recorder)
            now = time.perf_counter()
            if before is not None and now - step >= SETTINGS.threshold_s:
                before = now  # the one around it: count from here
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("event loop driver", error)
    state.step = before
