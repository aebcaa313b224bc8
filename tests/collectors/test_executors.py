"""A thread of an executor works for the request that submitted to it, and for nobody afterwards."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import uvloop

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors import executors
from fastapi_diagnostics.collectors.event_loop.threads import Glimpse, described, glimpses
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.recorder import CURRENT, Recorder, active
from tests.installed import installed

OTHER = contextvars.ContextVar("other", default="nothing")


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(executors, root=Path(__file__).parent) as hooks:
        yield hooks


@pytest.fixture
def one_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def in_request(work):
    """Run with a recorder of its own, in a context of its own."""
    recorder = Recorder(record_id="r1", kind="http", clock=time.perf_counter, wall=time.time)

    def run():
        CURRENT.set(recorder)
        return work(recorder)

    return contextvars.copy_context().run(run)


@pytest.mark.parametrize("module", [asyncio, uvloop], ids=["asyncio", "uvloop"])
def test_run_in_executor_belongs_to_the_request(module) -> None:
    async def ask() -> Recorder | None:
        return await asyncio.get_running_loop().run_in_executor(None, active)

    def work(recorder: Recorder) -> bool:
        with asyncio.Runner(loop_factory=module.new_event_loop) as runner:
            return runner.run(ask()) is recorder

    assert in_request(work)


def test_submit_and_map_belong_to_the_request(one_thread: ThreadPoolExecutor) -> None:
    def work(recorder: Recorder) -> bool:
        found = [one_thread.submit(active).result(), *one_thread.map(lambda _: active(), "ab")]
        return found == [recorder] * 3

    assert in_request(work)


def test_the_thread_is_free_afterwards(one_thread: ThreadPoolExecutor) -> None:
    in_request(lambda _: one_thread.submit(active).result())

    assert one_thread.submit(CURRENT.get).result() is None


def test_it_is_free_after_a_failure_too(one_thread: ThreadPoolExecutor) -> None:
    def work(_: Recorder) -> None:
        with pytest.raises(ZeroDivisionError):
            one_thread.submit(divmod, 1, 0).result()

    in_request(work)

    assert one_thread.submit(CURRENT.get).result() is None


def test_nothing_else_of_the_context_is_carried(one_thread: ThreadPoolExecutor) -> None:
    def work(_: Recorder) -> str:
        OTHER.set("of the request")
        return one_thread.submit(OTHER.get).result()

    assert in_request(work) == "nothing"


def test_what_outlives_its_request_belongs_to_nobody(one_thread: ThreadPoolExecutor) -> None:
    def work(recorder: Recorder) -> Recorder | None:
        recorder.close()
        return one_thread.submit(active).result()

    assert in_request(work) is None


def test_arguments_and_results_pass_unchanged(one_thread: ThreadPoolExecutor) -> None:
    def work(_: Recorder) -> list[object]:
        return [
            one_thread.submit(dict, [("a", 1)], fn=2, self=3).result(),
            list(one_thread.map(divmod, [7, 8], [2, 3])),
        ]

    assert in_request(work) == [{"a": 1, "fn": 2, "self": 3}, [(3, 1), (2, 2)]]


def test_what_cannot_be_called_fails_as_without_us(one_thread: ThreadPoolExecutor) -> None:
    def work(_: Recorder) -> BaseException | None:
        return one_thread.submit(None).exception()

    assert str(in_request(work)) == "'NoneType' object is not callable"


@pytest.fixture
def user_code() -> Iterator[None]:
    USER_CODE.reset()
    USER_CODE.add_root(Path(__file__).parent)
    yield
    USER_CODE.reset()


@pytest.mark.usefixtures("user_code")
def test_whoever_looks_at_threads_is_told_the_request(one_thread: ThreadPoolExecutor) -> None:
    def look() -> list[Recorder | None]:
        seen = glimpses(time.perf_counter(), frozenset())
        return [doing.recorder for doing in described(seen).values()]

    def work(recorder: Recorder) -> bool:
        with ThreadPoolExecutor(1) as another:

            def wait() -> list[Recorder | None]:
                return another.submit(look).result()

            return recorder in one_thread.submit(wait).result()

    assert in_request(work)


@pytest.mark.usefixtures("user_code")
def test_the_request_is_told_although_anyios_thread_has_gone_on_since() -> None:
    entered, over = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        over.wait(10)

    async def glimpsed() -> dict[int, Glimpse]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, wait)
            await asyncio.to_thread(entered.wait, 10)
            seen = glimpses(time.perf_counter(), frozenset())
            over.set()
        await anyio.to_thread.run_sync(int)  # by the same thread
        return seen

    def work(recorder: Recorder) -> bool:
        seen = asyncio.run(glimpsed())
        return recorder in [doing.recorder for doing in described(seen).values()]

    assert in_request(work)
