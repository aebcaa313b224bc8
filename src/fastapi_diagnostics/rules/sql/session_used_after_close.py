"""SQL304: a background task used the request's session, which had been closed."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import (
    LazyLoadFailure,
    Location,
    RequestRecord,
    SessionReuse,
    TaskRun,
)
from fastapi_diagnostics.rules.sql._chains import place
from fastapi_diagnostics.rules.sql._sessions import at, outlived, plural, task_at

RULE = Rule(
    code="SQL304",
    name="session-used-after-close",
    family="sql",
    severity="error",
    title="A background task used a session that had been closed",
    what=(
        "Reports a background task that ran statements on the session of its request after that "
        "had been closed, and one that read an attribute of an object of such a session: with the "
        "line that closed it and the line that used it."
    ),
    why=(
        "A closed session can be used again: it silently takes a new connection and begins a new "
        "transaction, which nobody commits and nobody closes. Its objects are detached and can "
        "load nothing more. The client has its answer by then, so nobody sees the failure."
    ),
    example=(
        '@app.post("/orders")\n'
        "async def create(order: OrderIn, tasks: BackgroundTasks) -> None:\n"
        "    async with new_session() as session:\n"
        "        tasks.add_task(write_invoice, session, order.id)\n\n"
        "async def write_invoice(session: AsyncSession, order_id: int) -> None:\n"
        "    order = await session.get(Order, order_id)"
    ),
    instead=(
        '@app.post("/orders")\n'
        "async def create(order: OrderIn, tasks: BackgroundTasks) -> None:\n"
        "    tasks.add_task(write_invoice, order.id)\n\n"
        "async def write_invoice(order_id: int) -> None:\n"
        "    async with new_session() as session:\n"
        "        order = await session.get(Order, order_id)"
    ),
    limits=(
        "A task that closes the session itself after its use is in order and not reported.",
        (
            "FastAPI from 0.118 on closes `yield` dependencies after the background tasks, before "
            "that ahead of them: the same code may be in order in one version only."
        ),
        "Tasks that were started with `create_task` are not looked at, only background tasks.",
    ),
    supersedes=("TASK101", "EXC101", "SQL202"),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each line that used a closed session or an object of one."""
    if record.state != "closed":
        return  # a task that still runs may close it yet
    seen: set[tuple[Location | None, ...]] = set()
    for reuse in record.session_reuses:
        lines = (reuse.used_at, reuse.closed_at)
        if _is_defect(reuse) and lines not in seen:
            seen.add(lines)
            yield _of_use(record, reuse)
    for failure in record.lazy_failures:
        lines = (failure.read_at, failure.closed_at)
        if outlived(failure, record) and lines not in seen:
            seen.add(lines)
            yield _of_read(record, failure)


def _is_defect(reuse: SessionReuse) -> bool:
    if reuse.phase != "background" or reuse.closed_phase == "background":
        return False
    return reuse.refused or not reuse.closed_again


def _of_use(record: RequestRecord, reuse: SessionReuse) -> Finding:
    task = task_at(record, reuse.used_ms)
    left = [one for one in record.open_connections if one.closed_before]
    writes = sum(one.writes for one in left)
    if reuse.refused:
        end = "The session refused it"
    elif left:
        end = "It took a new connection, which nobody gave back"
        if writes:
            end += f", and {plural(writes, 'statement')} that changed rows was never committed"
    else:
        end = "It began a new transaction, which nobody ended"
    where = reuse.used_at or _defined(task) or record.endpoint
    return RULE.finding(
        f"{_name(task)} used the session of its request{at(reuse.used_at)}, although it had been "
        f"closed{at(reuse.closed_at)}. {end}.",
        location=where,
        fix=_fix(task, is_async=reuse.is_async),
        evidence={
            "task": task.name if task else None,
            "opened_at": reuse.opened_at,
            "closed_at": reuse.closed_at,
            "used_at": reuse.used_at,
            "after_close_ms": round(reuse.used_ms - reuse.closed_ms, 3),
            "connections_left": len(left),
            "writes": writes,
        },
        cause="session",
        subject=_subject(task, reuse.exception),
    )


def _of_read(record: RequestRecord, failure: LazyLoadFailure) -> Finding:
    failed = (task for task in record.tasks if task.exception == failure.exception)
    task = next(failed, None) if failure.exception is not None else None
    return RULE.finding(
        f"{_name(task)} read {failure.attribute}{at(failure.read_at)} from an object of a session "
        f"that had been closed at {place(failure.closed_at)}, so it could not be loaded "
        "(DetachedInstanceError).",
        location=failure.read_at or _defined(task) or record.endpoint,
        fix=_fix(task, is_async=failure.is_async),
        evidence={
            "task": task.name if task else None,
            "attribute": failure.attribute,
            "cause": failure.cause,
            "closed_at": failure.closed_at,
            "used_at": failure.read_at,
        },
        cause=failure.attribute,
        subject=_subject(task, failure.exception),
    )


def _subject(task: TaskRun | None, exception: int | None) -> str:
    index = task.exception if task is not None and exception is not None else exception
    return "" if index is None else f"exceptions[{index}]"


def _name(task: TaskRun | None) -> str:
    return f"Background task {task.name}" if task is not None else "A background task"


def _defined(task: TaskRun | None) -> Location | None:
    return task.defined_at if task is not None else None


def _fix(task: TaskRun | None, *, is_async: bool) -> Fix:
    way = "async with new_session()" if is_async else "with Session(engine)"
    return Fix(
        summary="Give the task ids instead of the session and its objects, and let it open a "
        "session of its own.",
        code=f"{way} as session:\n    ...  # what the task does",
        location=_defined(task),
    )
