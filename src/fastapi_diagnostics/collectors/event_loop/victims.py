"""Which requests waited for a block, and for how long."""

from collections.abc import Callable
from typing import Final

from fastapi_diagnostics.collectors.event_loop.state import MAX_VICTIMS, Block, LoopState
from fastapi_diagnostics.collectors.times import PART
from fastapi_diagnostics.record import Victim
from fastapi_diagnostics.recorder import Recorder
from fastapi_diagnostics.redaction import redact_path

MIN_WAIT_S: Final = 0.005
"""A request that lost less than this is no victim; below it, ordinary turns of a busy loop lie."""
ARRIVAL_S: Final = 1.0
"""A request whose bytes were waiting begins this soon after the block."""
ACCEPTED_S: Final = 0.05
"""Connections in the queue are accepted, and their requests begun, this soon."""


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


def note_waits(state: LoopState, recorder: Recorder, ready: float, began: float) -> None:
    """Find the blocks for which a callback had to wait between *ready* and *began*."""
    if recorder.responded is not None and recorder.responded <= began:
        return  # its client had been answered before
    for block in tuple(state.blocks):
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


def _waited(recorder: Recorder, block: Block, waited: float, *, at_most: bool) -> None:
    known = block.victims.get(recorder.id)
    waited_ms = round(waited * 1000, 3)
    if known is not None and known.waited_ms >= waited_ms:
        return
    if known is None and len(block.victims) >= MAX_VICTIMS:
        return
    route = ROUTES.name(recorder) or path_of(recorder)  # it may not have come to its route yet
    block.victims[recorder.id] = Victim(
        request_id=recorder.id, route=route, waited_ms=waited_ms, at_most=at_most
    )
    recorder.parts[PART].waits[block.id] = (block.culprit_id, waited_ms, at_most)
