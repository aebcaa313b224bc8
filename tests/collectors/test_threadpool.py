"""Time in the threadpool is told apart: waiting for a thread, and running in it."""

import functools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from fastapi import FastAPI

from fastapi_diagnostics.collectors import threadpool
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.times import PART, TimePart
from fastapi_diagnostics.recorder import CURRENT, Recorder
from tests.collectors.recorded_calls import call
from tests.installed import installed


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(threadpool, root=Path(__file__).parent) as hooks:
        yield hooks


def a_recorder() -> Recorder:
    recorder = Recorder(record_id="r1", kind="http", clock=time.perf_counter, wall=time.time)
    CURRENT.set(recorder)
    return recorder


def test_a_plain_def_endpoint_counts_as_time_in_the_threadpool() -> None:
    app = FastAPI()

    @app.get("/")
    def endpoint() -> str:
        time.sleep(0.1)
        return "done"

    assert call(app, "/").record.time.threadpool_ms >= 99


def test_an_async_endpoint_has_none() -> None:
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> str:
        return "done"

    assert call(app, "/").record.time.threadpool_ms is None


def test_waiting_for_a_thread_is_told_apart_from_running_in_one() -> None:
    async def work() -> TimePart:
        recorder = a_recorder()
        one_thread = anyio.CapacityLimiter(1)
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(
                    lambda: anyio.to_thread.run_sync(time.sleep, 0.1, limiter=one_thread)
                )
        return recorder.part(PART, TimePart)

    part = anyio.run(work)

    assert part.threadpool >= 0.29
    assert 0.09 <= part.threadpool_wait <= part.threadpool - 0.19


def test_arguments_results_and_errors_pass_unchanged() -> None:
    async def work() -> None:
        a_recorder()
        assert await anyio.to_thread.run_sync(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await anyio.to_thread.run_sync(divmod, 7, 0)

    anyio.run(work)


def test_a_cancelled_call_is_still_cancelled_and_counted() -> None:
    async def work() -> float:
        recorder = a_recorder()
        release = threading.Event()
        with anyio.move_on_after(0.05) as scope:
            await anyio.to_thread.run_sync(release.wait, 5, abandon_on_cancel=True)
        release.set()
        assert scope.cancelled_caught
        return recorder.part(PART, TimePart).threadpool

    assert 0.04 <= anyio.run(work) < 4


def test_nothing_is_noted_outside_of_a_request_or_after_it() -> None:
    async def work() -> Recorder:
        recorder = a_recorder()
        recorder.close()
        await anyio.to_thread.run_sync(int)
        CURRENT.set(None)
        await anyio.to_thread.run_sync(int)
        return recorder

    assert anyio.run(work).parts == {}


def test_undo_puts_the_original_back(hooks: Hooks) -> None:
    replaced = anyio.to_thread.run_sync

    hooks.undo()

    assert anyio.to_thread.run_sync is not replaced
    assert anyio.to_thread.run_sync is replaced.__wrapped__


def two_at_once(first, second) -> tuple:
    """Run two calls that share one thread; gives the waits, the second call's last."""

    async def work() -> tuple:
        recorder = a_recorder()
        recorder.scope = {"type": "http", "method": "GET", "path": "/labels", "endpoint": second}
        one_thread = anyio.CapacityLimiter(1)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: anyio.to_thread.run_sync(first, limiter=one_thread))
            group.start_soon(lambda: anyio.to_thread.run_sync(second, limiter=one_thread))
        return recorder.seal("closed").thread_waits

    return anyio.run(work)


def slow() -> None:
    time.sleep(0.1)


def quick() -> None:
    """Be through at once."""


def test_who_waited_for_a_thread_and_who_had_it_is_told() -> None:
    (wait,) = two_at_once(slow, quick)

    assert (wait.name, wait.role, wait.threads) == ("quick", "endpoint", 1)
    assert wait.waited_ms >= 95
    assert wait.ran_ms is not None
    (holder,) = wait.holders
    assert (holder.name, holder.route, holder.threads) == ("slow", "GET /labels", 1)


def test_with_a_thread_to_spare_nobody_waited() -> None:
    async def work() -> tuple:
        recorder = a_recorder()
        two_threads = anyio.CapacityLimiter(2)
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(lambda: anyio.to_thread.run_sync(slow, limiter=two_threads))
        return recorder.seal("closed").thread_waits

    assert anyio.run(work) == ()


def test_a_class_as_a_dependency_is_known_for_one() -> None:
    class Pagination:
        def __init__(self, page: int = 1) -> None:
            self.page = page

    async def work() -> tuple:
        recorder = a_recorder()
        recorder.enter("dependencies")
        one_thread = anyio.CapacityLimiter(1)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: anyio.to_thread.run_sync(slow, limiter=one_thread))
            make = functools.partial(Pagination, page=2)
            group.start_soon(lambda: anyio.to_thread.run_sync(make, limiter=one_thread))
        return recorder.seal("closed").thread_waits

    (wait,) = anyio.run(work)

    assert wait.role == "class-dependency"
    assert wait.name.endswith("Pagination")


def test_nothing_is_remembered_of_calls_that_are_through() -> None:
    two_at_once(slow, quick)

    assert threadpool._OPEN == {}
