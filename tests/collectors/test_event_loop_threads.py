# ruff: noqa: ASYNC110 - ends of threads are waited for
"""What is behind a block: greenlets, other threads that keep the GIL, and many short stretches."""

import asyncio
import functools
import gc
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from sqlalchemy.ext.asyncio import create_async_engine

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.collectors.event_loop.watchdog import WATCHDOG
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import LoopBlock, RequestRecord
from tests.collectors.event_loop_requests import request, run, spin, the_block
from tests.installed import installed

ASYNCIO = asyncio.new_event_loop
UVLOOP = uvloop.new_event_loop
both_loops = pytest.mark.parametrize("make_loop", [ASYNCIO, UVLOOP], ids=["asyncio", "uvloop"])
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads other threads' clocks")

PATTERN = re.compile(r"(a+)+$")
ATTEMPTS = 30
"""A machine that gives this process no processor makes us silent, rightly; then once more."""


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(event_loop, root=Path(__file__).parent) as hooks:
        yield hooks


def line_of(mark: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (found,) = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {mark}")]
    return found


async def nothing() -> None:
    """Do nothing."""


def until(attempt: Callable[[], LoopBlock | None]) -> LoopBlock:
    found = next(filter(None, (attempt() for _ in range(ATTEMPTS))), None)
    assert found is not None
    return found


@both_loops
def test_a_block_in_a_greenlet_of_sqlalchemy_leads_to_the_endpoint(make_loop) -> None:
    engine = create_async_engine("sqlite+aiosqlite://")

    def inside(_connection) -> None:
        time.sleep(0.2)  # here: inside

    async def endpoint() -> None:
        async with engine.connect() as connection:
            await connection.run_sync(inside)  # here: run_sync
        await engine.dispose()

    block = the_block(run(request("r1", endpoint), make_loop))

    assert block.location.line == line_of("here: inside")
    assert block.coroutine.line == line_of("here: run_sync")


def test_a_greenlet_that_runs_only_library_code_is_blamed_on_the_endpoint() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")

    async def endpoint() -> None:
        async with engine.connect() as connection:
            await connection.run_sync(lambda _: None)
            await connection.run_sync(sleep_of_a_library)  # here: library
        await engine.dispose()

    namespace: dict[str, Callable[[object], None]] = {}
    code = "import time\ndef sleep_of_a_library(_): time.sleep(0.2)"
    exec(compile(code, "/usr/lib/vendor.py", "exec"), namespace)  # noqa: S102 - nobody's file
    sleep_of_a_library = namespace["sleep_of_a_library"]

    block = the_block(run(request("r1", endpoint), ASYNCIO))

    assert block.location.line == line_of("here: library")


def test_the_tracer_of_greenlets_goes_with_the_rest(hooks: Hooks) -> None:
    greenlet = pytest.importorskip("greenlet")

    async def nothing() -> None:
        """Do nothing."""

    run(request("r1", nothing), ASYNCIO)
    during = greenlet.gettrace()
    hooks.undo()

    assert during is not None
    assert greenlet.gettrace() is None


def test_a_tracer_of_somebody_else_stays() -> None:
    greenlet = pytest.importorskip("greenlet")
    theirs = lambda *_: None  # noqa: E731 - one of theirs

    async def nothing() -> None:
        """Do nothing."""

    greenlet.settrace(theirs)
    try:
        run(request("r1", nothing), ASYNCIO)
        assert greenlet.gettrace() is theirs
    finally:
        greenlet.settrace(None)


def scan() -> None:
    PATTERN.match("a" * 24 + "!")  # here: scan


@on_linux
@both_loops
def test_a_thread_that_keeps_the_gil_is_named_with_its_request(make_loop) -> None:
    told: dict[str, LoopBlock] = {}

    def late(record_id: str, blocks: tuple[LoopBlock, ...]) -> None:
        told.update(dict.fromkeys([record_id], blocks[-1]))

    async def endpoint() -> None:
        await asyncio.to_thread(scan)

    async def work() -> RequestRecord:
        record = await request("r1", endpoint)
        end = time.perf_counter() + 0.6
        while not told and not record.blocks and time.perf_counter() < end:
            await asyncio.sleep(0.02)
        return record

    def attempt() -> LoopBlock | None:
        return next(iter(run(work(), make_loop).blocks), None) or told.get("r1")

    event_loop.on_late_victims = late
    block = until(attempt)

    assert (block.kind, block.call) == ("gil", "re.Pattern.match")
    assert block.location.line == line_of("here: scan")
    assert block.thread


@pytest.fixture
def slow_collection() -> Iterator[Callable[[], None]]:
    """Give what makes the garbage collector come by itself and take its time, in a library."""
    code = (
        "def make():\n made.append(threading.get_ident())\n return [[] for _ in range(5000)]\n"
        "def collected(phase, _):\n"
        " if phase == 'start' and made and made.pop() == threading.get_ident(): match()"
    )
    library: dict[str, Any] = {
        "__name__": "vendor",
        "threading": threading,
        "made": [],
        "match": functools.partial(PATTERN.match, "a" * 24 + "!"),
    }
    exec(compile(code, "/usr/lib/vendor.py", "exec"), library)  # noqa: S102 - nobody's file
    gc.callbacks.append(library["collected"])
    yield library["make"]
    gc.callbacks.remove(library["collected"])


@on_linux
def test_a_collection_that_begins_by_itself_is_not_the_threads_doing(slow_collection) -> None:
    told: list[LoopBlock] = []
    pauses_ms: list[float] = []

    def work() -> None:
        began = time.perf_counter()
        slow_collection()
        pauses_ms.append((time.perf_counter() - began) * 1000)

    async def endpoint() -> None:
        await asyncio.to_thread(work)
        await asyncio.sleep(0.05)

    event_loop.on_late_victims = lambda _, blocks: told.extend(blocks)
    blocks = [block for _ in range(3) for block in run(request("r1", endpoint), ASYNCIO).blocks]

    assert min(pauses_ms) > 200
    assert (told, blocks) == ([], [])


@on_linux
def test_a_thread_of_no_request_is_nobodys() -> None:
    told: list[LoopBlock] = []

    async def endpoint() -> None:
        thread = threading.Thread(target=scan, name="indexer")
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)

    def attempt() -> LoopBlock | None:
        run(request("r1", endpoint), ASYNCIO)
        return told[0] if told else None

    event_loop.on_block_of_nobody = lambda block, _: told.append(block)
    block = until(attempt)

    assert (block.thread, block.location.line) == ("indexer", line_of("here: scan"))


@on_linux
def test_who_keeps_the_gil_when_no_loop_runs_any_more_disturbs_none() -> None:
    told: list[LoopBlock] = []
    event_loop.on_block_of_nobody = lambda block, _: told.append(block)
    awake: list[bool] = []

    def serve() -> None:
        run(request("r1", nothing), ASYNCIO)

    for _ in range(3):  # one of them would be seen
        server = threading.Thread(target=serve)
        server.start()
        server.join()
        awake.append(not WATCHDOG.asleep)
        scan()
        turns = WATCHDOG.turns
        end = time.perf_counter() + 5
        while WATCHDOG.turns < turns + 2 and not WATCHDOG.asleep and time.perf_counter() < end:
            time.sleep(0.005)

    assert all(awake)
    assert told == []


def test_a_thread_that_computes_in_python_is_not_accused() -> None:
    told: list[LoopBlock] = []

    async def endpoint() -> None:
        thread = threading.Thread(target=spin, args=(0.5,))
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.005)

    event_loop.on_block_of_nobody = lambda block, _: told.append(block)
    record = run(request("r1", endpoint), ASYNCIO)

    assert (told, record.blocks) == ([], ())


@both_loops
def test_many_short_stretches_are_counted_at_their_line(make_loop) -> None:
    async def endpoint() -> None:
        for _ in range(10):
            end = time.thread_time() + 0.035
            while time.thread_time() < end:  # here: short
                sum(range(2_000))
            await asyncio.sleep(0)

    def attempt() -> LoopBlock | None:
        record = run(request("r1", endpoint), make_loop)
        many = [shorts for shorts in record.short_blocks if shorts.count >= 3]
        return many[0].longest if many else None

    block = until(attempt)

    assert block.kind == "cpu"
    assert 0 <= block.location.line - line_of("here: short") <= 1
    assert 20 <= block.duration_ms < 50


def test_short_turns_are_not_worth_counting() -> None:
    async def endpoint() -> None:
        for _ in range(100):
            spin(0.001)
            await asyncio.sleep(0)

    assert run(request("r1", endpoint), ASYNCIO).short_blocks == ()
