"""What is known of the background tasks of one request, and why some never ran."""

from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from fastapi_diagnostics.callsite import Site
from fastapi_diagnostics.collectors.background.describe import described
from fastapi_diagnostics.collectors.background.streams import MAX_BROKEN
from fastapi_diagnostics.record import BrokenStream, TaskRun
from fastapi_diagnostics.recorder import Recorder

PART: Final = "background"
MAX_TASKS: Final = 200
MAX_TASK_GROUPS: Final = 50
_BEFORE_RESPONSE: Final = frozenset({"middleware", "dependencies", "endpoint", "serialisation"})

_Reason = Literal["earlier-task-failed", "exception", "replaced", "stream-broken", "client-gone"]


class Task:
    """One task while its request runs; moments are readings of the clock."""

    __slots__ = (
        "after_response",
        "cancelled",
        "described",
        "ended",
        "exception",
        "failed",
        "started",
        "task",
        "where",
    )

    def __init__(self, task: Any, where: tuple[Site, ...]) -> None:
        self.task = task
        self.where = where
        self.started: float | None = None
        self.ended: float | None = None
        self.failed = False
        self.cancelled = False
        self.exception: int | None = None
        self.after_response = False
        self.described: TaskRun | None = None


class Sending:
    """A response with background tasks on its way to the client."""

    __slots__ = ("background", "broken", "exception", "gone")

    def __init__(self, background: Any) -> None:
        self.background = background
        self.broken = False
        self.gone = False
        self.exception: int | None = None


class BackgroundPart:
    """The background tasks of one request."""

    def __init__(self) -> None:
        self.shown: float | None = None  # when the record was last kept while tasks ran
        self.injected: list[Any] = []
        self.sendings: list[Sending] = []
        self.broken: list[BrokenStream] = []
        self._tasks: dict[int, Task] = {}  # by id; a task is kept alive by its entry
        self._sealed: list[tuple[TaskRun, float | None]] = []
        self._absorbed: list[tuple[TaskRun, float | None]] = []

    def noted(self, task: Any, where: tuple[Site, ...] = ()) -> Task | None:
        """Give the entry of a task, made if there is room for one."""
        entry = self._tasks.get(id(task))
        if entry is None and len(self._tasks) < MAX_TASKS:
            entry = self._tasks[id(task)] = Task(task, where)
        return entry

    def seal(self, recorder: Recorder) -> dict[str, Any]:
        """Give the tasks in the order in which they were registered."""
        bound = {id(t): t for group in self._backgrounds() for t in _members(group)}
        for task in bound.values():
            self.noted(task)
        runs = (
            (self._run(entry, recorder, bound=key in bound), entry.started)
            for key, entry in self._tasks.items()
        )
        self._sealed = [(run, started) for run, started in runs if run is not None]
        absorbed = [
            run
            if started is None
            else msgspec.structs.replace(run, started_ms=recorder.ms(started))
            for run, started in self._absorbed
        ]
        fields: dict[str, Any] = {"tasks": (*absorbed, *(run for run, _ in self._sealed))}
        if self.broken:
            fields["broken_streams"] = tuple(self.broken)
        return fields

    def absorb(self, other: "BackgroundPart", *, exceptions: int) -> None:
        """Take over the tasks of a request inside this capture, as they were sealed."""
        for run, started in (*other._absorbed, *other._sealed):  # noqa: SLF001 - one of ourselves
            moved = msgspec.structs.replace(
                run,
                exception=_moved(run.exception, exceptions),
                cause=_moved(run.cause, exceptions),
            )
            if len(self._absorbed) < MAX_TASKS:
                self._absorbed.append((moved, started))
        self.broken += (
            msgspec.structs.replace(broken, exception=broken.exception + exceptions)
            for broken in other.broken[: MAX_BROKEN - len(self.broken)]
        )

    def _backgrounds(self) -> Iterator[Any]:
        yield from self.injected
        yield from (sending.background for sending in self.sendings)

    def _run(self, entry: Task, recorder: Recorder, *, bound: bool) -> TaskRun | None:
        """Say how it went; `None` if it was never registered or nobody can tell."""
        if entry.started is not None:
            ended = entry.ended
            return msgspec.structs.replace(
                _pending(entry, recorder),
                state="running" if ended is None else "failed" if entry.failed else "done",
                started_ms=recorder.ms(entry.started),
                duration_ms=None if ended is None else round((ended - entry.started) * 1000, 3),
                exception=entry.exception,
                after_response=entry.after_response,
            )
        if not bound:
            return None
        if recorder.sealing == "open":
            return _pending(entry, recorder)
        reason, cause = self._reason(entry.task, recorder)
        if reason is None:
            return None
        return msgspec.structs.replace(
            _pending(entry, recorder), state="never-ran", reason=reason, cause=cause
        )

    def _reason(self, task: Any, recorder: Recorder) -> tuple[_Reason | None, int | None]:
        """Find out why a registered task was never started; with the exception that led to it."""
        if recorder.kind == "websocket":
            return None, None
        sending = next((s for s in self.sendings if _holds(s.background, task)), None)
        if sending is None:
            return self._reason_unsent(recorder)
        if not _is_plain_group(sending.background):
            return None, None
        for other in _members(sending.background):
            entry = self._tasks.get(id(other))
            if entry is not None and entry.failed:
                return (None if entry.cancelled else "earlier-task-failed"), entry.exception
        if sending.gone:
            return "client-gone", sending.exception
        return ("stream-broken" if sending.broken else None), sending.exception

    def _reason_unsent(self, recorder: Recorder) -> tuple[_Reason | None, int | None]:
        """Why what FastAPI injected did not even become part of a response that was sent."""
        for index, fact in enumerate(recorder.exceptions):
            if fact.phase in _BEFORE_RESPONSE:
                return "exception", index
        if self.sendings and all(_is_plain_group(s.background) for s in self.sendings):
            return "replaced", None
        return None, None


def _moved(index: int | None, by: int) -> int | None:
    return None if index is None else index + by


def _members(background: Any, depth: int = 3) -> Iterator[Any]:
    """Give the tasks of a group, or the one task itself, as far as we would see them start."""
    tasks = getattr(background, "tasks", None)
    if isinstance(tasks, list) and depth > 0:
        for task in tasks:
            yield from _members(task, depth - 1)
    elif _is_watched(background):
        yield background


def _holds(background: Any, task: Any) -> bool:
    return any(member is task for member in _members(background))


def _is_plain_group(background: Any) -> bool:
    """Tell whether it calls each of its tasks in turn, and does nothing of its own."""
    return type(background).__module__ in {"starlette.background", "fastapi.background"}


def _is_watched(task: Any) -> bool:
    """Tell whether it is a task that we see start: a subclass may call the function by itself."""
    call = getattr(type(task), "__call__", None)  # noqa: B004 - the method itself is wanted
    return getattr(call, "__module__", None) == "starlette.background"


def _pending(entry: Task, recorder: Recorder) -> TaskRun:
    """Describe a task once: its arguments may change or be closed later."""
    if entry.described is None:
        entry.described = described(entry.task, entry.where, recorder.values)
    return entry.described
