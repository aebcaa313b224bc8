"""Describes a background task as plain values."""

import functools
from types import FunctionType, MethodType
from typing import Any, Final

from fastapi_diagnostics.callsite import Site, definition, frames, unwrapped
from fastapi_diagnostics.record import TaskRun
from fastapi_diagnostics.redaction import preview

MAX_ARGUMENTS: Final = 10


def described(task: Any, where: tuple[Site, ...], values: str) -> TaskRun:
    """Describe a task that is yet to run.

    Args:
        task: A `BackgroundTask`.
        where: The user's line that added it, if there is one.
        values: How arguments may be shown.
    """
    found = frames(where)
    return TaskRun(
        name=_name(task.func),
        state="pending",
        arguments=_arguments(task, values),
        registered_at=found[0].location if found else None,
        defined_at=definition(task.func),
        uncallable="" if callable(task.func) else type(task.func).__name__,
    )


def _name(function: Any) -> str:
    target = unwrapped(function)
    name = getattr(target, "__qualname__", None) or type(target).__qualname__
    return str(name).rpartition("<locals>.")[2]


def _arguments(task: Any, mode: str) -> tuple[str, ...]:
    names = _parameters(task.func)
    positional = zip(names + [""] * len(task.args), task.args, strict=False)
    pairs = [*positional, *task.kwargs.items()][:MAX_ARGUMENTS]
    return tuple(
        (f"{name}=" if name else "") + preview(value, name=name, mode=mode) for name, value in pairs
    )


def _parameters(function: Any) -> list[str]:
    """Name the positional parameters that are still to be given; empty if unknown."""
    given = 0
    while isinstance(function, functools.partial):
        given += len(function.args)
        function = function.func
    target = unwrapped(function)
    target = getattr(target, "__func__", target)
    if not isinstance(target, FunctionType):
        return []
    if isinstance(function, MethodType) or not isinstance(function, FunctionType):
        given += 1  # self
    code = target.__code__
    return list(code.co_varnames[given : code.co_argcount])
