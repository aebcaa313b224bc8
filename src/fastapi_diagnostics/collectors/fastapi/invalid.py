"""Gathers what explains a response that its own model refused, while the value is still there."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from fastapi.exceptions import ResponseValidationError

from fastapi_diagnostics.callsite import definition
from fastapi_diagnostics.collectors.fastapi import private
from fastapi_diagnostics.collectors.fastapi.bodies import printable
from fastapi_diagnostics.collectors.names import type_text
from fastapi_diagnostics.record import InvalidResponse, RejectionError
from fastapi_diagnostics.redaction import (
    is_secret_name,
    preview,
    redact_text,
    secrets_in,
    without_secrets,
)

MAX_ERRORS = 50
MAX_KEYS = 50
_KEY_ERRORS = frozenset({"missing", "extra_forbidden"})
_QUOTING = frozenset({"value_error", "assertion_error", "union_tag_invalid", "get_attribute_error"})


def describe_invalid(
    error: ResponseValidationError, scope: Mapping[str, Any], mode: str, index: int
) -> InvalidResponse:
    """Describe what an endpoint returned and its response model refused.

    Args:
        error: As FastAPI raised it.
        scope: As the endpoint saw it.
        mode: How values may be shown: ``redacted``, ``none`` and so on.
        index: Of the exception within the record.
    """
    route = private.effective_route(scope)
    entries = [entry for entry in list(error.errors())[:MAX_ERRORS] if isinstance(entry, Mapping)]
    secrets: frozenset[str] = frozenset().union(
        *(secrets_in(entry.get("input"), entry.get("loc", ())) for entry in entries)
    )
    field = getattr(route, "response_field", None) or getattr(route, "stream_item_field", None)
    return InvalidResponse(
        errors=tuple(_error(entry, mode, secrets) for entry in entries),
        model="" if field is None else type_text(field.field_info.annotation),
        endpoint=definition(getattr(route, "endpoint", None)),
        exception=index,
    )


def _error(entry: Mapping[str, Any], mode: str, secrets: frozenset[str]) -> RejectionError:
    kind = str(entry.get("type", ""))
    loc = tuple(printable(str(part)) for part in entry.get("loc", ())[1:])
    given = entry.get("input")
    missing = kind in _KEY_ERRORS
    named = next((part for part in loc if is_secret_name(part)), loc[-1] if loc else "")
    told = kind if mode == "none" and kind in _QUOTING else str(entry.get("msg", ""))
    return RejectionError(
        loc=loc,
        type=kind,
        message=redact_text(without_secrets(told, secrets), 300),
        # What surrounds a missing key, and what was returned as a whole, says nothing.
        input="" if missing or not loc else preview(given, name=named, mode=mode),
        came=printable(type(given).__name__),
        keys=_keys(given) if missing else (),
    )


def _keys(given: Any) -> tuple[str, ...]:
    """Name what the returned object holds, without running any code of its class."""
    if type(given) is dict:
        held: Mapping[Any, Any] = given
    else:
        try:
            held = object.__getattribute__(given, "__dict__")
        except AttributeError:
            return ()
    names = [key for key in islice(held, MAX_KEYS) if isinstance(key, str)]
    return tuple(printable(name) for name in names if not name.startswith("_"))
