"""TASK107: a coroutine was made and dropped; nothing in it ever ran."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import LooseTask, RequestRecord
from fastapi_diagnostics.rules._known_errors import uses_coroutine

RULE = Rule(
    code="TASK107",
    name="coroutine-never-awaited",
    family="tasks",
    severity="error",
    title="A coroutine was called and never awaited",
    what=(
        "Reports a coroutine that was thrown away before it had started, when the interpreter "
        "tells of it: which function, the line that called it, and the request."
    ),
    why=(
        "Calling an async function does not run it. Without await nothing of it happens, no "
        "exception tells, and the only trace is a RuntimeWarning that names the line where the "
        "coroutine was dropped, which is often another one."
    ),
    example="""\
@app.post("/orders")
async def create_order(order: OrderIn):
    send_confirmation(order.email)
    return {"status": "accepted"}
""",
    instead="""\
@app.post("/orders")
async def create_order(order: OrderIn):
    await send_confirmation(order.email)
    return {"status": "accepted"}
""",
    limits=(
        (
            "A coroutine does not know who made it. Where it is dropped by another statement than "
            "the one that made it, the line is named only if it is the only call of that function "
            "whose result is not awaited; the finding then says `likely`."
        ),
        (
            "A sync function run in a thread, such as a lambda given to add_task, that returns a "
            "coroutine: the thread drops it with its next job, so the request is not known."
        ),
        (
            "A coroutine of a library's function, as of request.json(), is reported where the "
            "statement that made it drops it, or where it is the only one of its name that the "
            "endpoint keeps in a variable; what a library makes and drops itself is not."
        ),
        "Async generators that are never iterated are not seen.",
    ),
    supersedes=("EXC101", "RES105"),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield a finding for each coroutine that never ran."""
    lost = [task for task in record.loose_tasks if task.kind == "never-awaited"]
    came_of_it = _came_of_coroutines(record)
    for task in lost:
        is_certain = len(lost) == 1 and task.created_at is not None
        yield _finding(task, record, came_of_it if is_certain else ())


def _came_of_coroutines(record: RequestRecord) -> tuple[int, ...]:
    """Give the exceptions that came of a coroutine in the place of its result."""
    used = {index for index, error in enumerate(record.exceptions) if uses_coroutine(error)}
    sent = {
        invalid.exception
        for invalid in record.invalid_responses
        if any(error.came == "coroutine" for error in invalid.errors)
    }
    return tuple(sorted(used | sent))


def _finding(task: LooseTask, record: RequestRecord, came_of_it: tuple[int, ...]) -> Finding:
    place = task.created_at
    called = "" if place is None else f" was called at {place.file}:{place.line} and"
    name = task.name.rpartition(".")[2]
    outcome = f" The request was answered with {record.status} for it." if came_of_it else ""
    later = (
        " If the answer must not wait for it, hand the function itself to BackgroundTasks: "
        f"add_task({name}, ...), without calling it."
        if task.defined_at is not None
        else ""
    )
    return RULE.finding(
        f"{task.name}(){called} was never awaited, so nothing of it ever ran.{outcome}",
        location=place or task.defined_at,
        confidence="proven" if task.exact or place is None else "likely",
        fix=Fix(
            summary=f"Put await before the call of {name}().{later}",
            code=f"await {name}(...)",
            location=place,
            replaces=f"{name}(...)",
        ),
        evidence={
            "task": task.name,
            "after_response": task.after_response,
            "created_at": place,
            "defined_at": task.defined_at,
        },
        cause=task.name,
        subject=f"loose_tasks[{task.id}]",
        also=tuple(f"exceptions[{index}]" for index in came_of_it),
    )
