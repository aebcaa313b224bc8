"""A task that outlives its request, or one of the lifespan, holds the loop."""

import asyncio
import contextvars
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors import event_loop, tasks
from fastapi_diagnostics.collectors.event_loop.outside import MAX_OF_ONE
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import LoopBlock
from fastapi_diagnostics.recorder import CURRENT, Recorder
from tests.collectors.event_loop_requests import request, run

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
LOOP_NAMES = ["asyncio", "uvloop"]
ATTEMPTS = 5
"""A machine that gives the watchdog no processor lets it see nothing, and then nothing is said."""


class Told:
    """What the watchdog's thread told, by the record it belongs to; empty for nobody's."""

    def __init__(self) -> None:
        self.blocks: list[tuple[str, LoopBlock]] = []

    def of_record(self, record_id: str, blocks: tuple[LoopBlock, ...]) -> None:
        self.blocks += [(record_id, block) for block in blocks]

    def of_nobody(self, block: LoopBlock, _route: str) -> None:
        self.blocks.append(("", block))


@pytest.fixture
def told() -> Iterator[Told]:
    event_loop.configure(50)
    hooks = Hooks()
    listener = Told()
    USER_CODE.reset()
    USER_CODE.add_root(Path(__file__).parent)
    tasks.install(hooks)
    event_loop.install(hooks)
    event_loop.on_late_victims = listener.of_record
    event_loop.on_block_of_nobody = listener.of_nobody
    yield listener
    hooks.undo()
    USER_CODE.reset()
    event_loop.on_block_of_nobody = event_loop.on_late_victims = None
    assert FAULTS.all() == ()


def left_behind(seconds: float = 0.1) -> Callable[[], object]:
    """Make an endpoint that starts a task and does not wait for it."""

    async def later() -> None:
        await asyncio.sleep(0.02)
        time.sleep(seconds)  # noqa: ASYNC251 - blocks

    async def endpoint() -> None:
        STARTED.append(asyncio.create_task(later()))

    return endpoint


STARTED: list[asyncio.Task[None]] = []


async def until_told(told: Told) -> None:
    """Wait for what is told 150 ms after a block, if it is."""
    await asyncio.gather(*STARTED)
    STARTED.clear()
    end = time.perf_counter() + 1.0
    while not told.blocks and time.perf_counter() < end:  # noqa: ASYNC110 - of another thread
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("make_loop", LOOPS, ids=LOOP_NAMES)
def test_what_a_task_does_after_its_request_is_added_to_that_record(make_loop, told) -> None:
    async def work() -> None:
        await request("r1", left_behind())
        await until_told(told)

    for _ in range(ATTEMPTS):
        run(work(), make_loop)
        if told.blocks:
            break

    record_id, block = told.blocks[0]
    assert (record_id, block.kind, block.call, block.phase) == (
        "r1",
        "sleep",
        "time.sleep",
        "outside",
    )
    assert block.location is not None
    assert block.location.function.endswith("later")
    assert block.duration_ms > 95


def test_who_waited_for_it_is_a_victim(told) -> None:
    async def innocent() -> None:
        for _ in range(30):
            await asyncio.sleep(0.005)

    async def work() -> None:
        await request("r1", left_behind())
        await contextvars.Context().run(asyncio.create_task, request("r2", innocent))
        await until_told(told)

    for _ in range(ATTEMPTS):
        run(work(), asyncio.new_event_loop)
        if told.blocks and told.blocks[-1][1].victims:
            break

    assert [victim.request_id for victim in told.blocks[-1][1].victims] == ["r2"]


def test_a_task_of_the_lifespan_is_nobodys(told) -> None:
    async def poll() -> None:
        await asyncio.sleep(0.02)
        time.sleep(0.1)  # noqa: ASYNC251 - blocks

    async def lifespan() -> None:
        recorder = Recorder(
            record_id="p1", kind="process", clock=time.perf_counter, wall=time.time, phase="startup"
        )
        CURRENT.set(recorder)
        recorder.close()
        STARTED.append(asyncio.create_task(poll()))

    async def in_flight() -> None:
        await asyncio.sleep(0.2)

    async def work() -> None:
        await contextvars.Context().run(asyncio.create_task, lifespan())
        await contextvars.Context().run(asyncio.create_task, request("r1", in_flight))
        await until_told(told)

    for _ in range(ATTEMPTS):
        run(work(), asyncio.new_event_loop)
        if told.blocks:
            break

    record_id, block = told.blocks[0]
    assert (record_id, block.kind, block.call) == ("", "sleep", "time.sleep")


def test_what_the_caller_of_an_application_does_is_not_its_requests_doing(told) -> None:
    async def nothing() -> None:
        await asyncio.sleep(0)

    async def work() -> None:
        await request("r1", nothing)  # in this very task and context, as test clients do
        await asyncio.sleep(0.02)
        time.sleep(0.1)  # noqa: ASYNC251 - blocks, and is nobody's business
        await asyncio.sleep(0.4)

    run(work(), asyncio.new_event_loop)

    assert told.blocks == []


def test_a_consumer_that_lives_on_adds_so_much_and_no_more(told) -> None:
    async def consume() -> None:
        for _ in range(MAX_OF_ONE + 5):
            await asyncio.sleep(0)
            time.sleep(0.055)  # noqa: ASYNC251 - blocks

    async def endpoint() -> None:
        STARTED.append(asyncio.create_task(consume()))

    async def work() -> None:
        await request("r1", endpoint)
        await until_told(told)
        await asyncio.sleep(0.3)

    run(work(), asyncio.new_event_loop)

    assert len({block.id for _, block in told.blocks}) <= MAX_OF_ONE
