"""A callback that does not come to its end: a coroutine that never yields."""

import time
from types import FrameType
from typing import Final

from fastapi_diagnostics.collectors.event_loop.facts import fact_of_nobody
from fastapi_diagnostics.collectors.event_loop.late import NOBODY
from fastapi_diagnostics.collectors.event_loop.sampling import OWN_PACKAGE, own_frames
from fastapi_diagnostics.collectors.event_loop.state import SETTINGS, Block, LoopState, Watch
from fastapi_diagnostics.collectors.event_loop.verdict import judge
from fastapi_diagnostics.collectors.event_loop.victims import ROUTES
from fastapi_diagnostics.recorder import Recorder

RUNNING_S: Final = 10.0
"""Nobody waits that long for an answer, and its record would only be made when it has ended."""


def tell_running(state: LoopState, watch: Watch) -> None:
    """Describe what a step has been doing until now; on the watchdog's thread."""
    state.told = watch.step
    now, begin = time.perf_counter(), watch.step
    readings = tuple(state.readings)
    before = next((r for r in reversed(readings) if r.at <= begin), None)
    verdict = judge(
        begin, now, watch.samples, watch.calls, before, state.read(), SETTINGS.threshold_s
    )
    if verdict is None or not verdict.stack or verdict.kind == "gil":
        return
    recorder = next(filter(None, map(_recorder, own_frames(state.ident, state.switches))), None)
    block = Block("" if recorder is None else recorder.id, begin, now)
    block.kind, block.stack, block.hot = verdict.kind, verdict.stack, verdict.hot
    block.call, block.inner, block.caller = verdict.call, verdict.inner, verdict.caller
    route = "" if recorder is None else ROUTES.name(recorder)
    NOBODY.tell(fact_of_nobody(block, ended=False), route)


def _recorder(frame: FrameType) -> Recorder | None:
    """Find the request's recorder in a frame of our middleware."""
    if frame.f_code.co_filename != f"{OWN_PACKAGE}middleware.py":
        return None
    found = frame.f_locals.get("recorder")
    return found if isinstance(found, Recorder) else None
