"""Finds handlers for ``Exception`` or 500 that failed themselves.

Starlette calls those from its outermost middleware, where none of our hooks stands: what such a
handler raises is only seen leaving the application, with the handler among its frames.
"""

from types import CodeType
from typing import Any

import msgspec

from fastapi_diagnostics.callsite import definition, unwrapped
from fastapi_diagnostics.recorder import Recorder

_MAX_FRAMES = 64
_SERVER_ERROR = 500


def mark_failing_handlers(recorder: Recorder) -> None:
    """Mark what the application's handler for unexpected errors raised."""
    if recorder.scope is None:
        return
    handlers = getattr(recorder.scope.get("app"), "exception_handlers", None)
    if not isinstance(handlers, dict):
        return
    handler = handlers.get(_SERVER_ERROR) or handlers.get(Exception)
    code = getattr(unwrapped(handler), "__code__", None) if handler is not None else None
    if code is None:
        return
    for index, error in enumerate(recorder.noted()):
        fact = recorder.exceptions[index]
        if error.__context__ is not None and not fact.raised_by_handler and _passed(error, code):
            recorder.exceptions[index] = msgspec.structs.replace(
                fact, raised_by_handler=True, raised_in=definition(handler)
            )


def _passed(error: BaseException, code: CodeType) -> bool:
    """Tell whether a frame of *code* raised an exception or let it pass."""
    step: Any = error.__traceback__
    for _ in range(_MAX_FRAMES):
        if step is None or step.tb_frame.f_code is code:
            break
        step = step.tb_next
    return step is not None and step.tb_frame.f_code is code
