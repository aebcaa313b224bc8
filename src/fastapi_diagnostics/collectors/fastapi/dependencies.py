"""Times dependencies by the cache that FastAPI asks before and after each of them.

FastAPI looks a dependency up (``in``), calls it, looks again and stores it (``[k] =``).
A cache that notes these moments tells who ran and how long, and touches no dependant.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from fastapi_diagnostics.collectors.fastapi.dependency_tree import declared, placed
from fastapi_diagnostics.collectors.names import callable_name, runs_in_threadpool
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import DependencyRun
from fastapi_diagnostics.recorder import Recorder

MAX_EVENTS = 600
"""Some 200 dependencies of one request; what comes after them is not timed."""

Event = tuple[Literal["found", "absent", "read", "stored"], Any, float]


class TimingCache(dict[Any, Any]):
    """Stands in for the dependency cache of one request and notes when it is used."""

    __slots__ = ("clock", "events")

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.clock = clock
        self.events: list[Event] = []

    def __bool__(self) -> bool:
        return True  # FastAPI 0.115 replaces a false cache by one of its own

    def __contains__(self, key: object) -> bool:
        found = dict.__contains__(self, key)
        if len(self.events) < MAX_EVENTS:
            try:
                self.events.append(("found" if found else "absent", key, self.clock()))
            except Exception as error:  # noqa: BLE001 - ours, contained
                FAULTS.note("fastapi.dependency", error)
        return found

    def __getitem__(self, key: Any) -> Any:
        if len(self.events) < MAX_EVENTS:
            self.events.append(("read", key, 0.0))
        return dict.__getitem__(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        if len(self.events) < MAX_EVENTS:
            self.events.append(("stored", key, 0.0))
        dict.__setitem__(self, key, value)

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Take over other entries; FastAPI 0.115 updates the cache with itself."""
        if other is not self:
            dict.update(self, other, **more)


class Solving:
    """One solving of an endpoint's dependencies.

    Attributes:
        cache: Stands in for FastAPI's.
        events: Of the cache.
        ended: Reading of the clock; `None` while it runs.
        failed: Whether it ended with an exception.
        dependant: What the route declares; FastAPI keeps it for the life of the route.
        overrides: ``app.dependency_overrides`` where there are any.
    """

    __slots__ = ("cache", "dependant", "ended", "events", "failed", "overrides", "started")

    def __init__(
        self, started: float, cache: TimingCache, dependant: Any, overrides: dict[Any, Any]
    ) -> None:
        self.started = started
        self.cache = cache
        self.events = cache.events
        self.dependant = dependant
        self.overrides = overrides
        self.ended: float | None = None
        self.failed = False


def dependency_runs(solving: Solving, recorder: Recorder, first: int) -> list[DependencyRun]:
    """Read the events: which dependency ran from when to when, and who asked for it.

    Args:
        solving: What was noted.
        recorder: Of the request.
        first: Position of its first run among all of the request.
    """
    runs = list(_runs(solving))
    failed = solving.failed and not any(run.raised for run in runs)
    nodes = declared(solving.dependant, solving.overrides)
    found = placed(nodes, [run.call for run in runs], failed=failed)
    if found.raised is not None:
        began = runs[-1].ended if runs else solving.started
        runs.append(_Run(found.raised, began, solving.ended or began, raised=True))
    return [
        DependencyRun(
            name=_name(run.call, solving.overrides),
            started_ms=recorder.ms(run.began),
            duration_ms=round((run.ended - run.began) * 1000, 3),
            cached=run.cached,
            threadpool=_in_thread(run.call, solving.overrides),
            raised=run.raised,
            parent=None if parent is None else first + parent,
        )
        for run, parent in zip(runs, found.parents, strict=True)
    ]


class _Run(NamedTuple):
    call: Any
    began: float
    ended: float
    cached: bool = False
    raised: bool = False


def _runs(solving: Solving) -> Iterator[_Run]:
    events = solving.events
    kinds = [event[0] for event in events] + ["", ""]
    before = solving.started
    position = 0
    while position < len(events):
        what, key, at = events[position]
        following, after = kinds[position + 1], kinds[position + 2]
        began, ended, step, raised = at, at, 1, False
        if following == "read":  # found, read, found
            step = 3
        elif what == "found":  # use_cache=False, again: only looked up after the call
            began = before
        elif following == "stored":  # use_cache=False, for the first time
            began, step = before, 2
        elif after == "stored":  # absent, absent, stored
            ended, step = events[position + 1][2], 3
        else:
            ended, raised = solving.ended or at, solving.failed
        before = ended
        position += step
        yield _Run(key[0], began, ended, cached=following == "read", raised=raised)


def _name(original: Any, overrides: dict[Any, Any]) -> str:
    used = overrides.get(original) if overrides else None
    if used is None:
        return callable_name(original)
    # Unlike a dependency, what overrides it need not be hashable.
    return f"{callable_name.__wrapped__(used)} (overrides {callable_name(original)})"


def _in_thread(original: Any, overrides: dict[Any, Any]) -> bool:
    used = overrides.get(original) if overrides else None
    return runs_in_threadpool(original) if used is None else runs_in_threadpool.__wrapped__(used)
