"""Notes every exception before any handler sees it, and the handler that answered for it."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from fastapi.exceptions import (
    RequestValidationError,
    ResponseValidationError,
    WebSocketRequestValidationError,
)
from starlette.exceptions import HTTPException

from fastapi_diagnostics.callsite import definition
from fastapi_diagnostics.collectors.fastapi import private
from fastapi_diagnostics.collectors.fastapi.invalid import describe_invalid
from fastapi_diagnostics.collectors.fastapi.part import (
    MAX_INVALID,
    MAX_REJECTIONS,
    NAME,
    FastAPIPart,
)
from fastapi_diagnostics.collectors.fastapi.rejections import (
    describe_rejection,
    describe_unread,
    unread_body,
)
from fastapi_diagnostics.collectors.names import callable_name
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import CURRENT, Recorder

_current = CURRENT.get
_REJECTED = (RequestValidationError, WebSocketRequestValidationError)
_FRAMEWORKS = ("fastapi.", "starlette.")
_MAX_CHAIN = 8

Handlers = tuple[Mapping[Any, Any], Mapping[Any, Any]]


def watch_exceptions(original: Callable[..., Any], *, plain: bool) -> Callable[..., Any]:
    """Wrap ``wrap_app_handling_exceptions`` of one module.

    Args:
        original: What the module has.
        plain: Whether Starlette's own routes come through here.
    """

    @functools.wraps(original)
    def wrap_app_handling_exceptions(app: Any, conn: Any) -> Any:
        recorder = _current()
        if recorder is None or recorder.closed:
            return original(app, conn)
        # Taken now: an application mounted below will write its own into the same scope.
        handlers = conn.scope.get(private.HANDLERS)
        if plain:
            with FAULTS.contained("fastapi.plain"):
                _enter_plain_endpoint(recorder, conn.scope)

        async def observed(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except Exception as error:
                if not recorder.closed:
                    _note(recorder, error, scope, private.exception_handlers(handlers))
                raise

        return original(observed, conn)

    return wrap_app_handling_exceptions


def _enter_plain_endpoint(recorder: Recorder, scope: Mapping[str, Any]) -> None:
    """A plain Starlette route solves no dependencies: its endpoint starts here."""
    if not hasattr(scope.get("route"), "dependant"):
        recorder.inner = scope
        recorder.enter("endpoint")


def _note(
    recorder: Recorder, error: Exception, scope: Mapping[str, Any], handlers: Handlers
) -> None:
    try:
        part = recorder.part(NAME, FastAPIPart)
        new = recorder.index_of(error) is None
        index = recorder.note_exception(error)
        if index < 0:
            return
        if new or isinstance(error, ResponseValidationError):
            _explain(part, recorder, error, scope, index)
        if part.handled is not None and part.handled[0] is not error:
            _note_failed_handler(recorder, part, error, index)
        _note_handler(recorder, part, error, index, handlers)
    except Exception as failure:  # noqa: BLE001 - ours, contained
        FAULTS.note("fastapi.exception", failure)


def _explain(
    part: FastAPIPart, recorder: Recorder, error: Exception, scope: Mapping[str, Any], index: int
) -> None:
    """Gather what explains a failed validation while its values are still there."""
    if isinstance(error, _REJECTED) and len(part.rejections) < MAX_REJECTIONS:
        part.rejections.append(describe_rejection(error, scope, recorder.values))
    elif unread_body(error) and recorder.exceptions[index].location is None:
        part.rejections.append(describe_unread(error, scope))
    elif isinstance(error, ResponseValidationError) and len(part.invalid) < MAX_INVALID:
        if any(known.exception == index for known in part.invalid):
            return
        part.invalid.append(describe_invalid(error, scope, recorder.values, index))


def _note_handler(
    recorder: Recorder, part: FastAPIPart, error: Exception, index: int, handlers: Handlers
) -> None:
    if recorder.status is not None:
        return  # Starlette runs no handler once the response has started
    handler = _handler_of(error, handlers)
    if handler is None:
        return
    place = definition(handler)
    part.handled = (error, index, place)
    if not _is_framework(handler):
        recorder.exceptions[index] = msgspec.structs.replace(
            recorder.exceptions[index],
            handler=callable_name(handler),
            handler_location=place,
        )


def _note_failed_handler(
    recorder: Recorder, part: FastAPIPart, error: Exception, index: int
) -> None:
    """What the handler raised comes by at the router, with what it handled as its context."""
    assert part.handled is not None  # noqa: S101 - for the type checker
    handled, before, place = part.handled
    if recorder.status is not None or not _came_of(error, handled):
        return  # once the response has started it is the sending that failed
    part.handled = None
    failed = recorder.exceptions[before]
    recorder.exceptions[before] = msgspec.structs.replace(
        failed, handler=None, handler_location=None
    )
    recorder.exceptions[index] = msgspec.structs.replace(
        recorder.exceptions[index], raised_by_handler=True, raised_in=place
    )


def _handler_of(error: Exception, handlers: Handlers) -> Any:
    """Find the handler that Starlette will call: by status code first, then by class."""
    by_class, by_status = handlers
    if isinstance(error, HTTPException) and error.status_code in by_status:
        return by_status[error.status_code]
    return next((by_class[cls] for cls in type(error).__mro__ if cls in by_class), None)


def _is_framework(handler: Any) -> bool:
    return (getattr(handler, "__module__", None) or "").startswith(_FRAMEWORKS)


def _came_of(error: BaseException, origin: BaseException) -> bool:
    """Tell whether *error* was raised while *origin* was handled."""
    current = error.__context__
    for _ in range(_MAX_CHAIN):
        if current is origin or current is None:
            break
        current = current.__context__
    return current is origin
