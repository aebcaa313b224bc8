"""The thread that does what a request must not wait for; one for the process.

It sleeps on a lock with nothing to do, so an idle application has no wake-ups.
Jobs are taken in batches, and after each short turn the interpreter is offered to the requests.
"""

import atexit
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from fastapi_diagnostics.faults import FAULTS

CAPACITY = 10_000
CAPACITY_BYTES = 16 * 1024 * 1024
GATHER_S = 0.15
"""How long jobs are gathered: other workers' pages have half a second to show them, and this one's
flush first; most often the requests of a page are through by then."""
BATCH = 250
"""So many jobs at most are concluded before they are kept: their results are all in memory."""
TURN_S = 0.0006
"""How long jobs are concluded in one go: so long a request has to wait for the interpreter. But
shorter turns are more of them, and to get the interpreter from a busy loop takes up to the switch
interval, 5 ms, in which the loop has to call the system each time it looks at its sockets."""
YIELD_S = 0.001
"""Pause between two turns. Without it a request that wants the interpreter back waits for the
switch interval; with it, for a turn."""


class Destination(Protocol):
    """Who takes the jobs of one application; see `pipeline.Pipeline`."""

    def conclude(self, job: Any) -> Any:
        """Turn one job into a result, or `None` if there is none."""
        ...

    def keep(self, results: Sequence[Any]) -> None:
        """Take the results of a batch."""
        ...


class _Mark:
    """Stands in for a destination where a flush waits."""

    def conclude(self, job: Any) -> Any:
        """Is never called."""

    def keep(self, results: Sequence[Any]) -> None:
        """Is never called."""


_MARK: Final = _Mark()
Job: TypeAlias = tuple[Destination, Hashable, Any, int]
"""Who concludes it, its key, what it is, and its size in bytes."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How busy the worker is.

    Attributes:
        dropped: Lost jobs by reason since the start of the process.
        cpu_ms: CPU time of the worker's thread since the start.
    """

    depth: int
    capacity: int
    done: int
    dropped: dict[str, int]
    cpu_ms: float


class Worker:
    """A bounded queue and its thread, which starts with the first job and again after a fork.

    Attributes:
        on_return: Called on the thread whenever it has the interpreter again after a pause.
    """

    def __init__(self, *, capacity: int = CAPACITY, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self.on_return: Callable[[], object] = lambda: None
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)
        atexit.register(self.flush, 2.0)

    def _begin(self) -> None:
        self._jobs: deque[Job] = deque()
        self._taken: list[Job] = []
        self._bytes = 0
        self._done = 0
        self._dropped: Counter[str] = Counter()
        self._cpu_s = 0.0
        self._wake = threading.Semaphore(0)
        self._asleep = deque([True])  # as long as it sleeps
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None

    def submit(self, destination: Destination, key: Hashable, job: Any, size_bytes: int) -> bool:
        """Queue a job without waiting; `False` if there was no room, which is counted.

        Takes no lock: appending to a deque is atomic, and the sum of bytes may be off by what
        several threads add at once.

        Args:
            destination: Who concludes and keeps it.
            key: A later job with the same key replaces this one while both wait.
            job: Anything the destination understands.
            size_bytes: What the job holds, roughly.
        """
        jobs = self._jobs
        if len(jobs) >= self._capacity or (
            jobs and self._bytes + size_bytes > self._capacity_bytes
        ):
            self._dropped["queue-full"] += 1
            return False
        self._bytes += size_bytes
        jobs.append((destination, key, job, size_bytes))
        if self._asleep:
            self._rouse()
        return True

    def holds(self, destination: Destination, key: Hashable) -> bool:
        """Tell whether a job with this key waits in the queue or is being worked on."""
        jobs = (*tuple(self._jobs), *tuple(self._taken))  # in the order in which they move
        return any(d is destination and k == key for d, k, *_ in jobs)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything submitted before now is kept; `False` if it took too long."""
        if self._thread is None or self._thread is threading.current_thread():
            return True
        reached = threading.Event()
        self._jobs.append((_MARK, None, reached, 0))
        self._hurry.set()
        if self._asleep:
            self._rouse()
        return reached.wait(timeout_s)

    def load(self) -> Load:
        """Tell how busy the worker is."""
        return Load(
            depth=len(self._jobs),
            capacity=self._capacity,
            done=self._done,
            dropped=dict(self._dropped),
            cpu_ms=round(self._cpu_s * 1000, 3),
        )

    def _rouse(self) -> None:
        try:
            self._asleep.pop()  # one of those who try it gets it, and none has to wait
        except IndexError:
            return
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="fastapi-diagnostics", daemon=True
            )
            self._thread.start()
        self._wake.release()

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            self.on_return()
            while self._jobs:
                self._hurry.wait(GATHER_S)
                self.on_return()
                self._take_batches(len(self._jobs))
            self._asleep.append(True)
            if self._jobs:  # one came between the look and the flag
                self._rouse()

    def _take_batches(self, count: int) -> None:
        """Take the jobs that were there; those that come meanwhile are gathered first."""
        while count > 0:
            self._take_batch(min(count, BATCH))
            count -= BATCH

    def _take_batch(self, count: int) -> None:
        batch: list[Job] = []
        self._taken = batch
        for _ in range(count):  # there is no moment in which a job is in neither: see `holds`
            batch.append(self._jobs[0])
            self._jobs.popleft()
        # Others add while we subtract, so a little may get lost; an empty queue holds nothing.
        self._bytes = self._bytes - sum(job[3] for job in batch) if self._jobs else 0
        marks = [job for destination, _, job, _ in batch if destination is _MARK]
        batch = [entry for entry in batch if entry[0] is not _MARK]
        try:
            self._process(batch)
        except Exception as error:  # noqa: BLE001 - the thread must outlive any batch
            FAULTS.note("worker", error)
        self._taken = []
        self._done += len(batch)
        self._cpu_s = time.thread_time()
        for mark in marks:
            mark.set()
        if marks and not any(job[0] is _MARK for job in tuple(self._jobs)):
            self._hurry.clear()

    def _process(self, batch: list[Job]) -> None:
        latest = {
            (id(destination), key): index for index, (destination, key, *_) in enumerate(batch)
        }
        results: dict[int, tuple[Destination, list[Any]]] = {}
        ends = time.perf_counter() + TURN_S
        for index in sorted(latest.values()):
            destination, _, job, _ = batch[index]
            with FAULTS.contained("conclude"):
                result = destination.conclude(job)
                if result is not None:
                    results.setdefault(id(destination), (destination, []))[1].append(result)
            if time.perf_counter() >= ends and not self._hurry.is_set():
                time.sleep(YIELD_S)
                self.on_return()
                ends = time.perf_counter() + TURN_S
        for destination, concluded in results.values():
            with FAULTS.contained("keep"):
                destination.keep(concluded)


@lru_cache(maxsize=1)
def shared_worker() -> Worker:
    """Give the process's worker, made at its first use."""
    return Worker()
