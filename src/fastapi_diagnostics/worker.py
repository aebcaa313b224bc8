"""The thread that does what a request must not wait for; one for the process.

It sleeps on a lock with nothing to do, so an idle application has no wake-ups.
Jobs are taken in batches, and between two jobs the interpreter is offered to the requests.
"""

import atexit
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from fastapi_diagnostics.faults import FAULTS

CAPACITY = 10_000
CAPACITY_BYTES = 16 * 1024 * 1024
GATHER_S = 0.03
"""How long jobs are gathered: short enough for a page, long enough to make one transaction."""
YIELD_S = 0.0002
"""Pause between two jobs. Without it a request that wants the interpreter back waits for the
switch interval, 5 ms; with it, for one job."""


class Destination(Protocol):
    """Who takes the jobs of one application; see `pipeline.Pipeline`."""

    def conclude(self, job: Any) -> Any:
        """Turn one job into a result, or `None` if there is none."""
        ...

    def keep(self, results: Sequence[Any]) -> None:
        """Take the results of a batch."""
        ...


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
    """A bounded queue and its thread, which starts with the first job and again after a fork."""

    def __init__(self, *, capacity: int = CAPACITY, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)
        atexit.register(self.flush, 2.0)

    def _begin(self) -> None:
        self._jobs: deque[tuple[Destination, Hashable, Any, int]] = deque()
        self._bytes = 0
        self._submitted = 0
        self._done = 0
        self._dropped: Counter[str] = Counter()
        self._cpu_s = 0.0
        self._lock = threading.Lock()
        self._finished = threading.Condition(self._lock)
        self._wake = threading.Semaphore(0)
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None

    def submit(self, destination: Destination, key: Hashable, job: Any, size_bytes: int) -> bool:
        """Queue a job without waiting; `False` if there was no room, which is counted.

        Args:
            destination: Who concludes and keeps it.
            key: A later job with the same key replaces this one while both wait.
            job: Anything the destination understands.
            size_bytes: What the job holds, roughly.
        """
        with self._lock:
            if len(self._jobs) >= self._capacity or (
                self._jobs and self._bytes + size_bytes > self._capacity_bytes
            ):
                self._dropped["queue-full"] += 1
                return False
            first = not self._jobs
            self._jobs.append((destination, key, job, size_bytes))
            self._bytes += size_bytes
            self._submitted += 1
            if self._thread is None:
                self._start()
        if first:
            self._wake.release()
        return True

    def holds(self, destination: Destination, key: Hashable) -> bool:
        """Tell whether a job with this key waits in the queue."""
        with self._lock:
            return any(d is destination and k == key for d, k, *_ in self._jobs)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything submitted before now is kept; `False` if it took too long."""
        with self._lock:
            goal = self._submitted
            if self._done >= goal or self._thread is threading.current_thread():
                return True
            self._hurry.set()
            return self._finished.wait_for(lambda: self._done >= goal, timeout_s)

    def load(self) -> Load:
        """Tell how busy the worker is."""
        with self._lock:
            return Load(
                depth=len(self._jobs),
                capacity=self._capacity,
                done=self._done,
                dropped=dict(self._dropped),
                cpu_ms=round(self._cpu_s * 1000, 3),
            )

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="fastapi-diagnostics", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            self._hurry.wait(GATHER_S)
            self._hurry.clear()
            with self._lock:
                batch = list(self._jobs)
                self._jobs.clear()
                self._bytes = 0
            try:
                self._process(batch)
            except Exception as error:  # noqa: BLE001 - the thread must outlive any batch
                FAULTS.note("worker", error)
            with self._lock:
                self._done += len(batch)
                self._cpu_s = time.thread_time()
                self._finished.notify_all()
            del batch

    def _process(self, batch: list[tuple[Destination, Hashable, Any, int]]) -> None:
        latest = {
            (id(destination), key): index for index, (destination, key, *_) in enumerate(batch)
        }
        results: dict[int, tuple[Destination, list[Any]]] = {}
        for index in sorted(latest.values()):
            destination, _, job, _ = batch[index]
            with FAULTS.contained("conclude"):
                result = destination.conclude(job)
                if result is not None:
                    results.setdefault(id(destination), (destination, []))[1].append(result)
            if not self._hurry.is_set():
                time.sleep(YIELD_S)
        for destination, concluded in results.values():
            with FAULTS.contained("keep"):
                destination.keep(concluded)


@lru_cache(maxsize=1)
def shared_worker() -> Worker:
    """Give the process's worker, made at its first use."""
    return Worker()
