"""What is known of one event loop at this moment, and of its recent blocks."""

import itertools
import math
import os
import threading
import time
import weakref
from asyncio import _get_running_loop
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from fastapi_diagnostics.collectors.event_loop.arrivals import Knocking
from fastapi_diagnostics.collectors.event_loop.calls import Call
from fastapi_diagnostics.collectors.event_loop.greenlets import Switches, follow
from fastapi_diagnostics.collectors.event_loop.load import Load, Mark
from fastapi_diagnostics.collectors.event_loop.pulse import HEART, Pulse
from fastapi_diagnostics.collectors.event_loop.sampling import Look, Sample
from fastapi_diagnostics.record import LoopBlock, Victim

Step: TypeAlias = float
"""When the running callback began, or its present stretch. Each is read from the clock anew, so
its identity tells steps apart."""

MAX_VICTIMS: Final = 50
LOOK_SHARE: Final = 0.4
"""A callback is looked at once it is this share of the threshold old: 20 of 50 ms."""
NEVER: Final = -1.0
AT_ONCE: Final = NEVER
NOT_NOW: Final = math.inf
SETTLED_S: Final = 0.15
"""So long after a block its victims have had their turn."""
PASSES: Final = 2
"""What was queued before the second turn after a block came from what the first one found."""


class Settings:
    """How long a callback may run; one for the process.

    Attributes:
        threshold_s: From here on it is a block.
        short_s: From here on it is looked at: many of these add up.
    """

    __slots__ = ("short_s", "threshold_s")

    def __init__(self) -> None:
        self.set(0.05)

    def set(self, threshold_s: float) -> None:
        """Set the threshold."""
        self.threshold_s = threshold_s
        self.short_s = threshold_s * LOOK_SHARE


SETTINGS = Settings()


class Reading(NamedTuple):
    """Clocks of a loop's thread at one moment, in seconds; `None` where the system has none.

    Attributes:
        thread: CPU time of the thread.
        process: CPU time of the whole process.
        starved: How long the thread was ready to run and had no CPU.
        pulse: Of the watchdog's thread.
        slices: How often the thread was given a processor.
    """

    at: float
    thread: float | None
    process: float
    starved: float | None
    pulse: Pulse | None = None
    slices: int | None = None

    @property
    def others_s(self) -> float:
        """CPU seconds of the other threads; zero where that cannot be told."""
        return 0.0 if self.thread is None else self.process - self.thread


class Watch(NamedTuple):
    """What the watchdog has seen of one step."""

    step: Step
    samples: list[Sample]
    calls: dict[Any, Call]


class Opening(NamedTuple):
    """The callback that was running when its loop was patched, found out about afterwards.

    Attributes:
        end: When the loop had come to what followed; a little more than its own end.
        before: The latest reading before it, where that was looked for in time.
    """

    begin: float
    end: float
    watch: Watch | None
    after: Reading
    before: Reading | None = None


class Block:
    """One stretch of a callback that ran too long.

    Attributes:
        begin: Reading of the clock, like `end`.
        stack: User call sites, innermost first, of the line that took most of it.
        hot: Seconds by file and line.
        caller: Text of the call that led there, where `await` can be written.
        inner: Files of the frames between the user's line and what ran, nearest to it first.
        collecting: Seconds that the garbage collector took.
        thread: Name of the other thread that did it; empty for the loop's own.
        fact: What the culprit's record says; `None` before that was sealed.
        told: How many victims whoever listens has been told of.
    """

    __slots__ = (
        "begin",
        "call",
        "caller",
        "collecting",
        "culprit_id",
        "end",
        "fact",
        "hot",
        "id",
        "inner",
        "kind",
        "stack",
        "thread",
        "told",
        "victims",
    )

    def __init__(self, culprit_id: str, begin: float, end: float) -> None:
        self.id = f"{os.getpid():x}-{next(_ids):x}"
        self.culprit_id = culprit_id
        self.begin = begin
        self.end = end
        self.kind = "unknown"
        self.call = Call()
        self.caller = ""
        self.inner: tuple[str, ...] = ()
        self.collecting = 0.0
        self.thread = ""
        self.stack: tuple[Any, ...] = ()
        self.hot: dict[tuple[str, int], float] = {}
        self.victims: dict[str, Victim] = {}
        self.fact: LoopBlock | None = None
        self.told = 0


class Shorts(NamedTuple):
    """Callbacks at one line that took a good part of the threshold; `total` in seconds."""

    longest: Block
    times: int
    total: float


_ids = itertools.count(1)


class Aftermath:
    """The first turns of the loop after a block, in which it serves what had become ready.

    Attributes:
        passes: When each of these turns began.
    """

    __slots__ = ("block", "passes")

    def __init__(self, block: Block) -> None:
        self.block = block
        self.passes: list[float] = []

    def covers(self, queued: float) -> bool:
        """Tell whether what was queued then was ready when the loop first looked again."""
        return len(self.passes) < PASSES or queued <= self.passes[PASSES - 1]


class LoopState:
    """The running step of one loop, as the watchdog sees it.

    Attributes:
        step: `None` while no callback runs.
        ready: When that callback was ready to run; not later than its step, and the same moment
            for a stretch that continues one.
        report_at: The first step from then on tells the watchdog that the loop goes on.
        calm_until: A step that ends earlier was short, and nobody waited for a block before it.
        settle: Gives the request what the timer has summed up for it; on the loop's thread.
        touched: Whether a request ran since the watchdog last looked.
        watches: What was seen of the latest step that was looked at, and of the one before:
            the watchdog may come to a new step before the old one has been judged.
        looking: The look in progress, and where its calls are named, until its sample is complete.
        opening: The stretch in which the loop was first seen: that callback was not timed.
        arrivals: The latest block, and the connections that waited when it ended.
        before_response: What waited just before a response was sent, and in which step.
        blocked_until: What was ready before this moment may have waited for a block.
        switches: Of the thread's greenlets; `None` while nobody follows them.
        told: The latest step of which it was told that it is still running.
        driven: Whether only the steps of requests themselves are timed: see `driver`.
        queueing: Whether we stand in where the loop queues: see `_asyncio_private`.
        load: How busy it has been.
    """

    __slots__ = (
        "_clock_id",
        "_files",
        "_folder",
        "aftermath",
        "arrivals",
        "before_response",
        "blocked_until",
        "blocks",
        "calm_until",
        "ident",
        "load",
        "looking",
        "loop",
        "next_sample",
        "opening",
        "queueing",
        "readings",
        "ready",
        "report_at",
        "settle",
        "step",
        "switches",
        "told",
        "touched",
        "watches",
    )

    driven = False

    def __init__(self, loop: Any) -> None:
        self.loop = weakref.ref(loop, partial(_forget, id(loop)))
        self.ident = threading.get_ident()
        self.queueing = False
        self.step: Step | None = None
        self.ready = NEVER
        self.report_at = AT_ONCE
        self.calm_until = NEVER
        self.settle: Callable[[], None] = _nothing
        self.touched = True
        self.watches: tuple[Watch, ...] = ()
        self.looking: tuple[Look, dict[Any, Call]] | None = None
        self.opening: Opening | None = None
        self.blocked_until = NEVER
        self.blocks: deque[Block] = deque(maxlen=8)
        self.aftermath: Aftermath | None = None
        self.arrivals: tuple[Block, Knocking] | None = None
        self.before_response: tuple[Step, Knocking] | None = None
        self.readings: deque[Reading] = deque(maxlen=4)
        self.next_sample = 0.0
        self.switches: Switches | None = follow()
        self.told: Step | None = None
        self.load = Load()
        self._clock_id = thread_clock(self.ident)
        self._folder = f"/proc/self/task/{threading.get_native_id()}/"
        self._files: dict[str, int | None] = {}

    def is_calm_at(self, now: float) -> bool:
        """Tell whether no block is so recent that somebody may still have to wait for it."""
        return now - self.blocked_until >= SETTLED_S

    def continues(self, now: float) -> None:
        """Begin a new stretch of the running callback."""
        self.ready = self.step = now

    def reports_from(self, begin: float, delay_s: float) -> None:
        """Let steps pass unjudged that begin at *begin* and end within a delay."""
        self.report_at = self.calm_until = begin + delay_s

    def attends(self) -> None:
        """Have every step judged, and none reported."""
        self.report_at, self.calm_until = NOT_NOW, NEVER

    def is_over(self) -> bool:
        """Tell whether the loop is gone or closed."""
        loop = self.loop()
        return loop is None or loop.is_closed()

    def follow_greenlets(self) -> None:
        """Try again to follow the thread's greenlets; called on that thread."""
        if self.switches is None:
            self.switches = follow()

    def watch_of(self, step: Step) -> Watch | None:
        """Find what was seen of a step; `None` if it was not looked at."""
        return next((watch for watch in self.watches if watch.step is step), None)

    def read(self) -> Reading:
        """Read the clocks; about 5 µs, from any thread."""
        starved, slices = self.scheduled()
        return Reading(
            time.perf_counter(),
            _clock(self._clock_id),
            time.process_time(),
            starved,
            HEART.read(),
            slices,
        )

    def note_reading(self) -> None:
        """Keep a reading, to compare with when a block ends."""
        self.readings.append(self.read())

    def mark(self, late: float, turns: int) -> None:
        """Note how busy the loop has been, and how late its watchdog; from any thread."""
        # In this order, as the timer ends a step before it adds it: better too little than twice.
        ended, step, now = self.load.ended(), self.step, time.perf_counter()
        busy = ended if step is None else ended + now - step
        self.load.marks.append(Mark(now, busy, late, turns))

    def system_call(self) -> int | None:
        """Give the number of the system call in which the thread waits; -1 while it computes.

        `None` where the system does not tell.
        """
        text = self._file("syscall")
        if text is None:
            return None
        word = text.split(b" ", 1)[0].strip()
        return int(word) if word.isdigit() else -1

    def close(self) -> None:
        """Let go of the files; harmless if called twice."""
        files, self._files = self._files, {"schedstat": None, "syscall": None}
        for descriptor in files.values():
            if descriptor is not None:
                os.close(descriptor)

    def scheduled(self) -> tuple[float | None, int | None]:
        """Give for how long the thread was ready without a processor, and how often it had one.

        `None` where the system does not tell.
        """
        text = self._file("schedstat")
        if text is None:
            return None, None
        _, starved, slices = text.split()
        return int(starved) / 1e9, int(slices)

    def _file(self, name: str) -> bytes | None:
        try:
            if name not in self._files:
                self._files[name] = os.open(self._folder + name, os.O_RDONLY | os.O_CLOEXEC)
            descriptor = self._files[name]
            return None if descriptor is None else os.pread(descriptor, 256, 0)
        except (OSError, AttributeError):  # not Linux, or the thread has ended
            self._files.setdefault(name, None)
            return None


WATCHED: Final[dict[int, LoopState]] = {}
"""By identity of the loop, as long as it lives. An attribute of the loop would be one too many:
see `_asyncio_private`."""
DRIVEN: Final[dict[int, LoopState]] = {}
"""By thread: the state where the loop takes no stand-ins."""


def _nothing() -> None:
    pass


def _forget(loop: int, _: object) -> None:
    WATCHED.pop(loop, None)


def running_state() -> LoopState | None:
    """Find the state of the loop that runs in this thread; `None` where nothing is watched."""
    state = WATCHED.get(id(_get_running_loop()))
    return DRIVEN.get(threading.get_ident()) if state is None and DRIVEN else state


def thread_clock(ident: int) -> int | None:
    """Give the clock of a thread's CPU time; `None` where the system has none."""
    get = getattr(time, "pthread_getcpuclockid", None)
    return None if get is None else get(ident)


def _clock(clock_id: int | None) -> float | None:
    if clock_id is None:
        return None
    try:
        return time.clock_gettime(clock_id)
    except OSError:
        return None


def cpu_seconds(clock_id: int | None) -> float:
    """Read such a clock; zero where there is none."""
    return _clock(clock_id) or 0.0
