"""The handles of a watched asyncio loop look and behave like asyncio's own."""

import asyncio
import contextvars
import gc
import re
import time
import weakref
from asyncio import events
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.collectors.event_loop import _asyncio_private
from fastapi_diagnostics.collectors.hooks import Hooks
from tests.collectors.event_loop_requests import request, run, the_block
from tests.installed import installed

in_debug_mode_too = pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(event_loop, root=Path(__file__).parent) as hooks:
        yield hooks


async def nothing() -> None:
    await asyncio.sleep(0)


def fail() -> None:
    raise ValueError("of the callback")


SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "call_soon": lambda loop: loop.call_soon(fail),
    "call_soon_threadsafe": lambda loop: loop.call_soon_threadsafe(fail),
    "call_at": lambda loop: loop.call_at(1.0, fail),
    "call_later": lambda loop: loop.call_later(-loop.time() + 1.0, fail),
}


@in_debug_mode_too
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_what_asyncio_says_of_a_failed_callback_is_what_it_says_without_us(
    schedule: Callable[[Any], Any],
    debug: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    async def said(*, watched: bool) -> tuple[str, str, str]:
        if watched:
            event_loop.watch_running_loop()
        loop = asyncio.get_running_loop()
        contexts: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        handle = schedule(loop)
        shown = re.sub(r"when=[\d.]+", "when=…", repr(handle))
        await asyncio.sleep(0.01)
        (context,) = contexts
        assert context["handle"] is handle
        return shown, context["message"], str(context.get("source_traceback", [None])[-1])

    ours = asyncio.run(said(watched=True), debug=debug)
    theirs = asyncio.run(said(watched=False), debug=debug)

    assert ours == theirs


def test_they_are_handles_of_asyncio() -> None:
    async def kinds() -> tuple[list[type], bool]:
        event_loop.watch_running_loop()
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(delay, int) for delay in (2, 1)]
        handle = loop.call_soon(int)
        kinds = [kind for made in (handle, *timers) for kind in type(made).__mro__]
        return kinds, max(timers) is timers[0] and hash(timers[0]) == hash(timers[0].when())

    kinds, ordered = asyncio.run(kinds())

    assert kinds.count(asyncio.Handle) == 3
    assert kinds.count(asyncio.TimerHandle) == 2
    assert ordered


def test_a_callback_may_cancel_its_own_handle() -> None:
    done: list[bool] = []

    async def work() -> None:
        event_loop.watch_running_loop()

        def callback() -> None:
            handle.cancel()
            time.sleep(0.06)
            done.append(handle.cancelled())

        handle = asyncio.get_running_loop().call_soon(callback, context=contextvars.Context())
        await asyncio.sleep(0.01)

    asyncio.run(work())

    assert done == [True]


def test_a_timer_is_ready_when_it_is_due() -> None:
    async def endpoint() -> None:
        await asyncio.sleep(0.1)

    record = run(request("r1", endpoint), asyncio.new_event_loop)

    assert record.time is not None
    assert record.time.queued_ms is not None
    assert record.time.queued_ms < 50  # and not the 100 ms for which it was waited


@pytest.mark.parametrize("when", ["before", "after"])
def test_whoever_replaces_what_runs_a_handle_is_called(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = events.Handle._run
    ran: list[Any] = []

    def theirs(self: Any) -> None:
        ran.append(self._callback)
        original(self)

    async def work() -> None:
        if when == "before":
            monkeypatch.setattr(events.Handle, "_run", theirs)
        event_loop.watch_running_loop()
        if when == "after":
            monkeypatch.setattr(events.Handle, "_run", theirs)
        asyncio.get_running_loop().call_soon(int)
        await asyncio.sleep(0.01)

    asyncio.run(work())

    assert int in ran


def test_where_a_handle_is_made_otherwise_the_loop_is_watched_through_its_public_methods(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = events.Handle.__init__

    def theirs(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)

    async def blocking() -> None:
        await asyncio.sleep(0)
        time.sleep(0.1)  # noqa: ASYNC251 - what blocks a loop is the subject here

    monkeypatch.setattr(events.Handle, "__init__", theirs)
    with asyncio.Runner() as runner:
        record = runner.run(request("r1", blocking))
        names = vars(runner.get_loop()).keys()

    assert the_block(record).call == "time.sleep"
    assert {"call_soon", "call_soon_threadsafe", "call_at"} <= names
    assert _asyncio_private.NAME not in names


def test_the_handles_of_a_closed_loop_go_with_it() -> None:
    async def work() -> weakref.ref[type]:
        event_loop.watch_running_loop()
        return weakref.ref(type(asyncio.get_running_loop().call_soon(int)))

    kind = asyncio.run(work())
    run(request("next", nothing), asyncio.new_event_loop)
    gc.collect()

    assert kind() is None
