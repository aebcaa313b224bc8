"""What happens when a callback ran too long: who did it, who waited, who has to be told later."""

import contextvars
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors.event_loop.arrivals import Knocking, knocking
from fastapi_diagnostics.collectors.event_loop.state import (
    MAX_VICTIMS,
    PASSES,
    SETTINGS,
    Aftermath,
    Block,
    LoopState,
    Opening,
    Step,
)
from fastapi_diagnostics.collectors.event_loop.verdict import judge
from fastapi_diagnostics.collectors.times import PART
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.locks import Lock
from fastapi_diagnostics.record import LoopBlock, Victim
from fastapi_diagnostics.recorder import Recorder
from fastapi_diagnostics.redaction import redact_path

MIN_WAIT_S: Final = 0.005
"""A request that lost less than this is no victim; below it, ordinary turns of a busy loop lie."""
ARRIVAL_S: Final = 1.0
"""A request whose bytes were waiting begins this soon after the block."""
ACCEPTED_S: Final = 0.05
"""Connections in the queue are accepted, and their requests begun, this soon."""
_TURNAROUND_S: Final = 0.0005
"""No client gets a response and sends its next request in less."""
MAX_BLOCKS: Final = 100
SETTLED_S: Final = 0.15
"""So long after a block its victims have had their turn."""
_OPENING_S: Final = 0.005
"""A request opens its recording this soon after its loop was patched."""
_REMEMBERED: Final = 64
_LOOK_PATIENCE_S: Final = 0.02
_ALWAYS: Final = float("inf")


def note_block(state: LoopState, recorder: Recorder, step: Step, begin: float, end: float) -> None:
    """Judge a stretch that was too long; keep it unless the machine or a debugger did it.

    Runs on the loop's thread, about 0.5 ms after a block of 50 ms or more.
    """
    waiting = _waiting(state, recorder, step)
    # A look in progress may just be naming the call; it has the GIL at once when we wait.
    if state.sampling.acquire(timeout=_LOOK_PATIENCE_S):
        state.sampling.release()
    after = state.read()
    block = _judged(state, recorder, Opening(begin, end, state.watch_of(step), after))
    state.readings.append(after)
    if block is None:
        return
    state.blocks.append(block)
    state.aftermath = aftermath = Aftermath(block)
    state.arrivals = None if waiting is None else (block, waiting)
    state.blocked_until = _ALWAYS
    _call_soon(state, _passed, state, aftermath)


def _judged(state: LoopState, recorder: Recorder, seen: Opening) -> Block | None:
    begin, end = seen.begin, seen.end
    samples = tuple(seen.watch.samples) if seen.watch else ()
    samples = tuple(sample for sample in samples if begin <= sample.at <= end)
    calls = seen.watch.calls if seen.watch else {}
    before = next((r for r in reversed(state.readings) if r.at <= begin), None)
    if before is None and state.readings:
        before = state.readings[0]
    verdict = judge(begin, end, samples, calls, before, seen.after, SETTINGS.threshold_s)
    blocks = recorder.parts[PART].blocks
    if verdict is None or len(blocks) >= MAX_BLOCKS:
        return None
    block = Block(recorder.id, begin, end)
    block.kind, block.stack, block.hot = verdict.kind, verdict.stack, verdict.hot
    block.call, block.written = verdict.call.name, verdict.call.written
    blocks.append(block)
    LATE.expect(block)
    return block


def open_loop(state: LoopState) -> None:
    """Watch the callback that patches the loop; it began before it could be timed."""
    now = time.perf_counter()
    state.step = (now, now)
    _call_soon(state, _opened, state, state.step)


def _opened(state: LoopState, step: Step) -> None:
    """Note how long the first callback was; its request claims it when it is sealed."""
    try:
        if state.step is not step:
            state.step = None
            return
        now = time.perf_counter()
        state.step = None
        if now - step[0] >= SETTINGS.threshold_s:
            state.opening = Opening(step[0], now, state.watch_of(step), state.read())
            state.note_reading()
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("event loop opening", error)


def claim_opening(state: LoopState, recorder: Recorder) -> None:
    """Give the first callback's block to the request that was opened in it."""
    opening = state.opening
    if opening is None or not 0 <= recorder.started - opening.begin <= _OPENING_S:
        return
    state.opening = None
    recorder.parts[PART].on_loop += opening.end - recorder.started
    _judged(state, recorder, opening)


def note_waits(state: LoopState, recorder: Recorder, ready: float, began: float) -> None:
    """Find the blocks for which a callback had to wait between *ready* and *began*."""
    for block in state.blocks:
        if block.culprit_id != recorder.id:
            waited = min(began, block.end) - max(ready, block.begin)
            if waited >= MIN_WAIT_S:
                _waited(recorder, block, waited, at_most=False)
    aftermath = state.aftermath
    if aftermath is None or aftermath.block.culprit_id == recorder.id:
        return
    block = aftermath.block
    if ready < block.end or recorder.id in block.victims or not aftermath.covers(ready):
        return
    waited = block.end - max(block.begin, recorder.started)
    if waited >= MIN_WAIT_S:
        _waited(recorder, block, waited, at_most=True)


def note_arrival(state: LoopState, recorder: Recorder) -> None:
    """Find the block during which a request that begins now had come."""
    if state.arrivals is None:
        return
    block, waiting = state.arrivals
    client = (recorder.scope or {}).get("client")
    since = recorder.started - block.end
    if since > ARRIVAL_S:
        state.arrivals = None
    elif client and since >= 0 and waiting.admit(tuple(client), at_once=since < ACCEPTED_S):
        _waited(recorder, block, block.end - block.begin, at_most=True)


def look_before_response(state: LoopState, now: float) -> None:
    """See who waits before a response goes out, if its step has been long.

    Afterwards it cannot be told apart from a client that got it and sent its next request.
    """
    step = state.step
    if step is not None and now - step[0] >= SETTINGS.threshold_s:
        state.before_response = (step, knocking())


def charge_running(state: LoopState, recorder: Recorder) -> None:
    """Count the running step of this loop for *recorder* as if it ended here.

    A record is mostly sealed in the very step that blocked, so it cannot wait for its end.
    """
    if state.opening is not None:
        claim_opening(state, recorder)
    step = state.step
    if step is None:
        return
    now = time.perf_counter()
    state.step = (now, now)
    began, ready = step
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
    if now - began >= SETTINGS.threshold_s:
        note_block(state, recorder, step, began, now)


def _waited(recorder: Recorder, block: Block, waited: float, *, at_most: bool) -> None:
    known = block.victims.get(recorder.id)
    waited_ms = round(waited * 1000, 3)
    if known is not None and known.waited_ms >= waited_ms:
        return
    if known is None and len(block.victims) >= MAX_VICTIMS:
        return
    block.victims[recorder.id] = Victim(
        request_id=recorder.id, route=ROUTES.name(recorder), waited_ms=waited_ms, at_most=at_most
    )
    recorder.parts[PART].waits[block.id] = (block.culprit_id, waited_ms, at_most)


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
        type(loop).call_soon(loop, callback, *args, context=contextvars.Context())


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


class Routes:
    """Names the route of a request that waits; whoever knows routes may set a better `name`."""

    def __init__(self) -> None:
        self.name: Callable[[Recorder], str] = path_of


def path_of(recorder: Recorder) -> str:
    """Give method and path of a request."""
    scope = recorder.scope or {}
    path = redact_path(scope.get("path", ""))
    return f"{scope.get('method') or 'WS'} {path}" if path else recorder.name


ROUTES = Routes()


class LateVictims:
    """Remembers blocks by record until their victims are known: mostly after it was sealed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._blocks: OrderedDict[str, list[Block]] = OrderedDict()

    def expect(self, block: Block) -> None:
        """Remember a block; the oldest record gives way."""
        with self._lock:
            self._blocks.setdefault(block.culprit_id, []).append(block)
            while len(self._blocks) > _REMEMBERED:
                self._blocks.popitem(last=False)

    def settled(self, now: float) -> list[tuple[str, tuple[LoopBlock, ...]]]:
        """Give the sealed records whose blocks have got victims since they were last told."""
        with self._lock:
            found = [
                (record_id, blocks)
                for record_id, blocks in self._blocks.items()
                if any(_is_news(block, now) for block in blocks)
            ]
        return [
            (record_id, tuple(_told(block) for block in known))
            for record_id, known in found
            if all(block.fact is not None for block in known)
        ]

    def pending(self, now: float) -> bool:
        """Tell whether a block is too young to know its victims."""
        with self._lock:
            return any(now - known[-1].end < SETTLED_S for known in self._blocks.values())

    def forget(self) -> None:
        """Forget everything; for undoing."""
        with self._lock:
            self._blocks.clear()


LATE = LateVictims()


def _is_news(block: Block, now: float) -> bool:
    return len(block.victims) > block.told and now - block.end >= SETTLED_S


def _told(block: Block) -> LoopBlock:
    victims = tuple(block.victims.values())
    block.told = len(victims)
    assert block.fact is not None  # noqa: S101 - the caller has looked
    block.fact = msgspec.structs.replace(block.fact, victims=victims)
    return block.fact


def shown(filename: str) -> str:
    """Name a file as findings do."""
    return USER_CODE.shown(filename)
