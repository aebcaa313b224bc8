"""An alarm wakes one thread, and can be put off without waking it."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastapi_diagnostics.collectors.event_loop import alarm as alarms
from fastapi_diagnostics.collectors.event_loop.alarm import Alarm, LockAlarm, make_alarm

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="timerfd is a part of Linux")
SOON_S = 0.05
LONG_S = 60.0


@pytest.fixture(
    params=[
        LockAlarm,
        pytest.param(make_alarm, marks=on_linux),
        pytest.param(alarms._timer_of_libc, marks=on_linux),
    ],
    ids=["lock", "best", "libc"],
)
def alarm(request: pytest.FixtureRequest) -> Iterator[Alarm]:
    make: Callable[[], Alarm] = request.param
    alarm = make()
    yield alarm
    alarm.close()


class Waiter:
    """Waits for an alarm in a thread of its own."""

    def __init__(self, alarm: Alarm) -> None:
        self.rang = threading.Event()
        self._alarm = alarm
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        self._alarm.wait()
        self.rang.set()

    def slices(self) -> int:
        """How often the thread has run."""
        schedstat = Path(f"/proc/self/task/{self._thread.native_id}/schedstat")
        return int(schedstat.read_text().split()[2])


def test_it_rings_after_the_delay(alarm: Alarm) -> None:
    began = time.perf_counter()

    alarm.set(SOON_S)
    alarm.wait()

    assert time.perf_counter() - began >= SOON_S


def test_it_does_not_ring_before_it_is_set(alarm: Alarm) -> None:
    waiter = Waiter(alarm)

    rang_unset = waiter.rang.wait(SOON_S)
    alarm.set(0.0)

    assert not rang_unset
    assert waiter.rang.wait(LONG_S)


def test_who_waits_is_reached_by_an_earlier_alarm(alarm: Alarm) -> None:
    alarm.set(LONG_S)
    waiter = Waiter(alarm)

    alarm.set(SOON_S)

    assert waiter.rang.wait(LONG_S / 2)


def test_a_later_alarm_takes_the_place_of_the_one_before(alarm: Alarm) -> None:
    alarm.set(SOON_S)
    waiter = Waiter(alarm)

    alarm.set(LONG_S)
    rang_early = waiter.rang.wait(4 * SOON_S)
    alarm.set(0.0)

    assert not rang_early
    assert waiter.rang.wait(LONG_S)


@on_linux
def test_putting_a_timer_off_wakes_nobody() -> None:
    alarm = make_alarm()
    waiter = Waiter(alarm)
    alarm.set(LONG_S)
    waiter.rang.wait(SOON_S)  # until it has come to wait
    before = waiter.slices()

    for _ in range(1000):
        alarm.set(LONG_S)

    assert alarm.movable
    assert waiter.slices() == before
    alarm.set(0.0)
    assert waiter.rang.wait(LONG_S)
    alarm.close()


def test_without_timers_there_is_still_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Alarm:
        raise OSError("no timers here")

    monkeypatch.setattr(alarms, "_timer", none)

    assert isinstance(make_alarm(), LockAlarm)


@on_linux
def test_closing_twice_is_harmless() -> None:
    alarm = make_alarm()

    alarm.close()
    alarm.close()
