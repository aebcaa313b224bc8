"""The worker: bounded, counted, in batches, asleep when there is nothing to do."""

import os
import threading
from collections.abc import Iterator

import pytest

from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.worker import BATCH, Worker


class Destination:
    """Keeps what it is given; raises where it is told to."""

    def __init__(self, *, hold: threading.Event | None = None) -> None:
        self.kept: list[list[object]] = []
        self._hold = hold

    def conclude(self, job: object) -> object:
        if self._hold is not None:
            self._hold.wait(10)
        if job == "broken":
            raise ValueError(job)
        return job

    def keep(self, results: object) -> None:
        self.kept.append(list(results))


@pytest.fixture(autouse=True)
def _no_faults_are_left() -> Iterator[None]:
    yield
    FAULTS.clear()


def test_everything_submitted_before_a_flush_is_kept_after_it() -> None:
    worker, destination = Worker(), Destination()

    for number in range(50):
        worker.submit(destination, number, number, 10)
    flushed = worker.flush(5)

    assert flushed
    assert [item for batch in destination.kept for item in batch] == list(range(50))


def test_a_long_queue_is_kept_in_parts_so_that_few_results_are_in_memory() -> None:
    worker, destination = Worker(), Destination()

    for number in range(2 * BATCH + 10):
        worker.submit(destination, number, number, 10)
    worker.flush(30)

    assert max(map(len, destination.kept)) <= BATCH
    assert [item for batch in destination.kept for item in batch] == list(range(2 * BATCH + 10))


def test_who_wants_to_be_called_when_the_thread_runs_again_is_called() -> None:
    worker, returned = Worker(), []
    worker.on_return = lambda: returned.append(threading.current_thread().name)

    worker.submit(Destination(), "a", "job", 10)
    worker.flush(5)

    assert set(returned) == {"fastapi-diagnostics"}


def test_a_later_job_replaces_an_earlier_one_with_the_same_key() -> None:
    worker, destination = Worker(), Destination()

    worker.submit(destination, "a", "open", 10)
    worker.submit(destination, "b", "other", 10)
    worker.submit(destination, "a", "closed", 10)
    worker.flush(5)

    assert destination.kept == [["other", "closed"]]


def test_a_job_is_held_until_it_is_kept() -> None:
    hold = threading.Event()
    worker, destination = Worker(), Destination(hold=hold)

    worker.submit(destination, "a", "job", 10)
    while worker.load().depth:  # until the worker has taken it
        pass
    held = worker.holds(destination, "a")
    hold.set()
    worker.flush(5)

    assert held
    assert not worker.holds(destination, "a")


def test_a_job_that_fails_costs_only_itself() -> None:
    worker, destination = Worker(), Destination()

    for job in ("first", "broken", "last"):
        worker.submit(destination, job, job, 10)
    worker.flush(5)

    assert destination.kept == [["first", "last"]]


@pytest.mark.parametrize("limits", [{"capacity": 5}, {"capacity_bytes": 50}])
def test_what_does_not_fit_is_dropped_and_counted(limits) -> None:
    hold = threading.Event()
    worker, destination = Worker(**limits), Destination(hold=hold)
    worker.submit(destination, -1, -1, 1)
    worker_is_busy = worker.flush(0.2)

    accepted = [worker.submit(destination, number, number, 10) for number in range(8)]
    hold.set()
    worker.flush(5)

    assert not worker_is_busy
    assert accepted == [True] * 5 + [False] * 3
    assert worker.load().dropped == {"queue-full": 3}


def test_a_flush_gives_up_in_time() -> None:
    hold = threading.Event()
    worker, destination = Worker(), Destination(hold=hold)
    worker.submit(destination, 1, 1, 1)

    assert worker.flush(0.1) is False
    hold.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_gets_a_thread_of_its_own() -> None:
    worker, destination = Worker(), Destination()
    worker.submit(destination, 1, "parent", 1)
    worker.flush(5)

    child = os.fork()
    if child == 0:
        worker.submit(destination, 2, "child", 1)
        flushed = worker.flush(5)
        os._exit(0 if flushed and destination.kept[-1] == ["child"] else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
