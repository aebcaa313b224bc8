# ruff: noqa: RUF006 - tasks are lost on purpose, and asyncio is looked at closely
"""Tasks and coroutines that nobody waited for: what is noted, and that nobody notices us."""

import asyncio
import gc
import logging
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastapi_diagnostics.collectors import tasks
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import LooseTask, RequestRecord
from fastapi_diagnostics.recorder import CURRENT, Recorder
from tests.installed import installed

KEPT: list[Any] = []


class Late:
    """Takes what is told of after a record was sealed."""

    def __init__(self) -> None:
        self.told: list[tuple[str | None, LooseTask]] = []

    def __call__(self, record_id: str | None, facts: tuple[LooseTask, ...]) -> None:
        self.told += ((record_id, fact) for fact in facts)


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    KEPT.clear()
    with installed(tasks, root=Path(__file__).parent) as hooks:
        yield hooks


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Late:
    told = Late()
    monkeypatch.setattr(tasks, "on_late", told)
    return told


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.getLogger("asyncio").disabled = True
    yield
    logging.getLogger("asyncio").disabled = False


async def fail() -> None:
    raise ValueError("no such order")


async def wait() -> None:
    await asyncio.Event().wait()


async def send(_to: str = "") -> bool:
    return True


async def turns(number: int = 4) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def a_recorder() -> Recorder:
    return Recorder(record_id="r1", kind="http", clock=time.perf_counter, wall=time.time)


def recorded(endpoint: Callable[[], Awaitable[Any]], **options: Any) -> RequestRecord:
    """Run *endpoint* as a request and give its record, as sealed when it had returned."""

    async def serve() -> RequestRecord:
        recorder = a_recorder()
        CURRENT.set(recorder)
        await endpoint()
        record = recorder.seal("closed")
        recorder.close()
        return record

    with asyncio.Runner(**options) as runner:
        return runner.run(serve())


def line_of(function: Any, offset: int) -> int:
    return function.__code__.co_firstlineno + offset


# What is noted.


def test_a_failed_task_is_told_with_line_and_exception() -> None:
    async def endpoint() -> None:
        asyncio.create_task(fail())
        await turns()

    (fact,) = recorded(endpoint).loose_tasks

    assert (fact.kind, fact.name, fact.exact) == ("failed", "fail", True)
    assert fact.created_at is not None
    assert fact.created_at.line == line_of(endpoint, 1)
    assert fact.defined_at is not None
    assert fact.defined_at.function == "fail"
    assert fact.exception is not None
    assert (fact.exception.type, fact.exception.message) == ("ValueError", "no such order")
    assert fact.exception.location is not None
    assert fact.exception.location.line == line_of(fail, 1)
    assert not fact.after_response


def test_a_task_that_fails_after_its_request_is_told_of_behind_it(late: Late) -> None:
    go = asyncio.Event()

    async def fail_when_told() -> None:
        await go.wait()
        raise ValueError

    async def main() -> None:
        recorder = a_recorder()
        CURRENT.set(recorder)
        asyncio.create_task(fail_when_told())
        await asyncio.sleep(0)
        assert recorder.seal("closed").loose_tasks == ()
        recorder.close()
        go.set()
        await turns()

    asyncio.run(main())

    ((record_id, fact),) = late.told
    assert record_id == "r1"
    assert fact.after_response


def test_a_task_that_was_started_in_no_request_belongs_to_none(late: Late) -> None:
    async def main() -> None:
        asyncio.create_task(fail())
        await turns()

    asyncio.run(main())

    ((record_id, fact),) = late.told
    assert record_id is None
    assert fact.created_at is not None
    assert fact.created_at.line == line_of(main, 1)


def test_a_task_that_is_destroyed_while_pending_is_told() -> None:
    async def endpoint() -> None:
        asyncio.create_task(wait())
        await turns(1)
        gc.collect()
        await turns()

    (fact,) = recorded(endpoint).loose_tasks

    assert (fact.kind, fact.name, fact.exception) == ("destroyed", "wait", None)
    assert fact.created_at is not None
    assert fact.created_at.line == line_of(endpoint, 1)


def test_a_loss_is_described_in_a_turn_of_its_own(late: Late) -> None:
    """It may come while the thread holds a lock of ours, which telling of it would want, too."""

    async def main() -> None:
        asyncio.create_task(wait())
        await turns(1)
        gc.collect()
        assert late.told == []
        await turns()
        assert len(late.told) == 1

    asyncio.run(main())


def test_a_coroutine_is_told_with_the_line_that_made_and_dropped_it() -> None:
    async def endpoint() -> None:
        send("a")

    with pytest.warns(RuntimeWarning, match="never awaited"):
        (fact,) = recorded(endpoint).loose_tasks

    assert (fact.kind, fact.name, fact.exact) == ("never-awaited", "send", True)
    assert fact.created_at is not None
    assert fact.created_at.line == line_of(endpoint, 1)


def test_a_coroutine_under_another_name_is_found_where_it_is_dropped() -> None:
    async def endpoint() -> None:
        dispatch = send
        dispatch("a")

    with pytest.warns(RuntimeWarning, match="never awaited"):
        (fact,) = recorded(endpoint).loose_tasks

    assert fact.created_at is not None
    assert fact.created_at.line == line_of(endpoint, 2)


def test_a_coroutine_dropped_by_another_statement_has_no_line_if_several_fit() -> None:
    async def endpoint() -> None:
        KEPT.append(send("a"))
        KEPT.append(send("b"))
        KEPT.clear()

    with pytest.warns(RuntimeWarning, match="never awaited"):
        facts = recorded(endpoint).loose_tasks

    assert [fact.created_at for fact in facts] == [None, None]
    assert all(fact.defined_at is not None for fact in facts)


def test_a_coroutine_of_a_thread_belongs_to_the_request(late: Late) -> None:
    def in_thread() -> None:
        send("a")

    async def endpoint() -> None:
        await asyncio.to_thread(in_thread)

    with pytest.warns(RuntimeWarning, match="never awaited"):
        (fact,) = recorded(endpoint).loose_tasks

    assert fact.created_at is not None
    assert fact.created_at.line == line_of(in_thread, 1)
    assert late.told == []


# What is not told.


def test_a_task_of_a_library_is_not_told(late: Late) -> None:
    names: dict[str, Any] = {}
    source = (
        "import asyncio\n"
        "async def fail(): raise ValueError\n"
        "async def drop(): pass\n"
        "def start(): asyncio.create_task(fail()); drop()\n"
    )
    exec(compile(source, "/usr/lib/site-packages/broker.py", "exec"), names)  # noqa: S102

    async def endpoint() -> None:
        names["start"]()
        await turns()

    with pytest.warns(RuntimeWarning, match="never awaited"):
        record = recorded(endpoint)

    assert record.loose_tasks == ()
    assert late.told == []


def test_tasks_that_are_left_when_the_loop_ends_are_not_told(late: Late) -> None:
    loop = asyncio.new_event_loop()

    async def main() -> None:
        KEPT.append(asyncio.create_task(wait()))
        await turns(1)

    loop.run_until_complete(main())
    loop.close()
    KEPT.clear()
    gc.collect()
    tasks.waiting.describe_all()

    assert late.told == []


def test_what_else_the_loop_is_told_of_is_no_loss(late: Late) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(_broken_callback)
        loop.call_exception_handler({"message": "something", "exception": ValueError()})
        await turns()

    asyncio.run(main())

    assert late.told == []


def _broken_callback() -> None:
    raise ValueError


# As a guest.


def told_by_asyncio() -> list[str]:
    """Lose three tasks without a handler of our own, and give what asyncio logs of them."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage().partition(" name=")[0] + str(bool(record.exc_info)))

    async def endpoint() -> None:
        asyncio.create_task(fail())
        asyncio.create_task(wait())
        asyncio.gather(fail())
        await turns()
        gc.collect()
        lines.append("collected")
        await turns()

    logger, handler = logging.getLogger("asyncio"), Lines()
    logger.disabled = False
    logger.addHandler(handler)
    try:
        recorded(endpoint)
    finally:
        logger.removeHandler(handler)
    return lines


def test_asyncio_logs_the_same_at_the_same_time(hooks: Hooks) -> None:
    with_us = told_by_asyncio()
    hooks.undo()
    without = told_by_asyncio()

    assert with_us == without
    assert len(without) == 4


def test_the_users_handler_is_theirs() -> None:
    told: list[str] = []

    async def endpoint() -> None:
        loop = asyncio.get_running_loop()
        assert loop.get_exception_handler() is None
        handler = lambda _loop, context: told.append(context["message"])  # noqa: E731
        loop.set_exception_handler(handler)
        assert loop.get_exception_handler() is handler
        asyncio.create_task(fail())
        await turns()

    record = recorded(endpoint)

    assert told == ["Task exception was never retrieved"]
    assert len(record.loose_tasks) == 1


def test_a_handler_that_raises_is_answered_as_before() -> None:
    async def endpoint() -> None:
        def broken(_loop: Any, _context: Any) -> None:
            raise LookupError

        asyncio.get_running_loop().set_exception_handler(broken)
        asyncio.create_task(fail())
        await turns()

    assert len(recorded(endpoint).loose_tasks) == 1


def test_the_interpreters_warning_is_the_same(hooks: Hooks) -> None:
    async def endpoint() -> None:
        send("a")
        kept = send("b")
        del kept

    def warned() -> list[tuple[str, str, int]]:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            recorded(endpoint)
        return [(str(one.message), one.filename, one.lineno) for one in found]

    with_us = warned()
    hooks.undo()

    assert with_us == warned()
    assert [line for _, _, line in with_us] == [line_of(endpoint, 1), line_of(endpoint, 3)]


def test_debug_mode_shows_the_users_line_as_the_innermost() -> None:
    async def endpoint() -> None:
        task: Any = asyncio.create_task(send())
        await task
        assert task._source_traceback[-2].filename == __file__
        assert not any("diagnostics" in line.filename for line in task._source_traceback[-2:])

    recorded(endpoint, debug=True)


def test_a_loop_with_tasks_of_its_own_goes_on() -> None:
    class Bare(asyncio.Future):  # type: ignore[type-arg]
        def __setattr__(self, name: str, _value: Any) -> None:
            raise AttributeError(name)

        def set_name(self, _name: str) -> None:
            """Be called by `asyncio.create_task`."""

    def factory(loop: Any, coroutine: Any, **_options: Any) -> Any:
        coroutine.close()
        future = Bare(loop=loop)
        future.set_result(7)
        return future

    async def endpoint() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        assert await asyncio.create_task(send()) == 7
        asyncio.get_running_loop().set_task_factory(None)

    assert recorded(endpoint).loose_tasks == ()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks_stay_eager_and_are_collected_as_before(hooks: Hooks) -> None:
    order: list[str] = []

    async def fail_eagerly() -> None:
        order.append("ran")
        raise ValueError

    async def endpoint() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        loop.set_exception_handler(lambda _loop, _context: order.append("told"))
        asyncio.create_task(fail_eagerly())
        order.append("on")
        assert loop.get_task_factory() is asyncio.eager_task_factory
        gc.collect()
        await turns()

    gc.disable()
    (fact,) = recorded(endpoint).loose_tasks
    with_us = order.copy()
    hooks.undo()
    order.clear()
    recorded(endpoint)
    gc.enable()

    assert with_us == order
    assert fact.created_at is not None
    assert fact.created_at.line == line_of(endpoint, 4)


def test_undo_leaves_asyncio_and_warnings_as_they_were(hooks: Hooks) -> None:
    hooks.undo()

    assert "fastapi_diagnostics" not in asyncio.BaseEventLoop.create_task.__code__.co_filename
    assert "fastapi_diagnostics" not in warnings._warn_unawaited_coroutine.__code__.co_filename
    handler: Any = asyncio.BaseEventLoop.call_exception_handler
    assert "fastapi_diagnostics" not in handler.__code__.co_filename


def test_the_part_is_off_with_a_reason_where_the_interpreter_tells_nobody(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks.undo()
    monkeypatch.delattr(warnings, "_warn_unawaited_coroutine")

    tasks.install(hooks)

    status = {one.name: one for one in hooks.status()}
    assert status["tasks"].on
    assert not status["coroutines never awaited"].on
    assert "_warn_unawaited_coroutine" in status["coroutines never awaited"].why
