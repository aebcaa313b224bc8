"""Readable names of callables and of annotations."""

import functools
import inspect
import types
import typing
from functools import lru_cache
from typing import Any

from fastapi_diagnostics.callsite import function_name, unwrapped

_MAX_TEXT = 120


@lru_cache(maxsize=512)
def callable_name(function: Any) -> str:
    """Name a dependency as people call it: the function, the class, or the object's class."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, type):
        return function.__qualname__.rpartition("<locals>.")[2]
    code = getattr(function, "__code__", None) or getattr(
        getattr(function, "__func__", None), "__code__", None
    )
    if code is not None:
        return function_name(code).rpartition("<locals>.")[2]
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type(function).__qualname__


@lru_cache(maxsize=512)
def runs_in_threadpool(function: Any) -> bool:
    """Tell whether FastAPI runs a dependency in a thread: plain functions and classes."""
    if isinstance(function, functools.partial):
        return runs_in_threadpool(function.func)
    if isinstance(function, type):
        return True
    target: Any = unwrapped(function)
    return not (
        inspect.iscoroutinefunction(function)
        or inspect.iscoroutinefunction(target)
        or inspect.isasyncgenfunction(target)
    )


def type_text(annotation: Any) -> str:
    """Write an annotation as it would stand in the source, without modules."""
    return _type_text(annotation, 0)[:_MAX_TEXT]


def _type_text(annotation: Any, depth: int) -> str:
    if annotation is None or annotation is type(None):
        return "None"
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if depth > 4 or origin is None:  # noqa: PLR2004 - deeper than anybody reads
        name = getattr(annotation, "__name__", None)
        return name if isinstance(name, str) else str(annotation).replace("typing.", "")
    if origin is typing.Annotated:
        return _type_text(arguments[0], depth)
    if origin in {typing.Union, types.UnionType}:
        return " | ".join(_type_text(argument, depth + 1) for argument in arguments)
    if origin is typing.Literal:
        return f"Literal[{', '.join(repr(argument) for argument in arguments)}]"
    inner = ", ".join("..." if a is ... else _type_text(a, depth + 1) for a in arguments)
    return f"{getattr(origin, '__name__', origin)}[{inner}]"
