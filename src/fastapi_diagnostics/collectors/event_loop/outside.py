"""Callbacks that held the loop when their request was over, or that never had one.

A task that outlives the request which started it, or a task of the lifespan. Nobody looks at them
while no request is in flight; then nothing is said.
"""

from typing import Any, Final

from fastapi_diagnostics.collectors.event_loop.arrivals import knocking
from fastapi_diagnostics.collectors.event_loop.blocks import (
    block_of,
    finish_look,
    reckon,
    verdict_on,
)
from fastapi_diagnostics.collectors.event_loop.facts import fact_of, fact_of_nobody
from fastapi_diagnostics.collectors.event_loop.late import LATE
from fastapi_diagnostics.collectors.event_loop.state import SETTINGS, LoopState, Opening, Step
from fastapi_diagnostics.collectors.origins import started_by
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import Recorder

MAX_OF_ONE: Final = 20
"""So many of them are added to the record of a request; a consumer that it started may live on."""
_NOT_OURS: Final = frozenset({"gil", "fork"})


def note_outside(
    state: LoopState, callback: Any, inherited: Recorder | None, step: Step, end: float
) -> None:
    """Judge a callback over the threshold in whose context no request is open.

    Args:
        state: Of the loop.
        callback: What ran; `None` if that is not known any more.
        inherited: The recorder in its context.
        step: When it began, or its last stretch.
        end: When it ended.
    """
    try:
        if end - step < SETTINGS.threshold_s:
            return  # most of it was its request's, which has been told
        culprit = _culprit(callback, inherited)
        if culprit is not None and LATE.count(culprit.id) < MAX_OF_ONE:
            _note(state, culprit, step, end)
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("event loop outside", error)


def _culprit(callback: Any, inherited: Recorder | None) -> Recorder | None:
    """Find who started it; `None` if that is open, or not known for certain.

    The context of whoever called the application in its own task, as test clients do, still has a
    closed recorder in it: only what that request started is its doing.
    """
    starter = started_by(getattr(callback, "__self__", None))
    if starter is None:
        starter = inherited if inherited is not None and inherited.kind == "process" else None
    return starter if starter is not None and starter.closed else None


def _note(state: LoopState, culprit: Recorder, step: Step, end: float) -> None:
    waiting = knocking()
    finish_look(state)
    seen = Opening(step, end, state.watch_of(step), state.read())
    verdict = verdict_on(state, seen, SETTINGS.threshold_s)
    state.readings.append(seen.after)
    if verdict is None or not verdict.stack or verdict.kind in _NOT_OURS:
        return
    is_nobodys = culprit.kind == "process"
    block = block_of("" if is_nobodys else culprit.id, seen, verdict)
    if is_nobodys:
        block.fact = fact_of_nobody(block)
    else:
        fact_of(block, culprit, first=False, outside=True)
    block.told = -1
    reckon(state, block, waiting)
