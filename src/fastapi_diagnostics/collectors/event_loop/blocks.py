"""What happens when a callback ran too long: who did it, who waited, who has to be told later."""

import contextvars
import time
from collections.abc import Callable
from typing import Any, Final

from fastapi_diagnostics.callsite import resolve
from fastapi_diagnostics.collectors.event_loop._asyncio_private import queue_untimed
from fastapi_diagnostics.collectors.event_loop.arrivals import Knocking, knocking
from fastapi_diagnostics.collectors.event_loop.holds import HOLDS
from fastapi_diagnostics.collectors.event_loop.late import LATE
from fastapi_diagnostics.collectors.event_loop.pauses import PAUSES
from fastapi_diagnostics.collectors.event_loop.pulse import HEART
from fastapi_diagnostics.collectors.event_loop.sampling import name_calls
from fastapi_diagnostics.collectors.event_loop.state import (
    PASSES,
    SETTINGS,
    Aftermath,
    Block,
    LoopState,
    Opening,
    Reading,
    Shorts,
    Step,
)
from fastapi_diagnostics.collectors.event_loop.verdict import Verdict, judge
from fastapi_diagnostics.collectors.event_loop.victims import (
    MIN_WAIT_S,
    note_arrival,
    note_waits,
)
from fastapi_diagnostics.collectors.times import PART
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import Recorder

_TURNAROUND_S: Final = 0.0005
"""No client gets a response and sends its next request in less."""
MAX_BLOCKS: Final = 100
MAX_SHORT: Final = 500
"""So many callbacks below the threshold are looked at in one request, about 0.1 ms each."""
MAX_SHORT_LINES: Final = 20
_NEAR_S: Final = 0.002
"""Clocks are read a moment after what wakes the watchdog has begun."""
_ALWAYS: Final = float("inf")


def note_step(state: LoopState, recorder: Recorder, step: Step, begin: float, end: float) -> None:
    """Judge a callback that took 40 % of the threshold or more."""
    if end - begin >= SETTINGS.threshold_s:
        note_block(state, recorder, step, begin, end)
    else:
        _note_short(state, recorder, step, begin, end)


def note_block(state: LoopState, recorder: Recorder, step: Step, begin: float, end: float) -> None:
    """Judge a stretch that was too long; keep it unless the machine or a debugger did it.

    Runs on the loop's thread, about 0.5 ms after a block of 50 ms or more.
    """
    HOLDS.look(_last_look(state, step), frozenset({state.ident}))
    waiting = _waiting(state, recorder, step)
    finish_look(state)
    after = state.read()
    block = _judged(state, recorder, Opening(begin, end, state.watch_of(step), after))
    state.readings.append(after)
    if block is None:
        return
    reckon(state, block, waiting)


def finish_look(state: LoopState) -> None:
    """Name the calls of a look that the watchdog has not come to the end of.

    Once the callback has ended its frames tell nothing more, and nobody waits on the loop for
    another thread.
    """
    looking = state.looking
    if looking is not None:
        name_calls(*looking)


def reckon(state: LoopState, block: Block, waiting: Knocking | None) -> None:
    """Look out for those who wait for a block."""
    LATE.expect(block)
    state.blocks.append(block)
    state.arrivals = None if waiting is None else (block, waiting)
    if state.driven:
        return  # nobody calls us in the turns that follow
    state.aftermath = aftermath = Aftermath(block)
    state.blocked_until = _ALWAYS
    _call_soon(state, _passed, state, aftermath)


def _last_look(state: LoopState, step: Step) -> float:
    watch = state.watch_of(step)
    return watch.samples[-1].at if watch is not None and watch.samples else step


def _judged(state: LoopState, recorder: Recorder, seen: Opening) -> Block | None:
    verdict = verdict_on(state, seen, SETTINGS.threshold_s)
    blocks = recorder.parts[PART].blocks
    if verdict is None or verdict.kind == "gil" or len(blocks) >= MAX_BLOCKS:
        return None
    block = block_of(recorder.id, seen, verdict)
    blocks.append(block)
    return block


def verdict_on(state: LoopState, seen: Opening, threshold_s: float) -> Verdict | None:
    """Judge what was seen of one callback."""
    begin, end = seen.begin, seen.end
    samples = tuple(seen.watch.samples) if seen.watch else ()
    samples = tuple(sample for sample in samples if begin <= sample.at <= end)
    looking = state.looking
    if looking is not None and samples and samples[-1] is looking[0].sample:
        # Where a call kept the GIL until now, this look alone shows it; its system call is unknown.
        last = samples[-1]._replace(pulse=HEART.read(), slices=state.scheduled()[1])
        samples = (*samples[:-1], last)
    calls = seen.watch.calls if seen.watch else {}
    if any(sample.in_greenlet for sample in samples):
        state.follow_greenlets()
    before = seen.before or _reading_before(state, begin)
    return judge(begin, end, samples, calls, before, seen.after, threshold_s)


def _reading_before(state: LoopState, begin: float) -> Reading | None:
    readings = tuple(state.readings)
    before = next((r for r in reversed(readings) if r.at <= begin + _NEAR_S), None)
    return before or (readings[0] if readings else None)


def block_of(culprit_id: str, seen: Opening, verdict: Verdict) -> Block:
    """Note what a verdict says; *culprit_id* is empty for nobody."""
    block = Block(culprit_id, seen.begin, seen.end)
    block.kind, block.stack, block.hot = verdict.kind, verdict.stack, verdict.hot
    block.call, block.inner, block.caller = verdict.call, verdict.inner, verdict.caller
    block.collecting = PAUSES.within(seen.begin, seen.end)
    return block


def _note_short(state: LoopState, recorder: Recorder, step: Step, begin: float, end: float) -> None:
    """Keep a callback below the threshold, where its line is known."""
    watch = state.watch_of(step)
    part = recorder.parts[PART]
    if watch is None or not watch.samples or part.short_looks >= MAX_SHORT:
        return
    part.short_looks += 1
    seen = Opening(begin, end, watch, state.read())
    verdict = verdict_on(state, seen, SETTINGS.short_s)
    if verdict is None or not verdict.stack or verdict.kind == "gil":
        return
    code, lasti = verdict.stack[0]
    place = (code, resolve(code, lasti).location.line)
    known = part.shorts.get(place)
    if known is None and len(part.shorts) >= MAX_SHORT_LINES:
        return
    longest = known.longest if known else None
    if longest is None or end - begin > longest.end - longest.begin:
        longest = block_of(recorder.id, seen, verdict)
    times, total = (known.times, known.total) if known else (0, 0.0)
    part.shorts[place] = Shorts(longest, times + 1, total + end - begin)


def open_loop(state: LoopState) -> None:
    """Watch the callback that patches the loop; it began before it could be timed."""
    state.continues(time.perf_counter())
    _call_soon(state, _opened, state, state.step)


def _opened(state: LoopState, step: Step) -> None:
    """Note how long the first callback was; its request claims it when it is sealed."""
    try:
        if state.step is not step:
            state.step = None
            return
        now = time.perf_counter()
        state.step = None
        if now - step >= SETTINGS.threshold_s:
            before = _reading_before(state, step)  # start-up may take long, and more readings
            watch = state.watch_of(step)
            state.opening = Opening(step, now, watch, state.read(), before)
            state.note_reading()
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("event loop opening", error)


def claim_opening(state: LoopState, recorder: Recorder) -> None:
    """Give the first callback's block to the request that was opened in it."""
    opening = state.opening
    if opening is None or not opening.begin <= recorder.started <= opening.end:
        return
    state.opening = None
    spent = opening.end - recorder.started
    recorder.parts[PART].on_loop += spent
    if spent >= SETTINGS.threshold_s:
        block = _judged(state, recorder, opening._replace(begin=recorder.started))
        if block is not None:
            LATE.expect(block)


def look_before_response(state: LoopState, step: Step) -> None:
    """See who waits before a response goes out whose step has been long.

    Afterwards it cannot be told apart from a client that got it and sent its next request.
    """
    state.before_response = (step, knocking())


def charge_running(state: LoopState, recorder: Recorder) -> None:
    """Count the running step of this loop for *recorder* as if it ended here.

    A record is mostly sealed in the very step that blocked, so it cannot wait for its end.
    """
    state.settle()
    if state.opening is not None:
        claim_opening(state, recorder)
    step = state.step
    if step is None:
        return
    began, ready, now = step, state.ready, time.perf_counter()
    state.continues(now)
    part = recorder.parts[PART]
    if recorder.started > began:
        if state.arrivals is not None:
            note_arrival(state, recorder)
        outer = recorder.outer
        if outer is not None and not outer.closed and PART in outer.parts:
            outer.parts[PART].on_loop += max(0.0, recorder.started - max(began, outer.started))
        began = recorder.started
    else:
        part.queued += began - ready
    part.on_loop += now - began
    state.touched = True
    if ready < state.blocked_until:
        note_waits(state, recorder, ready, began)
    if now - began >= SETTINGS.short_s:
        note_step(state, recorder, step, began, now)


def _waiting(state: LoopState, recorder: Recorder, step: Step) -> Knocking | None:
    """See who waits, unless a client may have come only after it got the response."""
    seen, state.before_response = state.before_response, None
    if seen is not None and seen[0] is step:
        return seen[1]
    if recorder.responded is not None:
        ago = time.perf_counter() - recorder.responded
        if _TURNAROUND_S < ago < MIN_WAIT_S:
            return None
    return knocking()


def _call_soon(state: LoopState, callback: Callable[..., None], *args: Any) -> None:
    """Be called in the next turn of the loop, past our own stand-ins and in nobody's context."""
    loop: Any = state.loop()
    if loop is not None and not loop.is_closed():
        context = contextvars.Context()
        if state.queueing:
            queue_untimed(loop, callback, args, context)
        else:
            type(loop).call_soon(loop, callback, *args, context=context)


def _passed(state: LoopState, aftermath: Aftermath) -> None:
    try:
        if state.aftermath is not aftermath:
            return
        aftermath.passes.append(time.perf_counter())
        if len(aftermath.passes) <= PASSES:
            _call_soon(state, _passed, state, aftermath)
        else:
            state.aftermath = None
            state.blocked_until = aftermath.block.end
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("event loop pass", error)
