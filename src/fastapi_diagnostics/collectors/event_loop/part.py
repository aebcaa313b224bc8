"""The event loop's part of a recorder: times, blocks and waits."""

import inspect
from asyncio import _get_running_loop
from typing import Any, Self

from fastapi_diagnostics.callsite import frames, resolve
from fastapi_diagnostics.collectors.event_loop.blocks import charge_running, shown
from fastapi_diagnostics.collectors.event_loop.state import ATTRIBUTE, Block
from fastapi_diagnostics.collectors.times import TimePart
from fastapi_diagnostics.record import HotLine, Location, LoopBlock, Wait
from fastapi_diagnostics.recorder import Recorder, rfc3339

MAX_HOT_LINES = 10
MAX_ROUTES = 4096
_CAN_AWAIT = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

_ROUTES_SEEN: set[Any] = set()


class LoopPart(TimePart):
    """What one request did to the loop, and what the loop did to it.

    Attributes:
        blocks: Its callbacks that ran too long.
        waits: By block: the culprit's record, the milliseconds lost, and whether that is a bound.
    """

    __slots__ = ("_first", "blocks", "waits")

    def __init__(self) -> None:
        self.on_loop = 0.0
        self.queued = 0.0
        self.threadpool = None
        self.threadpool_wait = 0.0
        self.blocks: list[Block] = []
        self.waits: dict[str, tuple[str, float, bool]] = {}
        self._first: bool | None = None

    def seal(self, recorder: Recorder) -> dict[str, Any]:
        """Give the times, and blocks and waits where there are any."""
        state = getattr(_get_running_loop(), ATTRIBUTE, None)
        if state is not None:
            charge_running(state, recorder)
        elif self.on_loop == 0.0:
            self.on_loop = self.queued = None  # in a thread, or on a loop that is not watched
        fields = super().seal(recorder)
        first = self._is_first(recorder)
        if self.blocks:
            fields["blocks"] = tuple(_fact(block, recorder, first=first) for block in self.blocks)
        if self.waits:
            fields["waits"] = tuple(
                Wait(block_id=block, culprit_id=culprit, waited_ms=waited, at_most=at_most)
                for block, (culprit, waited, at_most) in self.waits.items()
            )
        return fields

    def absorb(self, other: Self, *, exceptions: int) -> None:
        """Take over times, blocks and waits of a recorder that ran inside this one."""
        super().absorb(other, exceptions=exceptions)
        self.blocks += other.blocks
        self.waits |= other.waits

    def _is_first(self, recorder: Recorder) -> bool:
        """Tell whether no request of this route had been sealed before."""
        scope = recorder.scope
        if scope is None:
            return False
        endpoint = scope.get("endpoint")
        # An identity that is given again says "not the first" of a new endpoint, which is harmless.
        key = id(endpoint) if endpoint is not None else scope.get("path")
        if self._first is None:
            self._first = key not in _ROUTES_SEEN
        if recorder.sealing == "closed" and len(_ROUTES_SEEN) < MAX_ROUTES:
            _ROUTES_SEEN.add(key)
        return self._first


def _coroutine(block: Block) -> Location | None:
    """Find the innermost user line where ``await`` can be written."""
    for code, lasti in block.stack:
        if code.co_flags & _CAN_AWAIT:
            return resolve(code, lasti).location
    return None


def _fact(block: Block, recorder: Recorder, *, first: bool) -> LoopBlock:
    stack = frames(block.stack)
    victims = tuple(block.victims.values())
    block.told = len(victims)
    lines = sorted(block.hot.items(), key=lambda item: -item[1])[:MAX_HOT_LINES]
    fact = LoopBlock(
        id=block.id,
        kind=block.kind,
        call=block.call,
        written=block.written,
        started_at=rfc3339(recorder.started_at + block.begin - recorder.started),
        started_ms=recorder.ms(block.begin),
        duration_ms=round((block.end - block.begin) * 1000, 3),
        phase=recorder.phase_during(block.begin, block.end),
        location=stack[0].location if stack else None,
        stack=stack,
        coroutine=_coroutine(block),
        hot_lines=tuple(
            HotLine(file=shown(file), line=line, ms=round(seconds * 1000, 1))
            for (file, line), seconds in lines
        ),
        victims=victims,
        first_call=first,
    )
    if block.culprit_id == recorder.id:
        block.fact = fact
    return fact
