"""TASK103: a task failed and nobody ever asked how it went."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import ExceptionFact, LooseTask, RequestRecord
from fastapi_diagnostics.rules.tasks._words import QUEUE, at, error_text, exception_evidence

RULE = Rule(
    code="TASK103",
    name="failed-fire-and-forget-task",
    family="tasks",
    severity="error",
    title="A task failed and nobody asked for its result",
    what=(
        "Reports a task, started with create_task, ensure_future or gather, that raised and was "
        "thrown away without anybody having looked at the exception: which coroutine, the line "
        "that started it, the line that raised, and the request it was started in."
    ),
    why=(
        "Nobody learns of the failure: the client has its answer, no handler runs, and asyncio "
        "writes a line into the log only when the task is collected, which names neither the "
        "request nor the line that started it."
    ),
    example="""\
@app.post("/orders")
async def create_order(order: OrderIn):
    asyncio.create_task(notify_warehouse(order.id))
    return {"status": "accepted"}
""",
    instead="""\
running = set()

@app.post("/orders")
async def create_order(order: OrderIn):
    task = asyncio.create_task(notify_warehouse(order.id))
    running.add(task)
    task.add_done_callback(finished)
    return {"status": "accepted"}

def finished(task):
    running.discard(task)
    if not task.cancelled() and task.exception() is not None:
        logger.error("A task failed", exc_info=task.exception())
""",
    limits=(
        "A failed task that something still holds is not reported: it may be asked yet.",
        "Tasks that a library started for its own coroutines are not reported.",
        "Futures without a task behind them are not reported.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield a finding for each task whose exception nobody retrieved."""
    for task in record.loose_tasks:
        if task.kind == "failed" and task.exception is not None:
            yield _finding(record, task, task.exception)


def _finding(record: RequestRecord, task: LooseTask, error: ExceptionFact) -> Finding:
    return RULE.finding(
        f"The task {task.name}(){_started(task)} failed with {error_text(error)}"
        f"{at(error.location)}, and nobody ever asked for its result.{_answered(record, task)}",
        location=task.created_at or error.location or task.defined_at,
        fix=_fix(task),
        evidence={
            "task": task.name,
            "exception": exception_evidence(error),
            "after_response": task.after_response,
            "created_at": task.created_at,
            "causes": list(error.causes),
            "stack": [frame.location for frame in error.stack],
        },
        cause=f"{task.name} {error.type}",
        subject=f"loose_tasks[{task.id}]",
    )


def _started(task: LooseTask) -> str:
    place = task.created_at
    return "" if place is None else f", started at {place.file}:{place.line},"


def _answered(record: RequestRecord, task: LooseTask) -> str:
    if record.kind != "http" or not task.after_response:
        return ""
    status = "" if record.status is None else f" ({record.status})"
    return f" The client had its answer{status} regardless."


def _fix(task: LooseTask) -> Fix:
    return Fix(
        summary=(
            "Await it, or start it in an asyncio.TaskGroup, where the answer depends on it. "
            "Otherwise keep the task and log its failure when it is done, as below, or hand it to "
            f"BackgroundTasks and guard it. {QUEUE}"
        ),
        code=(
            "def finished(task):\n"
            "    running.discard(task)\n"
            "    if not task.cancelled() and task.exception() is not None:\n"
            '        logger.error("A task failed", exc_info=task.exception())\n'
            "\n"
            f"task = asyncio.create_task({task.name.rpartition('.')[2]}(...))\n"
            "running.add(task)  # a set at module level\n"
            "task.add_done_callback(finished)"
        ),
        location=task.created_at,
    )
