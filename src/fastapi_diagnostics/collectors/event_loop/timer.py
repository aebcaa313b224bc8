"""Times every callback of a loop, by standing in for the loop's own ``call_soon`` and relatives.

asyncio's tasks and futures, and uvloop's, look these up as attributes of the loop for each step.
The request is found through the callback's own context.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from fastapi_diagnostics.collectors.event_loop import blocks, sampling
from fastapi_diagnostics.collectors.event_loop._asyncio_private import (
    NAME,
    Handle,
    code_of_running,
    queue_of,
    queueing,
)
from fastapi_diagnostics.collectors.event_loop.outside import note_outside
from fastapi_diagnostics.collectors.event_loop.state import SETTINGS, LoopState, Step
from fastapi_diagnostics.collectors.event_loop.victims import note_arrival, note_waits
from fastapi_diagnostics.collectors.event_loop.watchdog import WATCHDOG
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import CURRENT, Recorder

SOON: Final = ("call_soon", "call_soon_threadsafe")
PATCHED: Final = frozenset({*SOON, NAME, "call_at", "call_later"})


def patch(loop: Any, state: LoopState) -> dict[str, Any]:
    """Set our stand-ins on one loop.

    Returns:
        What was set, by attribute.

    Raises:
        AttributeError: The loop takes no attributes.
        TypeError: Likewise.
    """
    timed, run = _timed(state)
    queue = queue_of(loop)
    state.queueing = queue is not None
    if queue is not None:
        made = queueing(loop, queue, run, time.perf_counter)
    else:
        made = {name: _soon(loop, getattr(loop, name), timed) for name in SOON}
        made["call_at"] = _at(loop, loop.call_at, timed)
        if not isinstance(loop, asyncio.BaseEventLoop):  # whose call_later goes through call_at
            made["call_later"] = _later(loop.call_later, timed)
    for name, replacement in made.items():
        setattr(loop, name, replacement)
    return made


def _timed(  # noqa: C901, PLR0915 - one closure, called often
    state: LoopState,
) -> tuple[Callable[..., Any], Callable[[Any], None]]:
    """Make what runs in place of each callback, and of each handle of asyncio's own.

    Most callbacks are short and follow another of the same request: their times are summed up
    here, and given to the request at its next other one or when `LoopState.settle` is called.
    """
    clock = time.perf_counter
    watchdog = WATCHDOG
    current = CURRENT.get
    settings = SETTINGS
    latest: Recorder | None = None
    spent_s = waited_s = 0.0  # of the latest, and not yet given to it
    others_s = total_s = 0.0  # of nobody; of everybody else

    def timed(callback: Callable[..., Any], args: tuple[Any, ...], queued: float) -> None:
        nonlocal spent_s, waited_s, others_s
        before = state.step
        state.ready = queued
        state.step = begin = clock()
        if begin >= state.report_at:
            watchdog.report(state, begin, current())
        try:
            callback(*args)
        except BaseException:
            note(callback, current(), before, begin, queued, clock())
            del callback, args
            raise
        ended = clock()
        recorder = current()
        if recorder is latest and before is None and ended < state.calm_until:
            state.step = None
            spent_s += ended - begin
            waited_s += begin - queued
        elif (recorder is None or recorder.closed) and before is None and ended < state.calm_until:
            state.step = None
            others_s += ended - begin
        else:
            note(callback, recorder, before, begin, queued, ended)
        # Since Python 3.12 this frame may live on in the traceback of what the callback raised;
        # a failed task would hold itself, and asyncio tell of it only when the collector runs.
        del callback, args

    def run(handle: Any) -> None:
        """Do the same for a handle of `queueing`, which runs its callback in its own context.

        Written out again: a shared function would be one call more, of 0.1 µs.
        """
        nonlocal spent_s, waited_s, others_s
        before = state.step
        state.ready = queued = handle.queued
        state.step = begin = clock()
        if begin >= state.report_at:
            watchdog.report(state, begin, handle.context.get(CURRENT))
        try:
            Handle._run(handle)  # noqa: SLF001 - as it is now: others may have replaced it
        except BaseException:  # the loop is to end
            state.step = before
            del handle
            raise
        ended = clock()
        recorder = handle.context.get(CURRENT)
        if recorder is latest and before is None and ended < state.calm_until:
            state.step = None
            spent_s += ended - begin
            waited_s += begin - queued
        elif (recorder is None or recorder.closed) and before is None and ended < state.calm_until:
            state.step = None
            others_s += ended - begin
        else:
            note(handle.callback, recorder, before, begin, queued, ended)
        del handle

    def note(
        callback: Any,
        recorder: Recorder | None,
        before: Step | None,
        begin: float,
        queued: float,
        ended: float,
    ) -> None:
        nonlocal latest, total_s
        try:
            began = state.step or begin
            ready = queued if began is begin else began
            state.step = before
            settle()
            total_s += ended - begin
            latest = recorder
            if recorder is not None and (part := recorder.timing) is not None:  # None: closed
                step = began
                if recorder.started > began:
                    began = recorder.started
                    if state.arrivals is not None:
                        note_arrival(state, recorder)
                else:
                    part.queued += began - ready
                spent = ended - began
                part.on_loop += spent
                if ready < state.blocked_until:
                    note_waits(state, recorder, ready, began)
                if spent >= settings.short_s:
                    blocks.note_step(state, recorder, step, began, ended)
                    if before is not None and spent >= settings.threshold_s:
                        state.step = ended  # the one around it: count from here
            elif ended - begin >= settings.threshold_s:
                note_outside(state, callback, recorder, began, ended)
            if before is not None:
                state.ready = before  # nobody knows any more when the one around it was ready
                latest = None  # and it may have begun before the request
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("event loop", error)

    def settle() -> None:
        nonlocal latest, spent_s, waited_s, total_s
        spent, waited, spent_s, waited_s = spent_s, waited_s, 0.0, 0.0
        total_s += spent
        part = None if latest is None else latest.timing
        if part is not None:
            part.on_loop += spent
            part.queued += waited
        latest = None  # the running step may be counted until now: then only the rest is due

    state.settle = settle
    state.load.ended = lambda: total_s + others_s + spent_s
    own = (timed.__code__, run.__code__, note.__code__, code_of_running())
    sampling.OWN_STEP.update(filter(None, own))
    return timed, run


def _soon(loop: Any, original: Callable[..., Any], timed: Callable[..., Any]) -> Callable[..., Any]:
    clock = time.perf_counter
    if loop.get_debug():
        return _soon_debugged(original, timed)

    def call_soon(callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        return original(timed, callback, args, clock(), context=context)

    return call_soon


def _soon_debugged(original: Callable[..., Any], timed: Callable[..., Any]) -> Callable[..., Any]:
    def call_soon(callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        if _is_refused(callback):
            return original(callback, *args, context=context)
        return original(_Shown(timed, callback, time.perf_counter()), *args, context=context)

    return call_soon


def _at(loop: Any, original: Callable[..., Any], timed: Callable[..., Any]) -> Callable[..., Any]:
    clock = time.perf_counter
    now = loop.time
    debug = loop.get_debug()

    def call_at(when: float, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        if debug and _is_refused(callback):
            return original(when, callback, *args, context=context)
        due = clock() + when - now()
        if debug:
            return original(when, _Shown(timed, callback, due), *args, context=context)
        return original(when, timed, callback, args, due, context=context)

    return call_at


def _later(original: Callable[..., Any], timed: Callable[..., Any]) -> Callable[..., Any]:
    clock = time.perf_counter

    def call_later(
        delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Any:
        if callback is timed or type(callback) is _Shown:  # uvloop's call_at goes on through here
            return original(delay, callback, *args, context=context)
        return original(delay, timed, callback, args, clock() + delay, context=context)

    return call_later


def _is_refused(callback: Any) -> bool:
    """Tell whether the loop's debug mode raises for it; it has to see what it raises for."""
    return asyncio.iscoroutine(callback) or asyncio.iscoroutinefunction(callback)


class _Shown:
    """A timed callback that asyncio's debug mode prints like the callback itself."""

    __slots__ = ("__self__", "callback", "queued", "timed")

    def __init__(
        self, timed: Callable[..., Any], callback: Callable[..., Any], queued: float
    ) -> None:
        self.timed = timed
        self.callback = callback
        self.queued = queued
        self.__self__ = getattr(callback, "__self__", None)

    def __call__(self, *args: Any) -> Any:
        try:
            return self.timed(self.callback, args, self.queued)
        finally:
            del self, args  # as in the timer

    def __repr__(self) -> str:
        return repr(self.callback)
