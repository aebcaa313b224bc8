"""What else happened in a request: tasks, exceptions, refused input."""

import msgspec

from fastapi_diagnostics.outputs.dashboard.links import Links
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.outputs.dashboard.words import cut, milliseconds
from fastapi_diagnostics.record import (
    ExceptionFact,
    LooseTask,
    RejectionError,
    RequestRecord,
    TaskRun,
)

MAX_LISTED = 50

_REASONS = {
    "earlier-task-failed": "an earlier task failed",
    "exception": "an exception ended the request",
    "replaced": "the response's own background replaced it",
    "stream-broken": "the response stream broke off",
    "client-gone": "the client went away",
}
_LOOSE = {
    "failed": "",
    "destroyed": "nothing held it while it waited",
    "never-awaited": "nothing of it ran",
}


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """A background task; `trouble` tells what went wrong, empty if nothing did."""

    name: str
    arguments: str
    state: str
    bad: bool
    took: str
    trouble: str
    place: Place | None


class ExceptionView(msgspec.Struct, frozen=True, kw_only=True):
    """An exception that passed through."""

    type: str
    message: str
    phase: str
    stack: tuple[Place, ...]
    chain: tuple[str, ...]
    outcome: str


class RejectionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One complaint of validation."""

    where: str
    message: str
    came: str


class RejectionView(msgspec.Struct, frozen=True, kw_only=True):
    """A 422."""

    content_type: str
    body: str
    rows: tuple[RejectionRow, ...]


def task_views(record: RequestRecord, links: Links) -> tuple[TaskView, ...]:
    """Describe the background tasks, and the tasks that nobody waited for."""
    background = (_task(task, record, links) for task in record.tasks[:MAX_LISTED])
    loose = (_loose_task(task, links) for task in record.loose_tasks[:MAX_LISTED])
    return (*background, *loose)


def exception_views(record: RequestRecord, links: Links) -> tuple[ExceptionView, ...]:
    """Describe the exceptions."""
    return tuple(_exception(fact, links) for fact in record.exceptions[:MAX_LISTED])


def rejection_views(record: RequestRecord) -> tuple[RejectionView, ...]:
    """Describe what validation refused."""
    return tuple(
        RejectionView(
            content_type=rejection.content_type or "no content type",
            body=rejection.body_kind,
            rows=tuple(_rejected(error) for error in rejection.errors[:MAX_LISTED]),
        )
        for rejection in record.rejections
    )


def _task(task: TaskRun, record: RequestRecord, links: Links) -> TaskView:
    trouble = _REASONS.get(task.reason or "", "")
    if task.exception is not None and task.exception < len(record.exceptions):
        fact = record.exceptions[task.exception]
        trouble = f"{fact.type}: {fact.message}"
    return TaskView(
        name=task.name,
        arguments=cut(", ".join(task.arguments), 200),
        state=task.state.replace("-", " "),
        bad=task.state in {"failed", "never-ran"},
        took="" if task.duration_ms is None else milliseconds(task.duration_ms),
        trouble=trouble,
        place=place_of(task.registered_at or task.defined_at, links),
    )


def _loose_task(task: LooseTask, links: Links) -> TaskView:
    fact = task.exception
    return TaskView(
        name=task.name,
        arguments="",
        state=task.kind.replace("-", " "),
        bad=True,
        took="",
        trouble=_LOOSE[task.kind] if fact is None else f"{fact.type}: {fact.message}",
        place=place_of(task.created_at or task.defined_at, links),
    )


def _exception(fact: ExceptionFact, links: Links) -> ExceptionView:
    stack = (place_of(frame.location, links) for frame in fact.stack)
    return ExceptionView(
        type=fact.type,
        message=fact.message,
        phase=fact.phase,
        stack=tuple(place for place in stack if place is not None),
        chain=fact.causes + fact.members,
        outcome=_outcome(fact),
    )


def _outcome(fact: ExceptionFact) -> str:
    if fact.raised_by_handler:
        return "raised by an exception handler"
    status = f" as {fact.status}" if fact.status else ""
    return f"handled by {fact.handler}{status}" if fact.handler else "not handled"


def _rejected(error: RejectionError) -> RejectionRow:
    return RejectionRow(where=" → ".join(error.loc), message=error.message, came=error.input)
