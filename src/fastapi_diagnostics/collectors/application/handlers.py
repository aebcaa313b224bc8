"""Describes exception handlers, and the middleware that may check who asks."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi_diagnostics.app_record import HandlerFact
from fastapi_diagnostics.callsite import definition
from fastapi_diagnostics.collectors.application.guards import is_guarding_name
from fastapi_diagnostics.collectors.names import callable_name

_FRAMEWORKS = ("fastapi.", "starlette.")


def handlers_of(applications: Iterable[tuple[str, Any]]) -> Iterator[HandlerFact]:
    """Describe the exception handlers of applications, each with the path it is mounted at."""
    for prefix, app in applications:
        for key, handler in tuple(getattr(app, "exception_handlers", {}).items()):
            yield HandlerFact(
                application=prefix,
                handles=_name(key),
                name=callable_name(handler),
                location=definition(handler),
                builtin=str(getattr(handler, "__module__", "")).startswith(_FRAMEWORKS),
            )


def guarding_middleware(applications: Iterable[tuple[str, Any]]) -> tuple[str, ...]:
    """Name the middleware of applications that speaks of authentication."""
    names = [
        name
        for _, app in applications
        for entry in tuple(getattr(app, "user_middleware", ()))
        for name in _names(entry)
    ]
    return tuple(dict.fromkeys(name for name in names if is_guarding_name(name)))


def _names(entry: Any) -> Iterator[str]:
    """Give the names of a middleware's class, and of the function behind ``@app.middleware``."""
    yield callable_name(entry.cls)
    dispatch = getattr(entry, "kwargs", {}).get("dispatch")
    if dispatch is not None:
        yield callable_name(dispatch)


def _name(key: Any) -> str:
    return f"{key.__module__}.{key.__qualname__}" if isinstance(key, type) else str(key)
