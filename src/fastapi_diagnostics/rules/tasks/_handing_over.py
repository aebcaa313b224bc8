"""Words for a task that was given the result of a call, and not the function."""

from typing import Final

from fastapi_diagnostics.finding import Fix
from fastapi_diagnostics.record import TaskRun

_COROUTINE: Final = "coroutine"


def what_was_handed_over(task: TaskRun) -> str:
    """Say what a task got that cannot be called."""
    if task.uncallable == _COROUTINE:
        return (
            f"{task.name}() was called where the function itself is to be handed over: the "
            "background task got a coroutine, which nobody can call, and nothing of it ran."
        )
    return (
        f"A background task got a value of {task.uncallable} in place of a function, and nobody "
        "can call that: the function seems to have been called on the spot."
    )


def hand_over(task: TaskRun) -> Fix:
    """Say how it is handed over."""
    name = task.name.rpartition(".")[2] if task.uncallable == _COROUTINE else ""
    return Fix(
        summary="Hand over the function and, behind it, its arguments, and do not call it: that "
        "is done after the response.",
        code=f"{name}, ..." if name else "add_task(function, ...)",
        location=task.registered_at,
        replaces=f"{name}(...)" if name else "",
    )
