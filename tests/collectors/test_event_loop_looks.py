"""A look of the watchdog that has not come to its end when the callback it looks at has."""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors.event_loop.blocks import finish_look, verdict_on
from fastapi_diagnostics.collectors.event_loop.holds import HOLDS
from fastapi_diagnostics.collectors.event_loop.pulse import HEART
from fastapi_diagnostics.collectors.event_loop.sampling import Look, look_from
from fastapi_diagnostics.collectors.event_loop.state import NOT_NOW, LoopState, Opening, Watch
from fastapi_diagnostics.collectors.event_loop.watchdog import Watchdog


@pytest.fixture(autouse=True)
def _this_folder_is_the_users() -> Iterator[None]:
    USER_CODE.add_root(Path(__file__).parent)
    yield
    USER_CODE.reset()


@pytest.fixture
def state() -> Iterator[LoopState]:
    loop = asyncio.new_event_loop()
    state = LoopState(loop)
    yield state
    state.close()
    loop.close()


def a_look() -> Look:
    return look_from(sys._getframe(0), at=time.perf_counter())


def test_the_loop_names_the_call_itself_and_waits_for_nobody(state: LoopState) -> None:
    look, calls = a_look(), {}
    state.looking = look, calls

    finish_look(state)

    assert set(calls) == set(look.frames)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the clocks of threads in /proc")
def test_an_unfinished_look_shows_the_line_that_kept_the_gil_until_then(state: LoopState) -> None:
    HEART.begin()  # of this thread, in the watchdog's place
    pulse, begin = HEART.read(), time.perf_counter() - 0.4
    asked_often = pulse._replace(slices=pulse.slices - 100)  # 250 times a second since then
    earlier = look_from(sys._getframe(0), at=begin).sample._replace(pulse=asked_often)
    look = a_look()
    watch = Watch(begin, [earlier, look.sample], {})
    state.looking = look, {}

    verdict = verdict_on(state, Opening(begin, time.perf_counter(), watch, state.read()), 0.05)

    HEART.end()
    assert verdict is not None
    assert verdict.stack == look.sample.user


@pytest.mark.parametrize(("late_s", "looks"), [(0.05, 1), (0.0, 0)])
def test_whoever_gets_the_gil_first_looks_in_the_place_of_a_late_watchdog(
    state: LoopState, late_s: float, looks: int
) -> None:
    watchdog = Watchdog()
    watchdog.watch(state)
    began = time.perf_counter() - 0.2
    state.step = began
    watchdog._plan(-late_s)

    watchdog.glance()

    assert len([look for watch in state.watches for look in watch.samples]) == looks


def test_a_watchdog_that_is_asleep_is_not_late(state: LoopState) -> None:
    watchdog = Watchdog()
    watchdog.watch(state)
    state.step = 0.0

    watchdog.glance()

    assert state.watches == ()


@pytest.mark.parametrize(("late_s", "looks"), [(0.05, True), (0.01, False)])
def test_a_loop_that_goes_on_before_a_late_watchdog_looks_at_the_other_threads(
    state: LoopState,
    late_s: float,
    looks: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    HOLDS.forget()
    watchdog = Watchdog()
    watchdog.watch(state)
    watchdog.asleep = False
    watchdog._plan(-late_s)
    released = threading.Event()
    other = threading.Thread(target=released.wait)
    other.start()

    watchdog.report(state, time.perf_counter(), None)

    assert (other.ident in HOLDS._glimpses) is looks
    assert state.report_at == (NOT_NOW if looks else watchdog._late_from())
    released.set()
    other.join()
    HOLDS.forget()
