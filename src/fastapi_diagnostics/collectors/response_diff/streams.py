"""Compares the items of JSONL and event streams, which FastAPI does not pass on as it does others.

It validates and serialises each item in a function of its own, in which the raw item is a local
variable called ``data``; `field_class` says whether that still holds.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, Final

from fastapi_diagnostics.faults import FAULTS

_CALLER: Final = "_serialize_data"
_RAW: Final = "data"

Compare = Callable[[Any, Any, Any], None]
"""Takes the response field, the raw item and what is sent of it; never raises."""


def field_class(routing: Any) -> tuple[Any, str]:
    """Give the class whose ``serialize_json`` stream items pass, or why they cannot be watched.

    Releases without streamed items give neither.
    """
    if "stream_item_field" not in inspect.signature(routing.get_request_handler).parameters:
        return None, ""
    cls = getattr(routing, "ModelField", None)
    if not hasattr(cls, "serialize_json"):
        return None, "streamed items off: fastapi.routing.ModelField has no serialize_json"
    names = {
        code.co_name: code.co_varnames for code in _codes(routing.get_request_handler.__code__)
    }
    if _RAW not in names.get(_CALLER, ()):
        return None, f"streamed items off: FastAPI no longer has {_CALLER}({_RAW})"
    return cls, ""


def at_first(original: Callable[..., None], watch: Callable[[], None]) -> Callable[..., None]:
    """Wrap ``__init__`` of the class that FastAPI streams with, so that *watch* comes first.

    Until there is a stream, other responses need not pass through `observed`.
    """

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807 - stands in for it
        with FAULTS.contained("response_diff.streams"):
            watch()
        original(self, *args, **options)

    return __init__


def observed(original: Callable[..., Any], compare: Compare) -> Callable[..., Any]:
    """Wrap ``serialize_json`` so that *compare* sees each item of a stream."""

    @functools.wraps(original)
    def serialize_json(self: Any, *args: Any, **options: Any) -> Any:
        sent = original(self, *args, **options)
        caller = sys._getframe(1)  # noqa: SLF001 - nobody hands the raw item on
        if caller.f_code.co_name == _CALLER:
            compare(self, caller.f_locals.get(_RAW), sent)
        return sent

    return serialize_json


def _codes(code: Any) -> Any:
    yield code
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _codes(constant)
