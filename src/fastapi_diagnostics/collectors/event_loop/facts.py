"""Turns what was noted of a block into the fact that a record holds."""

import dis
import time
from functools import lru_cache
from types import CodeType
from typing import Final

from fastapi_diagnostics.callsite import USER_CODE, frames, resolve
from fastapi_diagnostics.collectors.event_loop.kinds import is_building, libraries
from fastapi_diagnostics.collectors.event_loop.sampling import awaiting_site
from fastapi_diagnostics.collectors.event_loop.state import Block, Shorts
from fastapi_diagnostics.record import HotLine, LoopBlock, PhaseName, ShortBlocks
from fastapi_diagnostics.recorder import Recorder, rfc3339

MAX_HOT_LINES: Final = 10
_AWAITING: Final = frozenset({"GET_AWAITABLE", "GET_ANEXT", "BEFORE_ASYNC_WITH"})


def fact_of(block: Block, recorder: Recorder, *, first: bool, outside: bool = False) -> LoopBlock:
    """Describe a block of a request.

    Args:
        block: Of this request, or of one inside it.
        recorder: May be closed.
        first: Whether it is the first request of its route.
        outside: Whether the request was over when it began.
    """
    fact = _described(
        block,
        started_at=recorder.started_at + block.begin - recorder.started,
        started_ms=recorder.ms(block.begin),
        phase="outside" if outside else recorder.phase_during(block.begin, block.end),
        first=first,
    )
    if block.culprit_id == recorder.id:
        block.told = len(fact.victims)
        block.fact = fact
    return fact


def fact_of_nobody(block: Block, *, ended: bool = True) -> LoopBlock:
    """Describe a block that belongs to no request, or to one that is still in it."""
    started_at = time.time() - (time.perf_counter() - block.begin)
    return _described(
        block, started_at=started_at, started_ms=0.0, phase="outside", first=False, ended=ended
    )


def short_fact(shorts: Shorts, recorder: Recorder, *, first: bool) -> ShortBlocks:
    """Describe callbacks that were each too short to be a block."""
    return ShortBlocks(
        longest=fact_of(shorts.longest, recorder, first=first),
        count=shorts.times,
        total_ms=round(shorts.total * 1000, 3),
    )


def _described(
    block: Block,
    *,
    started_at: float,
    started_ms: float,
    phase: PhaseName,
    first: bool,
    ended: bool = True,
) -> LoopBlock:
    stack = frames(block.stack)
    coroutine = awaiting_site(block.stack)
    lines = sorted(block.hot.items(), key=lambda item: -item[1])[:MAX_HOT_LINES]
    return LoopBlock(
        id=block.id,
        kind=block.kind,
        call=block.call.name,
        written=block.call.written,
        source=block.call.source,
        caller="" if coroutine in {None, *block.stack[:1]} else block.caller,
        started_at=rfc3339(started_at),
        started_ms=started_ms,
        duration_ms=round((block.end - block.begin) * 1000, 3),
        phase=phase,
        location=stack[0].location if stack else None,
        stack=stack,
        coroutine=None if coroutine is None else resolve(*coroutine).location,
        awaits=None if coroutine is None else awaits(coroutine[0]),
        hot_lines=tuple(
            HotLine(file=USER_CODE.shown(file), line=line, ms=round(seconds * 1000, 1))
            for (file, line), seconds in lines
        ),
        victims=tuple(block.victims.values()),
        first_call=first,
        through=libraries(block.inner),
        gc_ms=round(block.collecting * 1000, 1),
        thread=block.thread,
        ended=ended,
        builds=is_building(block.inner),
    )


@lru_cache(maxsize=512)
def awaits(code: CodeType) -> bool:
    """Tell whether a coroutine function awaits anything."""
    return any(found.opname in _AWAITING for found in dis.get_instructions(code))
