"""What a callback of the event loop costs with us and without, beside asyncio's debug mode.

    python -m benchmarks.callbacks [--rounds 41] [--steps 4000]

Loops with us and without take turns in one process, in short rounds; the figures are medians of
the paired differences, in CPU time of the loop's thread. A step is one ``await asyncio.sleep(0)``
of a task that belongs to a request: one callback. A request is a task that is opened, awaits once
and is sealed, with the event loop's part and without.

The yardstick is the plainest timer that tells a request its time on the loop and in the queue:
two functions in Python and three readings of the clock for each callback, and no eye on blocks.
The goals were set with one like it, on a machine where it cost what `YARDSTICK_US` says; divide
by it to compare machines.
"""

import argparse
import asyncio
import operator
import sys
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import uvloop

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.collectors.event_loop.watchdog import NAME
from fastapi_diagnostics.collectors.hooks import HOOKS
from fastapi_diagnostics.collectors.times import PART
from fastapi_diagnostics.recorder import CURRENT, PARTS_FROM_START, Recorder

GOALS_US = {"asyncio": 0.40, "uvloop": 0.45}
YARDSTICK_US = {"asyncio": 0.34, "uvloop": 0.42}
GOAL_REQUEST_US = 6.0
GOAL_CORE = 0.01
_IN_FLIGHT_S = 3.0

Loop = asyncio.AbstractEventLoop


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.callbacks")
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--steps", type=int, default=4000)
    options = parser.parse_args()
    event_loop.install(HOOKS)
    print("| loop | | bare, µs a step | added, µs a step | goal |\n| --- | --- | --- | --- | --- |")
    for name, make in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop)):
        timed = (_plainly_timed(make()), _watched(make))
        bare, (plain, added) = _compared(make(), timed, options.rounds, options.steps)
        print(f"| {name} | with us | {bare:.2f} | {added:+.2f} | {GOALS_US[name]:.2f} |")
        print(f"| {name} | yardstick | {bare:.2f} | {plain:+.2f} | {YARDSTICK_US[name]:.2f} then |")
        times, goal = added / plain, GOALS_US[name] / YARDSTICK_US[name]
        print(f"| {name} | with us, in yardsticks | | {times:.2f} | {goal:.2f} |")
        debugged = make()
        debugged.set_debug(True)
        bare, (added,) = _compared(make(), (debugged,), 5, options.steps // 10)
        print(f"| {name} | debug mode | {bare:.2f} | {added:+.2f} | |")
    print("\n| loop | | without the loop's part, µs a request | added | goal |")
    print("| --- | --- | --- | --- | --- |")
    for name, make in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop)):
        bare, added = _requests(make(), _watched(make), options.rounds, options.steps // 10)
        print(f"| {name} | with us | {bare:.1f} | {added:+.1f} | {GOAL_REQUEST_US:.0f} |")
    print(f"\nThe watchdog took {_in_flight():.2%} of a core while a request was in flight "
          f"(goal: {GOAL_CORE:.0%}).")  # fmt: skip
    HOOKS.undo()
    return 0


def _plainly_timed(loop: Any) -> Any:
    """Give the loop with the yardstick on it, where we would stand in too."""
    clock, current = time.perf_counter, CURRENT.get

    def timed(callback: Any, args: tuple[Any, ...], queued: float) -> Any:
        begin = clock()
        try:
            return callback(*args)
        finally:
            ended = clock()
            recorder = current()
            part = None if recorder is None else recorder.timing
            if part is not None:
                part.on_loop += ended - begin
                part.queued += begin - queued

    if isinstance(loop, asyncio.BaseEventLoop):
        queue = loop._call_soon  # type: ignore[attr-defined] # noqa: SLF001

        def queue_timed(callback: Any, args: tuple[Any, ...], context: Any) -> Any:
            return queue(timed, (callback, args, clock()), context)

        loop._call_soon = queue_timed  # type: ignore[attr-defined] # noqa: SLF001
    else:
        call_soon = loop.call_soon

        def call_timed_soon(callback: Any, *args: Any, context: Any = None) -> Any:
            return call_soon(timed, callback, args, clock(), context=context)

        loop.call_soon = call_timed_soon
    return loop


def _watched(make: Callable[[], Loop]) -> Loop:
    loop = make()
    loop.run_until_complete(_watch())
    return loop


async def _watch() -> None:
    event_loop.watch_running_loop()
    await asyncio.sleep(0)


def _compared(
    bare: Loop, others: tuple[Loop, ...], rounds: int, steps: int
) -> tuple[float, tuple[float, ...]]:
    """Give the median µs of a step of the bare loop, and what each of the others adds to it."""
    loops = (bare, *others)
    spent: dict[Loop, list[float]] = {loop: [] for loop in loops}
    try:
        for number in range(rounds + 1):
            for loop in loops if number % 2 else reversed(loops):
                spent[loop].append(_round(loop, steps))
    finally:
        for loop in loops:
            loop.close()
    plain = spent[bare][1:]
    added = (map(operator.sub, spent[loop][1:], plain) for loop in others)
    return median(plain), tuple(map(median, added))


def _round(loop: Loop, steps: int) -> float:
    """Give µs a step."""

    async def work() -> float:
        _request()
        began = time.thread_time()
        for _ in range(steps):
            await asyncio.sleep(0)
        return (time.thread_time() - began) / steps * 1e6

    return loop.run_until_complete(work())


def _requests(bare: Loop, ours: Loop, rounds: int, count: int) -> tuple[float, float]:
    """Give the median µs of a request without us, and what we add."""
    part = PARTS_FROM_START.pop(PART)
    pairs = []
    for number in range(rounds + 1):
        spent = {}
        for loop in (bare, ours) if number % 2 else (ours, bare):
            if loop is ours:
                PARTS_FROM_START[PART] = part
            spent[loop] = loop.run_until_complete(_served(count, watched=loop is ours))
            PARTS_FROM_START.pop(PART, None)
        pairs.append((spent[bare], spent[ours] - spent[bare]))
    PARTS_FROM_START[PART] = part
    bare.close()
    ours.close()
    return median(one for one, _ in pairs[1:]), median(added for _, added in pairs[1:])


async def _served(count: int, *, watched: bool) -> float:
    async def request() -> None:
        if watched:
            event_loop.watch_running_loop()
        recorder = _request()
        await asyncio.sleep(0)
        if watched:
            event_loop.before_response(time.perf_counter())
        recorder.take("closed", {})
        recorder.close()

    began = time.thread_time()
    for _ in range(count):
        await asyncio.create_task(request())
    return (time.thread_time() - began) / count * 1e6


def _request() -> Recorder:
    recorder = Recorder(record_id="r", kind="http", clock=time.perf_counter, wall=time.time)
    CURRENT.set(recorder)
    return recorder


def _in_flight() -> float:
    """Give the share of a core that the watchdog's thread takes while a request awaits."""

    async def work() -> float:
        event_loop.watch_running_loop()
        _request()
        await asyncio.sleep(0.1)
        began, before = time.perf_counter(), _watchdog_cpu()
        for _ in range(int(_IN_FLIGHT_S / 0.005)):
            await asyncio.sleep(0.005)
        return (_watchdog_cpu() - before) / (time.perf_counter() - began)

    return asyncio.run(work())


def _watchdog_cpu() -> float:
    thread: Any = next(one for one in threading.enumerate() if one.name == NAME)
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


if __name__ == "__main__":
    sys.exit(main())
