# ruff: noqa: ASYNC251 - what blocks a loop is the subject here
"""Where a loop takes no stand-ins, the request's own steps are timed: nothing else changes."""

import asyncio
import contextlib
import contextvars
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import RequestRecord
from fastapi_diagnostics.recorder import CURRENT, Recorder
from tests.collectors.event_loop_requests import spin, the_block
from tests.installed import installed


class Refusing(asyncio.SelectorEventLoop):
    """A loop whose `call_soon` cannot be replaced."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in {"call_soon", "_call_soon", "call_at"}:
            raise AttributeError(f"{name} is read-only")
        super().__setattr__(name, value)


def on_refusing_loop(function: Any, *args: Any) -> Any:
    with asyncio.Runner(loop_factory=Refusing) as runner:
        return runner.run(function(*args))


both = pytest.mark.parametrize("run", [trio.run, on_refusing_loop], ids=["trio", "refusing"])


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(event_loop, root=Path(__file__).parent) as hooks:
        yield hooks


async def sleep(seconds: float) -> None:
    """Sleep as the running loop does."""
    if asyncio._get_running_loop() is None:
        await trio.sleep(seconds)
    else:
        await asyncio.sleep(seconds)


async def driven(endpoint: Any, results: list[Any] | None = None) -> RequestRecord:
    """Run an endpoint as the middleware does on a loop that is not watched."""
    assert not event_loop.watch_running_loop()
    recorder = Recorder(
        record_id="r1", kind="http", clock=time.perf_counter, wall=time.time, phase="endpoint"
    )
    recorder.driver = event_loop.driver()
    CURRENT.set(recorder)
    try:
        result = await recorder.driver(endpoint(), recorder)
        if results is not None:
            results.append(result)
        return recorder.seal("closed", route="GET /r1")
    finally:
        recorder.close()


async def blocking() -> str:
    await sleep(0)
    time.sleep(0.12)
    await sleep(0)
    return "done"


@both
def test_a_block_is_found_at_its_line_and_its_time_is_told(run) -> None:
    results: list[Any] = []

    record = run(driven, blocking, results)

    block = the_block(record)
    assert (results, block.kind, block.call) == (["done"], "sleep", "time.sleep")
    assert block.location.function.endswith("blocking")
    assert 115 <= block.duration_ms <= record.time.on_loop_ms + 0.001
    assert record.time.queued_ms is None


@both
def test_the_last_step_counts_too(run) -> None:
    async def endpoint() -> None:
        await sleep(0.001)
        spin(0.1)

    assert the_block(run(driven, endpoint)).kind == "cpu"


@both
def test_what_awaits_is_silent(run) -> None:
    async def endpoint() -> None:
        await sleep(0.15)

    record = run(driven, endpoint)

    assert record.blocks == ()
    assert record.time.on_loop_ms < 50
    assert record.time.awaiting_ms >= 100


@both
def test_the_status_says_how_much_is_seen(run, hooks: Hooks) -> None:
    run(driven, blocking)

    (status,) = hooks.status()
    assert status.on
    assert status.why.startswith("only the steps of a request's own task are timed, because ")
    assert ("no asyncio loop" if run is trio.run else "Refusing refuses") in status.why


@both
def test_an_exception_keeps_its_traceback_and_its_context(run) -> None:
    async def failing() -> None:
        await sleep(0)
        raise KeyError("it")

    with pytest.raises(KeyError) as caught:
        run(driven, failing)

    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-3:] == ["driven", "_drive", "failing"]
    assert caught.value.__context__ is None


@both
def test_variables_of_the_context_are_the_same_inside_and_outside(run) -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def endpoint() -> None:
        variable.set("inside")
        await sleep(0)

    async def around() -> str:
        await driven(endpoint)
        return variable.get()

    assert run(around) == "inside"


def test_a_cancelled_task_of_asyncio_is_cancelled_with_its_message() -> None:
    seen: list[str] = []

    async def endpoint() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            seen.append(
                f"{error.args} {[f.name for f in traceback.extract_tb(error.__traceback__)]}"
            )
            raise

    async def around() -> bool:
        task = asyncio.create_task(driven(endpoint))
        await asyncio.sleep(0.01)
        task.cancel("enough")
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert on_refusing_loop(around)
    assert len(seen) == 1
    assert seen[0].startswith("('enough',) ['endpoint', 'sleep'")
    assert "_drive" not in seen[0]


def test_a_timeout_of_asyncio_and_a_scope_of_trio_end_what_they_are_around() -> None:
    async def endless() -> None:
        await sleep(60)

    async def in_asyncio() -> bool:
        try:
            async with asyncio.timeout(0.02):
                await driven(endless)
        except TimeoutError:
            return True
        return False

    async def in_trio() -> bool:
        with trio.move_on_after(0.02) as scope:
            await driven(endless)
        return scope.cancelled_caught

    assert on_refusing_loop(in_asyncio)
    assert trio.run(in_trio)


@both
def test_what_is_caught_inside_goes_on(run) -> None:
    async def endpoint() -> str:
        try:
            if asyncio._get_running_loop() is None:
                with trio.fail_after(0.01):
                    await trio.sleep(60)
            else:
                async with asyncio.timeout(0.01):
                    await asyncio.sleep(60)
        except (trio.TooSlowError, TimeoutError):
            await sleep(0)
            return "late"
        return "never"

    results: list[Any] = []
    run(driven, endpoint, results)

    assert results == ["late"]


def test_an_application_that_is_closed_half_way_is_closed_once() -> None:
    closed: list[str] = []

    async def endpoint() -> None:
        try:
            await forever()
        finally:
            closed.append("endpoint")

    class Forever:
        def __await__(self):
            while True:
                yield

    async def forever() -> None:
        await Forever()

    coroutine = driven(endpoint)
    coroutine.send(None)
    coroutine.close()

    assert closed == ["endpoint"]


@both
def test_another_awaitable_than_a_coroutine_has_its_way(run) -> None:
    class Answer:
        def __await__(self):
            yield from sleep(0).__await__()
            return "answer"

    results: list[Any] = []
    run(driven, Answer, results)

    assert results == ["answer"]


def test_a_second_run_in_the_same_thread_is_watched_as_well() -> None:
    assert the_block(trio.run(driven, blocking)).kind == "sleep"
    assert the_block(on_refusing_loop(driven, blocking)).kind == "sleep"
    assert the_block(trio.run(driven, blocking)).kind == "sleep"


def test_two_requests_at_once_are_told_apart() -> None:
    async def around() -> list[RequestRecord]:
        records: list[RequestRecord] = []

        async def one(endpoint: Any) -> None:
            records.append(await driven(endpoint))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, blocking)
            nursery.start_soon(one, waiting)
        return records

    async def waiting() -> None:
        await trio.sleep(0.01)

    records = trio.run(around)

    assert sorted(len(record.blocks) for record in records) == [0, 1]


def test_undo_forgets_the_thread(hooks: Hooks) -> None:
    trio.run(driven, blocking)

    hooks.undo()

    assert event_loop.DRIVEN == {}
    assert event_loop.driver() is None
