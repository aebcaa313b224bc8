"""Describes an exception as plain values, at the moment it passes.

A plain walk of the traceback costs 2.5 µs where `traceback.TracebackException` costs 50;
Starlette 1.10 clears the traceback once a handler has run, so this cannot wait.
"""

from collections.abc import Iterator

from fastapi_diagnostics.callsite import frames, user_traceback
from fastapi_diagnostics.record import ExceptionFact, Frame, Location, PhaseName
from fastapi_diagnostics.redaction import redact_text, secrets_in, without_secrets

MAX_FRAMES = 16
MAX_CHAIN = 8


def describe_exception(
    error: BaseException, phase: PhaseName, *, answered: bool = False
) -> ExceptionFact:
    """Describe *error*, its chain and its members; never raises because of what they hold."""
    stack = frames(user_traceback(error, MAX_FRAMES))
    if not stack:
        stack = _innermost_of_members(error)
    return ExceptionFact(
        type=type_name(error),
        message=safe_message(error),
        phase=phase,
        location=stack[0].location if stack else None,
        stack=stack,
        causes=tuple(_line(cause) for cause in _chain(error)),
        members=tuple(_line(member) for member in _members(error)),
        member_locations=tuple(_place(member) for member in _members(error)),
        status=_http_status(error),
        answered=answered,
    )


def type_name(error: BaseException) -> str:
    """Name the class with its module, without ``builtins.``."""
    cls = type(error)
    return (
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    )


def safe_message(error: BaseException) -> str:
    """Give the exception's text, redacted; a ``__str__`` that raises gives its class instead."""
    try:
        return redact_text(_validation_text(error) or str(error))
    except Exception as failure:  # noqa: BLE001 - the application's own __str__
        return f"<{type(error).__name__}: its __str__ raised {type(failure).__name__}>"


def _validation_text(error: BaseException) -> str:
    """Tell a validation error of pydantic or FastAPI without the values that it would print."""
    if not any(cls.__module__.startswith(_VALIDATION) for cls in type(error).__mro__):
        return ""
    entries = getattr(error, "errors", None)
    if not callable(entries):
        return ""
    found = list(entries())
    shown = found[:MAX_CHAIN]
    told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in shown)
    secrets = secrets_in(getattr(error, "body", None)).union(
        *(secrets_in(e.get("input"), e["loc"]) for e in shown)
    )
    told = without_secrets(told, secrets)
    return f"{len(found)} validation error{'s' * (len(found) != 1)}: {told}"


_VALIDATION = ("pydantic_core.", "fastapi.exceptions")


def _line(error: BaseException) -> str:
    return f"{type_name(error)}: {safe_message(error)}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    current = error
    for _ in range(MAX_CHAIN):
        following = current.__cause__  # an exception may refuse to be true or false
        if following is None and not current.__suppress_context__:
            following = current.__context__
        if following is None or id(following) in seen:
            return
        seen.add(id(following))
        yield following
        current = following


def _members(error: BaseException) -> tuple[BaseException, ...]:
    return error.exceptions[:MAX_CHAIN] if isinstance(error, BaseExceptionGroup) else ()


def _innermost_of_members(error: BaseException) -> tuple[Frame, ...]:
    for member in _members(error):
        stack = frames(user_traceback(member, MAX_FRAMES)) or _innermost_of_members(member)
        if stack:
            return stack
    return ()


def _place(member: BaseException) -> Location | None:
    stack = frames(user_traceback(member, 1)) or _innermost_of_members(member)
    return stack[0].location if stack else None


def _http_status(error: BaseException) -> int | None:
    if not any(cls.__name__ == "HTTPException" for cls in type(error).__mro__):
        return None
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None
