"""TASK101: a background task failed after the client had its answer."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import ExceptionFact, RequestRecord, TaskRun
from fastapi_diagnostics.rules.tasks._handing_over import hand_over, what_was_handed_over
from fastapi_diagnostics.rules.tasks._words import (
    QUEUE,
    at,
    error_text,
    exception_evidence,
    status_text,
)

RULE = Rule(
    code="TASK101",
    name="failed-background-task",
    family="tasks",
    severity="error",
    title="A background task failed after the response was sent",
    what=(
        "Reports a background task that raised: which task with which arguments, the exception "
        "itself (also where Starlette masks it as 'response already started', or a middleware "
        "swallows it), the line that raised, and the request that added the task. A task that was "
        "given the result of a call in place of the function is told at the line that added it."
    ),
    why=(
        "The client was told that all went well, so nobody will repeat the request; what the task "
        "had to do is lost, and so are the tasks behind it. The server also closes the "
        "connection, which shows as sporadic resets in other requests of that client."
    ),
    example="""\
@app.post("/orders")
async def create_order(order: OrderIn, tasks: BackgroundTasks):
    tasks.add_task(send_confirmation, order.email)
    return {"status": "accepted"}

async def send_confirmation(email):
    await mail_server.send(email, "Thank you!")
""",
    instead="""\
@app.post("/orders")
async def create_order(order: OrderIn, tasks: BackgroundTasks):
    tasks.add_task(send_confirmation, order.email)
    return {"status": "accepted"}

async def send_confirmation(email):
    try:
        await mail_server.send(email, "Thank you!")
    except Exception:
        logger.exception("The confirmation to %s was not sent.", email)
""",
    limits=(
        "A task that catches its own exception and loses it is not seen.",
        "Cancelled tasks (shutdown, a client gone behind some middleware) are not reported.",
        "Subclasses of BackgroundTask that run their function in their own way are not watched.",
    ),
    supersedes=("EXC101",),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield a finding for each background task that raised."""
    for task in record.tasks:
        if task.state != "failed" or task.exception is None:
            continue
        if task.exception < len(record.exceptions):
            yield _finding(record, task, record.exceptions[task.exception])


def _finding(record: RequestRecord, task: TaskRun, error: ExceptionFact) -> Finding:
    failed = (
        f"Background task {task.name}({', '.join(task.arguments)}) failed with "
        f"{error_text(error)}{at(error.location)}."
    )
    location = error.location or task.defined_at or task.registered_at
    if task.uncallable:
        failed, location = what_was_handed_over(task), task.registered_at or task.defined_at
    return RULE.finding(
        f"{failed}{_answered(record, task)}",
        location=location,
        fix=hand_over(task) if task.uncallable else _fix(task),
        evidence={
            "task": task.name,
            "arguments": list(task.arguments),
            "exception": exception_evidence(error),
            "after_response": task.after_response,
            "registered_at": task.registered_at,
            "causes": list(error.causes),
        },
        cause=f"{task.name} {error.type}",
        subject=f"exceptions[{task.exception}]",
    )


def _answered(record: RequestRecord, task: TaskRun) -> str:
    if not task.after_response:
        return ""
    return (
        f" The client had already received its answer{status_text(record)}, so nobody outside "
        "learns of it and what the task had to do is lost."
    )


def _fix(task: TaskRun) -> Fix:
    name = task.name.rpartition(".")[2]
    return Fix(
        summary=(
            f"Let {task.name} deal with its own failure and log it, and give it a session of its "
            f"own if it uses the database. {QUEUE}"
        ),
        code=(
            "try:\n"
            "    ...  # what the task does\n"
            "except Exception:\n"
            f'    logger.exception("Background task {name} failed")'
        ),
        location=task.defined_at,
    )
