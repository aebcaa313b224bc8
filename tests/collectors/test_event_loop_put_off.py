# ruff: noqa: ASYNC110, ASYNC251 - what blocks a loop is the subject here
"""A loop that goes on puts the watchdog's look off, and nothing is missed for it."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.collectors.event_loop import watchdog
from fastapi_diagnostics.collectors.event_loop.alarm import LockAlarm
from fastapi_diagnostics.collectors.event_loop.state import SETTINGS, WATCHED
from fastapi_diagnostics.collectors.event_loop.watchdog import WATCHDOG
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import LoopBlock
from tests.collectors.event_loop_requests import request, run, the_block
from tests.installed import installed

ASYNCIO = asyncio.new_event_loop
UVLOOP = uvloop.new_event_loop
both_loops = pytest.mark.parametrize("make_loop", [ASYNCIO, UVLOOP], ids=["asyncio", "uvloop"])
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="timerfd is a part of Linux")
BUSY_S = 0.6
PATIENCE_S = 20.0
"""A busy machine may let the watchdog wait; put off by the loop, it would not look at all."""


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(event_loop, root=Path(__file__).parent) as hooks:
        yield hooks


async def busy(seconds: float = BUSY_S, until: Callable[[], bool] = lambda: False) -> None:
    """Make one short step after the other."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and not until():
        await asyncio.sleep(0)


@on_linux
@both_loops
def test_nobody_looks_at_a_loop_that_goes_on(make_loop: Callable[[], object]) -> None:
    few = BUSY_S / SETTINGS.short_s / 3
    turns: list[int] = []

    async def endpoint() -> None:
        await busy(0.1)
        for _ in range(10):  # on a starved machine some steps take long, and are looked at
            before = WATCHDOG.turns
            await busy()
            turns.append(WATCHDOG.turns - before)
            if turns[-1] < few:
                break

    run(request("r1", endpoint), make_loop)

    assert min(turns) < few


@on_linux
def test_clocks_and_load_are_noted_all_the_same() -> None:
    ages: list[float] = []
    marks: list[int] = []

    async def endpoint() -> None:
        await busy()
        (state,) = WATCHED.values()
        ages.append(time.perf_counter() - state.readings[-1].at)
        marks.append(len(state.load.marks))

    run(request("r1", endpoint), ASYNCIO)

    assert ages[0] < 10 * SETTINGS.short_s
    assert marks[0] > BUSY_S / SETTINGS.short_s / 3


@both_loops
def test_a_block_after_many_short_steps_is_found(make_loop: Callable[[], object]) -> None:
    async def endpoint() -> None:
        await busy()
        time.sleep(0.1)

    block = the_block(run(request("r1", endpoint), make_loop))

    assert block.call == "time.sleep"
    assert block.location is not None
    assert block.location.function.endswith("endpoint")


@both_loops
def test_a_block_before_many_short_steps_is_found(make_loop: Callable[[], object]) -> None:
    async def endpoint() -> None:
        time.sleep(0.1)
        await busy()

    assert the_block(run(request("r1", endpoint), make_loop)).call == "time.sleep"


def test_without_a_movable_alarm_the_watchdog_looks_at_regular_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchdog, "make_alarm", LockAlarm)
    turns: list[int] = []

    async def endpoint() -> None:
        turns.append(WATCHDOG.turns)
        await busy(PATIENCE_S, until=lambda: WATCHDOG.turns - turns[0] >= 3)
        turns.append(WATCHDOG.turns)
        time.sleep(0.1)

    block = the_block(run(request("r1", endpoint), ASYNCIO))

    assert block.call == "time.sleep"
    assert turns[1] - turns[0] >= 3


@both_loops
def test_time_on_the_loop_is_complete(make_loop: Callable[[], object]) -> None:
    async def endpoint() -> None:
        for _ in range(100):
            time.sleep(0.002)
            await asyncio.sleep(0)

    record = run(request("r1", endpoint), make_loop)

    assert record.time is not None
    assert record.time.on_loop_ms is not None
    assert 200 <= record.time.on_loop_ms <= record.duration_ms


def test_two_requests_in_turns_get_their_own_times() -> None:
    async def light() -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def heavy() -> None:
        for _ in range(50):
            time.sleep(0.001)
            await asyncio.sleep(0)

    async def both() -> tuple[object, object]:
        return await asyncio.gather(request("light", light), request("heavy", heavy))

    with asyncio.Runner() as runner:
        one, two = runner.run(both())

    assert one.time.on_loop_ms < 25
    assert two.time.on_loop_ms >= 50
    assert one.time.queued_ms >= 40  # it stood behind the other one


@on_linux
def test_late_victims_are_told_while_the_loop_goes_on() -> None:
    told: dict[str, tuple[LoopBlock, ...]] = {}
    event_loop.on_late_victims = told.setdefault

    async def culprit() -> None:
        await asyncio.sleep(0.01)
        time.sleep(0.15)

    async def victim() -> None:
        await asyncio.sleep(0.02)
        await busy(0.1)

    async def all_of_them() -> None:
        await asyncio.gather(request("culprit", culprit), request("victim", victim))
        await request("r3", lambda: busy(1.0))

    try:
        with asyncio.Runner() as runner:
            runner.run(all_of_them())
    finally:
        event_loop.on_late_victims = None

    assert [block.victims[0].request_id for block in told["culprit"]] == ["victim"]


@on_linux
def test_the_watchdog_looks_itself_while_threads_compete_for_the_gil() -> None:
    turns: list[int] = []
    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            sum(range(1000))

    async def endpoint() -> None:
        thread = threading.Thread(target=compute)
        thread.start()
        turns.append(WATCHDOG.turns)
        await busy(PATIENCE_S, until=lambda: WATCHDOG.turns - turns[0] >= 5)
        turns.append(WATCHDOG.turns)
        over.set()
        thread.join()

    run(request("r1", endpoint), ASYNCIO)

    assert turns[1] - turns[0] >= 5
