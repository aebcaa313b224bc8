"""The event loop's part of a recorder: times, blocks and waits."""

import time
from typing import Any, Self

from fastapi_diagnostics.collectors.event_loop.blocks import charge_running
from fastapi_diagnostics.collectors.event_loop.facts import fact_of, short_fact
from fastapi_diagnostics.collectors.event_loop.own_time import own_time
from fastapi_diagnostics.collectors.event_loop.state import WATCHED, Block, Shorts, running_state
from fastapi_diagnostics.collectors.times import PART, TimePart
from fastapi_diagnostics.record import Wait
from fastapi_diagnostics.recorder import Recorder

MAX_ROUTES = 4096

_FIRST_CLOSED: dict[Any, float] = {}
"""By route: when its first request was closed. Whatever began before that may have paid for it,
and of several at once the one that did so is mostly not the first to end."""


class LoopPart(TimePart):
    """What one request did to the loop, and what the loop did to it.

    Attributes:
        blocks: Its callbacks that ran too long.
        waits: By block: the culprit's record, the milliseconds lost, and whether that is a bound.
        shorts: By line: callbacks that took a good part of the threshold.
        short_looks: How many of these were judged.
    """

    __slots__ = ("blocks", "short_looks", "shorts", "waits")

    def __init__(self) -> None:
        self.on_loop = 0.0
        self.queued = 0.0
        self.threadpool = None
        self.threadpool_wait = 0.0
        self.thread_waits = None
        self.shorts: dict[Any, Shorts] = {}
        self.short_looks = 0
        self.blocks: list[Block] = []
        self.waits: dict[str, tuple[str, float, bool]] = {}

    def seal(self, recorder: Recorder) -> dict[str, Any]:
        """Give the times, and blocks and waits where there are any."""
        state = running_state()
        if state is not None:
            charge_running(state, recorder)
        else:
            self._settle_elsewhere()
        fields = super().seal(recorder)
        if state is not None and state.driven:
            on_loop, _, *others = fields[PART]
            fields[PART] = (on_loop, None, *others)  # queued is part of what it awaited
        first = self._is_first(recorder)
        if self.blocks or self.shorts or self.waits:
            fields |= self._facts(recorder, first=first)
        return fields

    def _settle_elsewhere(self) -> None:
        """Take what loops of other threads have summed up: they may have run some of this."""
        for loop in tuple(WATCHED.values()):
            loop.settle()
        if self.on_loop == 0.0:
            self.on_loop = self.queued = None  # in a thread, or on a loop that is not watched

    def _facts(self, recorder: Recorder, *, first: bool) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if self.blocks:
            fields["blocks"] = tuple(fact_of(block, recorder, first=first) for block in self.blocks)
        if self.shorts:
            fields["short_blocks"] = tuple(
                short_fact(shorts, recorder, first=first) for shorts in self.shorts.values()
            )
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
        for place, shorts in other.shorts.items():
            mine = self.shorts.get(place)
            self.shorts[place] = shorts if mine is None else _sum(mine, shorts)

    @staticmethod
    def own_time(started: float, ended: float, *, on_loop: bool) -> float | None:
        """Tell how many seconds of a stretch were not lost in waiting for others; see `own_time`.

        Other collectors ask for it through `Recorder.timing`.
        """
        return own_time(started, ended, on_loop=on_loop)

    def _is_first(self, recorder: Recorder) -> bool:
        """Tell whether it began before any request of its route had been closed."""
        scope = recorder.scope
        if scope is None:
            return False
        endpoint = scope.get("endpoint")
        # An identity that is given again says "not the first" of a new endpoint, which is harmless.
        key = id(endpoint) if endpoint is not None else scope.get("path")
        closed = _FIRST_CLOSED.get(key)
        if closed is None and recorder.sealing == "closed" and len(_FIRST_CLOSED) < MAX_ROUTES:
            _FIRST_CLOSED[key] = time.perf_counter()
        return closed is None or recorder.started < closed


def _sum(one: Shorts, other: Shorts) -> Shorts:
    spans = {shorts.longest.end - shorts.longest.begin: shorts.longest for shorts in (one, other)}
    return Shorts(spans[max(spans)], one.times + other.times, one.total + other.total)
