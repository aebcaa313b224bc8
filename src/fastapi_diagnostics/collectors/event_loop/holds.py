"""Other threads that kept the GIL: nothing on the loop is slow, and yet nothing can run.

The watchdog cannot run either, which is how it notices: it comes late, with a clock of another
thread far ahead. Late for lack of a processor is something else; its own pulse tells that apart.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from fastapi_diagnostics.callsite import resolve
from fastapi_diagnostics.collectors.event_loop.calls import Call
from fastapi_diagnostics.collectors.event_loop.facts import fact_of, fact_of_nobody
from fastapi_diagnostics.collectors.event_loop.kinds import recognised
from fastapi_diagnostics.collectors.event_loop.late import LATE, NOBODY
from fastapi_diagnostics.collectors.event_loop.pauses import PAUSES
from fastapi_diagnostics.collectors.event_loop.pulse import HEART, Pulse, waited_for_gil
from fastapi_diagnostics.collectors.event_loop.state import SETTINGS, Block, LoopState, Reading
from fastapi_diagnostics.collectors.event_loop.texts import call_text
from fastapi_diagnostics.collectors.event_loop.threads import (
    Doing,
    Glimpse,
    clocks,
    described,
    glimpses,
)
from fastapi_diagnostics.collectors.times import PART
from fastapi_diagnostics.recorder import Recorder

LATE_SHARE: Final = 0.5
"""Later than this share of the threshold is late enough to look at the other threads."""
CULPRIT_SHARE: Final = 0.7
"""The thread that kept the GIL had at least so much processor time meanwhile."""
KEEPING: Final = frozenset({"json", "msgpack", "pickle", "regex", "validation", "yaml", "gc"})
"""Kinds known to keep the GIL in one call."""
UNKNOWN_TIMES: Final = 4
UNKNOWN_S: Final = 0.2
"""Any other call must have kept it for four thresholds and 200 ms: short ones may be the Python
code around them, taking turns."""
MIN_HELD_S: Final = 0.03
"""Python code gives the GIL up every 5 ms; several threads of it look like 10 or 15."""
REPEAT_S: Final = 10.0
"""A thread of no request that does it again and again is told of so often."""
_MAX_UNSEALED: Final = 50
_MAX_PLACES: Final = 200


STALE_S: Final = 0.005
"""Clocks of other threads are read anew when these had so much processor time together."""


class _Before(NamedTuple):
    """How things stood at the end of the latest turn, or when it was put off.

    Attributes:
        clocks: CPU seconds by thread; of all together, `STALE_S` may be missing.
        others_s: CPU seconds of all but the loop's thread when these were read; `None` for unknown.
    """

    at: float
    clocks: Mapping[int, float]
    pulse: Pulse | None
    others_s: float | None = None


class Holds:
    """Finds the threads that kept the GIL for longer than the threshold."""

    def __init__(self) -> None:
        self._before: _Before | None = None
        self._glimpses: dict[int, Glimpse] = {}
        self._seen: dict[int, Doing] = {}
        self._clocks: dict[int, tuple[threading.Thread, float]] = {}
        self._unsealed: list[tuple[Block, Recorder]] = []
        self._told: dict[object, float] = {}

    def look(self, due: float, loops: frozenset[int]) -> None:
        """Look at the other threads if whoever asks was to be here at *due* and is late.

        Whoever gets the GIL first sees the culprit still at its line: the watchdog, or a loop
        that was kept in the middle of a step.
        """
        now = time.perf_counter()
        if now - due > SETTINGS.threshold_s * LATE_SHARE:
            self._glimpses = glimpses(now, loops) | self._glimpses
            self._clocks = clocks() | self._clocks  # a thread may have ended before our turn

    def name(self) -> None:
        """Name what was seen; not in `look`, as it may take longer than the GIL is ours."""
        seen, self._glimpses = self._glimpses, {}
        if seen:
            self._seen = described(seen) | self._seen

    def turn(self, due: float, states: Sequence[LoopState]) -> None:
        """Blame the thread that kept the GIL, if the watchdog came late for that reason."""
        now = time.perf_counter()
        pulse, present, before = HEART.read(), self._clocks | clocks(), self._before
        late_s = now - due
        if late_s > SETTINGS.threshold_s * LATE_SHARE and before is not None:
            loops = {state.ident for state in states}
            spent = {
                ident: clock - before.clocks.get(ident, 0.0)
                for ident, (_, clock) in present.items()
                if ident not in loops
            }
            if spent and waited_for_gil(before.pulse, pulse, late_s):
                ident = max(spent, key=spent.__getitem__)
                name = present[ident][0].name
                held_s = min(spent[ident], now - before.at)
                if spent[ident] >= late_s * CULPRIT_SHARE:
                    self._blame(ident, name, now, held_s, late_s, states)
        self._seen, self._clocks = {}, {}
        kept = {ident: clock for ident, (_, clock) in present.items()}
        self._before = _Before(time.perf_counter(), kept, pulse)
        self._tell_sealed()

    def renew(self, reading: Reading) -> None:
        """Note how things stand where no turn was needed; called on the loop's thread."""
        before = self._before
        if before is None:
            return
        others_s, kept = before.others_s, before.clocks
        if others_s is None or reading.others_s - others_s > STALE_S:
            others_s = reading.others_s
            kept = {ident: clock for ident, (_, clock) in clocks().items()}
        self._before = _Before(reading.at, kept, reading.pulse, others_s)

    def expects(self) -> bool:
        """Tell whether a block waits for its record."""
        return bool(self._unsealed)

    def pending(self) -> bool:
        """Tell whether a record has to be amended."""
        return any(recorder.closed for _, recorder in self._unsealed)

    def forget(self) -> None:
        """Forget everything; for undoing."""
        self._before = None
        self._glimpses, self._seen, self._clocks = {}, {}, {}
        self._unsealed.clear()
        self._told.clear()

    def _blame(
        self,
        ident: int,
        name: str,
        now: float,
        held_s: float,
        late_s: float,
        states: Sequence[LoopState],
    ) -> None:
        """Keep a block, unless it was too short or the thread is past its line already.

        The GIL was kept for *late_s* at least, and *held_s* is the best estimate.
        """
        doing = self._seen.get(ident)
        if all(state.is_over() for state in states):
            return  # no loop wanted to run
        if doing is None:
            return
        kind = recognised(doing.sample, doing.calls)
        if kind != "gc":  # a collection that began by itself is not the doing of the line it met
            pauses_s = PAUSES.within(now - held_s, now)
            held_s, late_s = held_s - pauses_s, late_s - pauses_s
        if late_s < _least_s(kind):
            return
        site = doing.sample.user[0]
        call = doing.calls.get(site, Call())
        if not call.name or doing.sample.debugger:
            return  # Python code lets go of the GIL every 5 ms: it was not this line
        recorder = doing.recorder
        block = Block(recorder.id if recorder is not None else "", now - held_s, now)
        block.kind, block.thread = "gil", name
        block.call = call._replace(source=call_text(*site))
        block.stack, block.inner = doing.sample.user, doing.sample.inner
        block.hot = {(site[0].co_filename, resolve(*site).location.line): held_s}
        self._give(block, recorder)
        for state in states:
            state.blocks.append(block)
            state.blocked_until = max(state.blocked_until, block.end)

    def _give(self, block: Block, recorder: Recorder | None) -> None:
        if recorder is None:
            self._tell_of_nobody(block)
            return
        part = recorder.parts.get(PART)  # none in a closed one
        if part is not None:
            part.blocks.append(block)
        self._unsealed.append((block, recorder))
        del self._unsealed[:-_MAX_UNSEALED]
        LATE.expect(block)

    def _tell_of_nobody(self, block: Block) -> None:
        place = block.stack[0]
        if block.end - self._told.get(place, -REPEAT_S) < REPEAT_S:
            return
        if len(self._told) >= _MAX_PLACES:
            self._told.clear()
        self._told[place] = block.end
        NOBODY.tell(fact_of_nobody(block), "")

    def _tell_sealed(self) -> None:
        """Describe what came too late for its record, which is amended then."""
        waiting = []
        for block, recorder in self._unsealed:
            if block.fact is None and recorder.closed:
                fact_of(block, recorder, first=False)
                block.told = -1
            elif block.fact is None:
                waiting.append((block, recorder))
        self._unsealed = waiting


def _least_s(kind: str) -> float:
    """Give how long the GIL must have been kept for a call of this kind to be blamed."""
    least = max(SETTINGS.threshold_s, MIN_HELD_S)
    return least if kind in KEEPING else max(least * UNKNOWN_TIMES, UNKNOWN_S)


HOLDS = Holds()
