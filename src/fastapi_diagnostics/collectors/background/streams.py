"""Tells whether it was the body of a response that broke off, and with which exception."""

import inspect
from collections.abc import Iterator
from types import CodeType
from typing import Final

MAX_BROKEN: Final = 20
_SENDS: Final = "stream_response"
_ITERATES: Final = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_NEXT: Final = frozenset({"__anext__", "__next__"})
_MAX_DEPTH: Final = 8


def body_error(error: BaseException) -> Exception | None:
    """Find what the body of a streamed response raised, behind what hides it.

    Starlette runs streams in a task group, so before 0.46 a group comes out; and it takes every
    `OSError` for a client that is gone, also that of a file which the body reads.

    Returns:
        `None` if it was not the body that failed, but the sending, a background task or a handler.
    """
    for _ in range(_MAX_DEPTH):
        if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        elif type(error).__name__ == "ClientDisconnect" and isinstance(error.__context__, OSError):
            error = error.__context__
        else:
            break
    return error if isinstance(error, Exception) and _is_of_body(error) else None


def _is_of_body(error: Exception) -> bool:
    """Look what the loop over the body was doing: asking for a chunk, encoding it, or sending."""
    codes = list(_codes(error))
    names = [code.co_name for code in codes]
    if _SENDS not in names:
        return False
    inner = codes[names.index(_SENDS) + 1 :]
    return not inner or bool(inner[0].co_flags & _ITERATES) or inner[0].co_name in _NEXT


def _codes(error: Exception) -> Iterator[CodeType]:
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame.f_code
        traceback = traceback.tb_next
