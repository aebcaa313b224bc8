"""What the rules about sessions and connections have in common."""

from fastapi_diagnostics.record import LazyLoadFailure, Location, RequestRecord, TaskRun

_SOON_MS = 1.0


def name_of(record: RequestRecord) -> str:
    """Name a request, a capture or nobody in particular, as the beginning of a sentence."""
    return record.route or f"{record.method} {record.path}".strip() or record.name or "This code"


def at(location: Location | None) -> str:
    """Write a place behind a sentence; empty without one."""
    return "" if location is None else f" at {location.file}:{location.line}"


def plural(count: int, noun: str) -> str:
    """Write a number with its noun."""
    return f"{count} {noun}{'s' * (count != 1)}"


def outlived(failure: LazyLoadFailure, record: RequestRecord) -> bool:
    """Tell whether a background task read from an object of a session closed by the request."""
    return (
        failure.kind == "detached"
        and failure.phase == "background"
        and failure.closed_at is not None
        and bool(record.tasks)
    )


def task_at(record: RequestRecord, moment_ms: float) -> TaskRun | None:
    """Find the background task that ran at a moment; `None` if none did."""
    for task in record.tasks:
        if task.started_ms is None or moment_ms < task.started_ms - _SOON_MS:
            continue
        if task.duration_ms is None or moment_ms <= task.started_ms + task.duration_ms + _SOON_MS:
            return task
    return None


def block(is_async: bool, session: str) -> str:  # noqa: FBT001 - one fact
    """Write a ``with`` that opens a session."""
    return f"{'async ' if is_async else ''}with {session} as session:"
