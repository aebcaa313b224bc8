"""TASK102: background tasks were registered, and nobody ever started them."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import RequestRecord, TaskRun
from fastapi_diagnostics.rules.tasks._handing_over import hand_over
from fastapi_diagnostics.rules.tasks._words import at, error_text

MAX_NAMES = 5

RULE = Rule(
    code="TASK102",
    name="background-task-never-ran",
    family="tasks",
    severity="error",
    title="Background tasks were added and never ran",
    what=(
        "Compares the background tasks that were bound to a response with those that were "
        "started, once the request is over, and tells why the others were not: an earlier task "
        "failed, the endpoint raised (an HTTPException too), a response with its own background= "
        "replaced them, a stream broke off, or the client went away."
    ),
    why=(
        "Tasks of one response run one after the other and only after a response that was sent "
        "in full; whatever ends that chain drops the rest without a word in any log."
    ),
    example="""\
@app.post("/orders")
async def create_order(order: OrderIn, tasks: BackgroundTasks):
    tasks.add_task(send_confirmation, order.email)
    tasks.add_task(update_stock, order.items)
    return {"status": "accepted"}

async def send_confirmation(email):
    await mail_server.send(email, "Thank you!")
""",
    instead="""\
@app.post("/orders")
async def create_order(order: OrderIn, tasks: BackgroundTasks):
    tasks.add_task(send_confirmation, order.email)
    tasks.add_task(update_stock, order.items)
    return {"status": "accepted"}

async def send_confirmation(email):
    try:
        await mail_server.send(email, "Thank you!")
    except Exception:
        logger.exception("The confirmation to %s was not sent.", email)
""",
    limits=(
        (
            "Tasks added in a websocket endpoint or in the teardown of a dependency never run "
            "either; they are not reported yet."
        ),
        "Groups and responses that run their tasks in their own way are not judged.",
    ),
)

_FIXES = {
    "earlier-task-failed": Fix(
        summary="Let each task deal with its own failure, so that the ones behind it still run.",
        code=(
            "try:\n"
            "    ...  # what the task does\n"
            "except Exception:\n"
            '    logger.exception("Background task failed")'
        ),
    ),
    "exception": Fix(
        summary=(
            "Tasks belong to the answer of an endpoint that returns. Do what must happen in either "
            "case before raising, or return the error as a response that carries the tasks."
        ),
        code='return JSONResponse({"detail": "…"}, status_code=409, background=background_tasks)',
    ),
    "replaced": Fix(
        summary=(
            "A response has one background. Add everything to the injected BackgroundTasks and "
            "leave background= away, or pass the injected object on."
        ),
        code="background_tasks.add_task(other_task)\nreturn JSONResponse(content)",
    ),
    "stream-broken": Fix(
        summary=(
            "Background tasks run only after a stream that ended well. Do what must happen in any "
            "case in a finally block of the generator."
        ),
        code="try:\n    yield chunk\nfinally:\n    ...  # what the task does",
    ),
    "client-gone": Fix(
        summary=(
            "Background tasks run only after the whole answer was sent. Do what must happen even "
            "if the client leaves in a finally block of the generator, or before the response."
        ),
        code="try:\n    yield chunk\nfinally:\n    ...  # what the task does",
    ),
}


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for the tasks of a request that never ran for one reason."""
    lost = [task for task in record.tasks if task.state == "never-ran" and task.reason]
    if not lost:
        return
    first = lost[0]
    same = [task for task in lost if task.reason == first.reason]
    verb = "was" if len(same) == 1 else "were"
    yield RULE.finding(
        f"{_names(same)} {verb} added as background {_tasks(same)} and never ran: "
        f"{_why(record, first)}.",
        location=first.registered_at or first.defined_at,
        fix=_fix(record, first),
        evidence={
            "tasks": [task.name for task in same],
            "reason": first.reason,
            "registered_at": [task.registered_at for task in same],
            "cause": _cause(record, first),
        },
        cause=str(first.reason),
    )


def _names(tasks: list[TaskRun]) -> str:
    names = [f"{task.name}()" for task in tasks[:MAX_NAMES]]
    if len(tasks) > MAX_NAMES:
        names.append(f"{len(tasks) - MAX_NAMES} more")
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _tasks(tasks: list[TaskRun]) -> str:
    return "task" if len(tasks) == 1 else "tasks"


def _why(record: RequestRecord, task: TaskRun) -> str:
    error = _error_text(record, task)
    if task.reason == "earlier-task-failed":
        failed = _failed_before(record, task)
        name = f"the task {failed.name}() before" if failed is not None else "a task before"
        return f"{name} {_it_or_them(record, task)} failed with {error or 'an exception'}"
    if task.reason == "exception":
        return f"the request ended with {error or 'an exception'} instead of the endpoint's answer"
    if task.reason == "replaced":
        return (
            "the endpoint returned a response with a background of its own, which replaced the "
            "injected tasks"
        )
    if task.reason == "stream-broken":
        return f"the response broke off with {error or 'an exception'}"
    return "the client was gone before the whole response was sent"


def _it_or_them(record: RequestRecord, task: TaskRun) -> str:
    same = [other for other in record.tasks if other.reason == task.reason]
    return "it" if len(same) == 1 else "them"


def _failed_before(record: RequestRecord, task: TaskRun) -> TaskRun | None:
    failed = [other for other in record.tasks if other.state == "failed"]
    named = (other for other in failed if other.exception == task.cause)
    return next(named, failed[0] if failed else None)


def _error_text(record: RequestRecord, task: TaskRun) -> str:
    if task.cause is None or task.cause >= len(record.exceptions):
        return ""
    error = record.exceptions[task.cause]
    return f"{error_text(error)}{at(error.location)}"


def _cause(record: RequestRecord, task: TaskRun) -> dict[str, object] | None:
    if task.cause is None or task.cause >= len(record.exceptions):
        return None
    error = record.exceptions[task.cause]
    failed = _failed_before(record, task) if task.reason == "earlier-task-failed" else None
    return {
        "task": failed.name if failed is not None else None,
        "type": error.type,
        "message": error.message,
        "location": error.location,
    }


def _fix(record: RequestRecord, task: TaskRun) -> Fix:
    fix = _FIXES[str(task.reason)]
    failed = _failed_before(record, task) if task.reason == "earlier-task-failed" else None
    if failed is None:
        return fix
    if failed.uncallable:
        return hand_over(failed)
    return Fix(
        summary=f"Let {failed.name} deal with its own failure, so that the tasks behind it run.",
        code=fix.code,
        location=failed.defined_at,
    )
