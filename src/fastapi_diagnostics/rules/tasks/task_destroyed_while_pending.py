"""TASK104: a task that still had work to do was thrown away."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import LooseTask, RequestRecord
from fastapi_diagnostics.rules.tasks._words import QUEUE

RULE = Rule(
    code="TASK104",
    name="task-destroyed-while-pending",
    family="tasks",
    severity="error",
    title="A task was thrown away before it had finished",
    what=(
        "Reports a task that the garbage collector took although it was still waiting for "
        "something: which coroutine, the line that started it and the request it was started in."
    ),
    why=(
        "The event loop holds tasks only weakly. A task to which nothing else refers can vanish "
        "at any time in the middle of its work; it depends on when the collector runs, so it "
        "happens now and then and never while one is looking."
    ),
    example="""\
@app.post("/orders")
async def create_order(order: OrderIn):
    asyncio.create_task(wait_for_payment(order.id))
    return {"status": "accepted"}
""",
    instead="""\
running = set()

@app.post("/orders")
async def create_order(order: OrderIn):
    task = asyncio.create_task(wait_for_payment(order.id))
    running.add(task)
    task.add_done_callback(running.discard)
    return {"status": "accepted"}
""",
    limits=(
        "A task that could vanish and has not (yet) is not reported.",
        "Tasks that are left when their loop ends are not reported.",
        "Tasks that a library started for its own coroutines are not reported.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield a finding for each task that was destroyed while it was pending."""
    for task in record.loose_tasks:
        if task.kind == "destroyed":
            yield _finding(task)


def _finding(task: LooseTask) -> Finding:
    place = task.created_at
    started = "" if place is None else f", started at {place.file}:{place.line},"
    return RULE.finding(
        f"The task {task.name}(){started} was destroyed while it was still waiting, because "
        "nothing held a reference to it. What it had left to do is lost.",
        location=place or task.defined_at,
        fix=_fix(task),
        evidence={
            "task": task.name,
            "after_response": task.after_response,
            "created_at": place,
            "defined_at": task.defined_at,
        },
        cause=task.name,
        subject=f"loose_tasks[{task.id}]",
    )


def _fix(task: LooseTask) -> Fix:
    return Fix(
        summary=(
            "Keep the task in a set at module level until it is done, or start it in an "
            f"asyncio.TaskGroup that lives as long. {QUEUE}"
        ),
        code=(
            f"task = asyncio.create_task({task.name.rpartition('.')[2]}(...))\n"
            "running.add(task)  # a set at module level\n"
            "task.add_done_callback(running.discard)"
        ),
        location=task.created_at,
    )
