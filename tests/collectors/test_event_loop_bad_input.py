# ruff: noqa: ASYNC251 - what blocks a loop is the subject here
"""Strange loops, systems, stacks and endings: no crash, and a truthful or a silent record."""

import asyncio
import contextlib
import gc
import hashlib
import io
import os
import pdb  # noqa: T100 - a breakpoint is the subject
import re
import signal
import sys
import threading
import time
from asyncio import events
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.collectors.event_loop import arrivals, watchdog
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import LoopBlock, RequestRecord
from tests.collectors.event_loop_requests import request, run, spin, the_block
from tests.installed import installed

ASYNCIO = asyncio.new_event_loop
UVLOOP = uvloop.new_event_loop
both_loops = pytest.mark.parametrize("make_loop", [ASYNCIO, UVLOOP], ids=["asyncio", "uvloop"])


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(event_loop, root=Path(__file__).parent) as hooks:
        yield hooks


async def blocking() -> None:
    time.sleep(0.15)


async def nothing() -> None:
    """Do nothing."""


class Proxy:
    """Stands before a loop and has room for nothing else."""

    __slots__ = ("_loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> object:
        return getattr(self._loop, name)


def driven(coroutine):
    """Run a coroutine without any loop, as trio would."""
    with contextlib.suppress(StopIteration):
        while True:
            coroutine.send(None)


def test_a_loop_without_room_for_attributes_is_timed_request_by_request(hooks: Hooks) -> None:
    records: list[RequestRecord] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        events._set_running_loop(Proxy(loop))
        try:
            records.append(await request("one", blocking))
            records.append(await request("two", blocking))
        finally:
            events._set_running_loop(loop)

    asyncio.run(work())

    (status,) = hooks.status()
    assert "only the steps of a request's own task" in status.why
    assert "Proxy refuses" in status.why
    assert [the_block(record).call for record in records] == ["time.sleep", "time.sleep"]
    assert records[0].time.on_loop_ms >= 150


def test_without_an_asyncio_loop_requests_are_recorded_and_the_reason_is_told(hooks: Hooks) -> None:
    records: list[RequestRecord] = []

    async def work() -> None:
        records.append(await request("r1", blocking))

    driven(work())

    (status,) = hooks.status()
    assert (status.on, "no asyncio loop runs here" in status.why) == (True, True)
    assert (records[0].id, the_block(records[0]).kind) == ("r1", "sleep")
    assert the_block(run(request("r2", blocking), ASYNCIO)).kind == "sleep"
    assert [(status.on, status.why) for status in hooks.status()] == [(True, "")]


def test_a_loop_that_is_replaced_while_it_runs_is_no_crash() -> None:
    other = asyncio.new_event_loop()

    async def endpoint() -> None:
        loop = asyncio.get_running_loop()
        events._set_running_loop(other)
        event_loop.watch_running_loop()
        time.sleep(0.1)
        events._set_running_loop(loop)
        time.sleep(0.1)

    record = run(request("r1", endpoint), ASYNCIO)
    other.close()

    assert [block.call for block in record.blocks] == ["time.sleep"]


@pytest.fixture
def without_proc(monkeypatch) -> None:
    """Hide what only Linux has."""

    def hiding(original):
        def hidden(path, *args, **options):
            if str(path).startswith(("/proc", "/dev/fd")):
                raise FileNotFoundError(path)
            return original(path, *args, **options)

        return hidden

    monkeypatch.setattr(os, "open", hiding(os.open))
    monkeypatch.setattr(arrivals, "_list", hiding(os.listdir))


async def hashing() -> None:
    hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 900_000)


async def computing() -> None:
    spin(0.2)


async def waiting_in_thread() -> None:
    await asyncio.to_thread(time.sleep, 0.2)


@pytest.mark.usefixtures("without_proc")
@pytest.mark.parametrize(
    ("endpoint", "kinds"),
    [
        (blocking, ["sleep"]),
        (hashing, ["password-hash"]),
        (computing, ["cpu"]),
        (waiting_in_thread, []),
    ],
)
def test_without_proc_the_resolved_name_tells_the_kind(endpoint, kinds) -> None:
    assert [block.kind for block in run(request("r1", endpoint), ASYNCIO).blocks] == kinds


@pytest.mark.usefixtures("without_proc")
def test_without_any_clock_of_threads_a_known_call_is_still_named(monkeypatch) -> None:
    monkeypatch.delattr(time, "pthread_getcpuclockid")

    assert the_block(run(request("r1", blocking), ASYNCIO)).kind == "sleep"


def test_threads_that_end_while_they_are_looked_at_are_no_crash() -> None:
    async def endpoint() -> None:
        for _ in range(400):
            threading.Thread(target=spin, args=(0.0002,)).start()
            await asyncio.sleep(0)

    assert run(request("r1", endpoint), ASYNCIO).id == "r1"


def test_a_loop_whose_thread_has_ended_is_no_crash() -> None:
    loop = asyncio.new_event_loop()

    def leave_it_open() -> None:
        loop.run_until_complete(request("one", nothing))

    thread = threading.Thread(target=leave_it_open)
    thread.start()
    thread.join()
    try:
        assert the_block(run(request("two", blocking), ASYNCIO)).kind == "sleep"
    finally:
        loop.close()


def test_a_stack_of_ten_thousand_frames_is_found_at_its_innermost_line() -> None:
    def deeper(depth: int) -> None:
        if depth:
            deeper(depth - 1)
        else:
            time.sleep(0.2)

    async def endpoint() -> None:
        deeper(10_000)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(11_000)
    try:
        block = the_block(run(request("r1", endpoint), ASYNCIO))
    finally:
        sys.setrecursionlimit(limit)

    assert (block.kind, block.call) == ("sleep", "time.sleep")
    assert block.location.function.endswith("deeper")
    assert len(block.stack) <= 8


@both_loops
def test_a_coroutine_that_never_yields_is_told_while_it_runs(make_loop, monkeypatch) -> None:
    monkeypatch.setattr(watchdog, "RUNNING_S", 0.2)
    told: list[LoopBlock] = []
    arrived = threading.Event()

    def listen(block: LoopBlock, _route: str) -> None:
        told.append(block)
        arrived.set()

    async def endpoint() -> None:
        await asyncio.sleep(0)
        end = time.perf_counter() + 20
        while not arrived.is_set() and time.perf_counter() < end:
            sum(range(1000))

    event_loop.on_block_of_nobody = listen
    run(request("r1", endpoint), make_loop)

    (block,) = told
    assert (block.ended, block.kind) == (False, "cpu")
    assert block.location.function.endswith("endpoint")
    assert block.duration_ms >= 200


def told_while_running(make_loop, first) -> LoopBlock:
    """Do *first*, wait in one call until a block is told, and give that block."""
    told: list[LoopBlock] = []
    arrived = threading.Event()

    def listen(block: LoopBlock, _route: str) -> None:
        told.append(block)
        arrived.set()

    async def endpoint() -> None:
        await asyncio.sleep(0)
        first()
        arrived.wait(20)

    event_loop.on_block_of_nobody = listen
    record = run(request("r1", endpoint), make_loop)

    (block,) = told
    assert not block.ended
    assert the_block(record).duration_ms >= block.duration_ms >= 200
    return block


@both_loops
def test_one_call_that_has_not_ended_is_told_while_it_runs(make_loop, monkeypatch) -> None:
    monkeypatch.setattr(watchdog, "RUNNING_S", 0.2)

    block = told_while_running(make_loop, lambda: None)

    assert (block.kind, block.call) == ("lock", "threading.Event.wait")


@both_loops
def test_what_kept_the_gil_is_told_as_soon_as_it_gives_it_back(make_loop, monkeypatch) -> None:
    monkeypatch.setattr(watchdog, "RUNNING_S", 0.2)
    slow_pattern, text = re.compile(r"(a+)+$"), "a" * 24 + "!"

    # Whoever gets the GIL first: at times the loop goes on to its next line before we can look.
    turns = (told_while_running(make_loop, lambda: slow_pattern.match(text)) for _ in range(4))

    assert any((block.kind, block.call) == ("regex", "re.Pattern.match") for block in turns)


def test_a_process_that_was_stopped_did_not_block() -> None:
    async def endpoint() -> None:
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGSTOP)

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            record = run(request("r1", endpoint), ASYNCIO)
            os.write(writer, repr([(b.kind, b.call) for b in record.blocks]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, os.WUNTRACED)
    time.sleep(0.5)  # that long it stands still
    os.kill(child, signal.SIGCONT)
    with os.fdopen(reader) as answer:
        assert answer.read() == "[]"
    os.waitpid(child, 0)


def test_a_process_that_uvloop_forks_for_is_not_called_computing() -> None:
    pages = [bytearray(4096) for _ in range(100_000)]  # their tables are copied, some 25 ms
    event_loop.configure(10)

    async def endpoint() -> None:
        with watchdog.WATCHDOG._looking:  # nobody sees it, as where the GIL is not won in time
            process = await asyncio.create_subprocess_exec("true")
        await process.wait()

    record = run(request("r1", endpoint), UVLOOP)

    assert len(pages) == 100_000
    assert {block.kind for block in record.blocks} == {"fork"}


def test_a_breakpoint_is_no_block() -> None:
    class Person(io.StringIO):
        def readline(self, *_: object) -> str:
            time.sleep(0.2)
            return "continue\n"

    async def endpoint() -> None:
        debugger = pdb.Pdb(stdin=Person(), stdout=io.StringIO(), nosigint=True, readrc=False)
        trace = sys.gettrace()
        debugger.set_trace()
        sys.settrace(trace)

    assert run(request("r1", endpoint), ASYNCIO).blocks == ()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks_count_for_their_request() -> None:
    async def endpoint() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await asyncio.create_task(blocking())
        await asyncio.sleep(0)

    assert the_block(run(request("r1", endpoint), ASYNCIO)).call == "time.sleep"


def test_other_patchers_before_and_after_us_are_called() -> None:
    calls: list[str] = []

    async def work() -> RequestRecord:
        loop = asyncio.get_running_loop()

        def patched(name: str):
            original = loop.call_soon

            def call_soon(*args, **options):
                calls.append(name)
                return original(*args, **options)

            return call_soon

        loop.call_soon = patched("before")
        event_loop.watch_running_loop()
        loop.call_soon = patched("after")
        return await asyncio.create_task(request("r1", blocking))

    record = asyncio.run(work())

    assert {"before", "after"} <= set(calls)
    assert the_block(record).kind == "sleep"


def test_nothing_of_a_request_is_kept_alive() -> None:
    class Marker:
        """Something of the request."""

    async def endpoint() -> None:
        marker = Marker()
        time.sleep(0.1)
        del marker

    run(request("r1", endpoint), ASYNCIO)
    gc.collect()

    assert not [found for found in gc.get_objects() if type(found) is Marker]
