# ruff: noqa: ASYNC110, ASYNC251 - what blocks a loop is the subject here
"""The stand-ins come and go without a trace, and a loop behaves as it did without them."""

import asyncio
import contextvars
import gc
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.collectors.event_loop.watchdog import LINGER_S, WATCHDOG
from fastapi_diagnostics.collectors.hooks import Hooks
from tests.collectors.event_loop_requests import request, run, the_block
from tests.installed import installed

ASYNCIO = asyncio.new_event_loop
UVLOOP = uvloop.new_event_loop
both_loops = pytest.mark.parametrize("make_loop", [ASYNCIO, UVLOOP], ids=["asyncio", "uvloop"])


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(event_loop, root=Path(__file__).parent) as hooks:
        yield hooks


async def watched() -> asyncio.AbstractEventLoop:
    event_loop.watch_running_loop()
    return asyncio.get_running_loop()


async def nothing() -> None:
    await asyncio.sleep(0)


async def blocking() -> None:
    time.sleep(0.1)


async def awaiting_and_blocking() -> None:
    await asyncio.sleep(0)
    time.sleep(0.1)


@both_loops
def test_undo_leaves_the_loop_as_it_was(hooks: Hooks, make_loop) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        loop = runner.get_loop()
        before = dict(vars(loop))
        runner.run(watched())
        during = set(vars(loop)) - set(before)
        callbacks = list(gc.callbacks)

        hooks.undo()

        soon = {"_call_soon"} if make_loop is ASYNCIO else {"call_soon", "call_soon_threadsafe"}
        assert soon | {"call_at"} <= during
        assert vars(loop).keys() == before.keys()
        assert len(gc.callbacks) == len(callbacks) - 1
        runner.run(nothing())


def test_undo_leaves_what_somebody_else_has_put_over_it(hooks: Hooks) -> None:
    with asyncio.Runner() as runner:
        loop = runner.run(watched())
        ours = loop.call_soon
        theirs = lambda *args, **options: ours(*args, **options)  # noqa: E731, PLW0108 - one of theirs
        loop.call_soon = theirs

        hooks.undo()

        assert vars(loop)["call_soon"] is theirs
        runner.run(nothing())


def test_a_loop_is_patched_once_however_often_it_is_asked_for(hooks: Hooks) -> None:
    async def twice() -> bool:
        event_loop.watch_running_loop()
        first = asyncio.get_running_loop().call_at
        event_loop.install(hooks)
        event_loop.watch_running_loop()
        return asyncio.get_running_loop().call_at is first

    assert asyncio.run(twice())


class Counting(asyncio.SelectorEventLoop):
    """A loop whose class has its own way of queueing."""

    counted = 0

    def _call_soon(self, callback, args, context):
        self.counted += 1
        return super()._call_soon(callback, args, context)


class Announcing(asyncio.SelectorEventLoop):
    """A loop whose class adds something to the public method."""

    counted = 0

    def call_soon(self, callback, *args, context=None):
        self.counted += 1
        return super().call_soon(callback, *args, context=context)


@pytest.mark.parametrize("loop_class", [Counting, Announcing])
def test_a_loop_with_a_way_of_its_own_keeps_it_and_is_watched(loop_class) -> None:
    with asyncio.Runner(loop_factory=loop_class) as runner:
        loop = runner.get_loop()
        record = runner.run(request("r1", awaiting_and_blocking))

    assert loop.counted > 2
    assert the_block(record).call == "time.sleep"


def test_a_loop_without_its_queue_is_watched_through_its_public_methods(monkeypatch) -> None:
    original = asyncio.BaseEventLoop._call_soon

    def theirs(self, callback, args, context):
        return original(self, callback, args, context)

    monkeypatch.setattr(asyncio.BaseEventLoop, "_call_soon", theirs)
    with asyncio.Runner() as runner:
        record = runner.run(request("r1", awaiting_and_blocking))
        names = vars(runner.get_loop()).keys()

    assert the_block(record).call == "time.sleep"
    assert {"call_soon", "call_soon_threadsafe"} <= names
    assert "_call_soon" not in names


def test_a_watched_loop_refuses_when_it_is_closed() -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        runner.run(watched())

    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_soon(print)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_soon_threadsafe(print)


def test_debug_mode_that_is_switched_on_later_shows_the_users_line() -> None:
    async def work() -> str:
        event_loop.watch_running_loop()
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        handle = loop.call_soon(int)
        return handle._source_traceback[-1].name

    assert asyncio.run(work()) == "work"


def test_it_works_again_after_undo_and_install(hooks: Hooks) -> None:
    run(request("before", blocking), ASYNCIO)
    hooks.undo()
    event_loop.install(hooks)

    assert the_block(run(request("after", blocking), ASYNCIO)).kind == "sleep"


@both_loops
def test_a_closed_loop_is_let_go(make_loop) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        loop = weakref.ref(runner.run(watched()))
    del runner
    run(nothing(), ASYNCIO)
    gc.collect()

    assert loop() is None
    assert all(state.loop() is not None for state in WATCHDOG.states)


def test_loops_of_several_threads_are_told_apart() -> None:
    async def both() -> list:
        return await asyncio.gather(
            *(asyncio.to_thread(run, request(name, blocking), ASYNCIO) for name in ("one", "two"))
        )

    one, two = asyncio.run(both())

    assert the_block(one).kind == "sleep"
    assert the_block(two).kind == "sleep"
    assert one.waits == two.waits == ()


def test_no_wake_ups_while_nothing_is_in_flight() -> None:
    async def idle() -> tuple[int, int]:
        ticks = 0
        await request("r1", nothing)
        asleep = asyncio.get_running_loop().time() + LINGER_S + 1
        while not WATCHDOG.asleep and asyncio.get_running_loop().time() < asleep:
            await asyncio.sleep(0.05)
        turns = WATCHDOG.turns
        while ticks < 10:
            ticks += 1
            await asyncio.sleep(0.02)
        return turns, WATCHDOG.turns

    async def server() -> tuple[int, int]:
        event_loop.watch_running_loop()
        return await contextvars_free(idle)

    async def contextvars_free(function):
        return await asyncio.get_running_loop().create_task(
            function(), context=contextvars.Context()
        )

    before, after = asyncio.run(server())

    assert WATCHDOG.asleep
    assert before == after > 0


def test_a_request_that_was_quiet_for_long_wakes_the_watchdog() -> None:
    async def endpoint() -> None:
        await asyncio.sleep(LINGER_S + 0.3)
        time.sleep(0.2)

    assert the_block(run(request("r1", endpoint), ASYNCIO)).call == "time.sleep"


@both_loops
def test_handles_timers_and_contexts_work_as_ever(make_loop) -> None:
    variable = contextvars.ContextVar("variable", default="outer")
    seen: list[object] = []

    async def work() -> None:
        event_loop.watch_running_loop()
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        context.run(variable.set, "given")
        loop.call_soon(seen.append, "cancelled").cancel()
        loop.call_later(0.001, seen.append, "cancelled").cancel()
        loop.call_soon(lambda: seen.append(variable.get()), context=context)
        when = loop.time() + 0.02
        timer = loop.call_at(when, seen.append, "timer")
        loop.call_later(0.01, seen.append, "earlier")
        assert timer.when() == pytest.approx(when, abs=0.002)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(5), 0.03)
        loop.call_soon_threadsafe(seen.append, "thread")
        await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(work())

    assert seen == ["given", "earlier", "timer", "thread"]


@both_loops
def test_an_exception_of_a_callback_reaches_the_handler(make_loop) -> None:
    async def work() -> list[str]:
        event_loop.watch_running_loop()
        loop = asyncio.get_running_loop()
        seen: list[str] = []
        loop.set_exception_handler(lambda _, context: seen.append(str(context["exception"])))
        loop.call_soon(int, "x")
        await asyncio.sleep(0.01)
        return seen

    with asyncio.Runner(loop_factory=make_loop) as runner:
        (text,) = runner.run(work())

    assert "invalid literal" in text


def test_debug_mode_still_refuses_a_coroutine_and_shows_the_task(caplog) -> None:
    async def work() -> None:
        event_loop.watch_running_loop()
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.05
        with pytest.raises(TypeError, match="coroutines cannot be used"):
            loop.call_soon(nothing)
        await asyncio.create_task(request("r1", blocking), name="the slow one")

    with caplog.at_level("WARNING", logger="asyncio"):
        asyncio.run(work(), debug=True)

    assert "the slow one" in caplog.text


def test_a_loop_that_refuses_is_reported(hooks: Hooks) -> None:
    class Stubborn(asyncio.SelectorEventLoop):
        def __setattr__(self, name: str, value: object) -> None:
            if name in {"call_soon", "_call_soon"}:
                raise AttributeError("read-only")
            super().__setattr__(name, value)

    with asyncio.Runner(loop_factory=Stubborn) as runner:
        record = runner.run(request("r1", nothing))

    (status,) = hooks.status()
    assert (status.name, "Stubborn refuses: read-only" in status.why) == ("event loop", True)
    assert record.blocks == ()


def test_a_forked_child_has_a_watchdog_of_its_own() -> None:
    run(request("parent", blocking), ASYNCIO)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            block = the_block(run(request("child", blocking), ASYNCIO))
            os.write(writer, block.call.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        assert answer.read() == "time.sleep"
    os.waitpid(child, 0)


def test_the_threshold_is_a_setting() -> None:
    event_loop.configure(500)

    assert run(request("r1", blocking), ASYNCIO).blocks == ()
