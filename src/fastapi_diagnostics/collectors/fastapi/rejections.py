"""Gathers what explains a refused request, while body and headers are still there."""

import difflib
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from fastapi_diagnostics.callsite import definition
from fastapi_diagnostics.collectors.fastapi import private
from fastapi_diagnostics.collectors.fastapi.bodies import Body, describe_body, kind_of, printable
from fastapi_diagnostics.collectors.fastapi.detours import shadowed_by
from fastapi_diagnostics.collectors.fastapi.expectations import expectation
from fastapi_diagnostics.record import Location, Rejection, RejectionError
from fastapi_diagnostics.redaction import (
    is_secret_name,
    preview,
    redact_text,
    secrets_in,
    without_secrets,
)

MAX_ERRORS = 50
MAX_NAMES = 100
MAX_KEYS = 50
NEAR = 0.7
"""`difflib` ratio from which one enumerated value is taken for the meant one."""

_KEY_ERRORS = frozenset({"missing", "extra_forbidden"})
_QUOTING = frozenset({"value_error", "assertion_error", "union_tag_invalid"})
_NAMED = re.compile(r"'([^']*)'")


def describe_rejection(
    error: RequestValidationError | WebSocketRequestValidationError,
    scope: Mapping[str, Any],
    mode: str,
) -> Rejection:
    """Describe why validation refused a request.

    Args:
        error: As FastAPI raised it.
        scope: As the endpoint saw it.
        mode: How values may be shown: ``redacted``, ``none`` and so on.
    """
    headers = {name.decode("latin-1").lower(): value for name, value in scope.get("headers", ())}
    content_type = headers.get("content-type", b"").decode("latin-1").partition(";")[0].strip()
    route = private.effective_route(scope)
    wanted = expectation(route)
    entries = [entry for entry in list(error.errors())[:MAX_ERRORS] if isinstance(entry, Mapping)]
    if wanted.expects == "none":
        body = Body("unread" if _has_body(headers) else "empty")
    else:
        body = describe_body(getattr(error, "body", None), content_type.lower(), entries)
    secrets = secrets_in(getattr(error, "body", None)).union(
        # What surrounds a missing key is quoted by nobody, and it may be large.
        *(
            secrets_in(entry.get("input"), entry.get("loc", ()))
            for entry in entries
            if entry.get("type") not in _KEY_ERRORS
        )
    )
    return Rejection(
        errors=tuple(_error(entry, body.keys, mode, secrets) for entry in entries),
        content_type=printable(content_type.lower()),
        expects=wanted.expects,
        body_kind=body.kind,
        body_keys=body.keys,
        body_excerpt="" if mode == "none" else body.excerpt,
        query_keys=_query_keys(scope),
        header_names=tuple(printable(name) for name in list(headers)[:MAX_NAMES]),
        fields=wanted.fields,
        body_parameters=wanted.body_parameters,
        embedded=wanted.embedded,
        shadowed_routes=_shadowed(entries, scope),
        endpoint=definition(getattr(route, "endpoint", None)),
        takes_request=wanted.takes_request,
        example=wanted.example,
    )


def unread_body(error: BaseException) -> str:
    """Name why FastAPI could not read a body at all, for which it answers a bare 400.

    Returns:
        ``body_nested``, ``body_encoding`` or ``body_multipart``; empty for all other exceptions.
    """
    if not isinstance(error, HTTPException) or error.status_code != _BAD_REQUEST:
        return ""
    cause = error.__cause__ or error.__context__
    return next((kind for cls, kind in _UNREAD if isinstance(cause, cls)), "")


_BAD_REQUEST = 400
_UNREAD: tuple[tuple[type[BaseException], str], ...] = (
    (RecursionError, "body_nested"),
    (UnicodeDecodeError, "body_encoding"),
    (MultiPartException, "body_multipart"),
)


def describe_unread(error: BaseException, scope: Mapping[str, Any]) -> Rejection:
    """Describe a body that could not be read; see `unread_body`."""
    route = private.effective_route(scope)
    wanted = expectation(route)
    given = dict(scope.get("headers", ())).get(b"content-type", b"").decode("latin-1")
    cause = error.__cause__ or error.__context__
    told = str(cause) if isinstance(cause, MultiPartException) else type(cause).__name__
    return Rejection(
        errors=(
            RejectionError(loc=("body",), type=unread_body(error), message=redact_text(told, 200)),
        ),
        content_type=printable(given.partition(";")[0].strip().lower()),
        expects=wanted.expects,
        body_kind="text",
        fields=wanted.fields,
        body_parameters=wanted.body_parameters,
        embedded=wanted.embedded,
        endpoint=definition(getattr(route, "endpoint", None)),
        takes_request=wanted.takes_request,
        example=wanted.example,
    )


def _has_body(headers: Mapping[str, bytes]) -> bool:
    return headers.get("content-length", b"0") != b"0" or "transfer-encoding" in headers


def _error(
    entry: Mapping[str, Any], body_keys: tuple[str, ...], mode: str, secrets: frozenset[str]
) -> RejectionError:
    kind = str(entry.get("type", ""))
    loc = tuple(printable(str(part)) for part in entry.get("loc", ()))
    given = entry.get("input")
    about_key = kind in _KEY_ERRORS
    expected = _expected(entry.get("ctx"))
    # The input of a missing key is everything around it, headers with credentials included;
    # that of broken JSON and of a whole body says nothing.
    shown = not about_key and len(loc) > 1 and kind != "json_invalid"
    return RejectionError(
        loc=loc,
        type=kind,
        message=_message(entry, kind, mode, secrets),
        input=preview(given, name=_telling(loc), mode=mode) if shown else "",
        expected=expected,
        came="" if about_key or kind == "json_invalid" else kind_of(given),
        keys=_keys_around(kind, loc, given, body_keys),
        nearest=_nearest(_chosen(given, entry.get("ctx")), expected),
    )


def _telling(loc: tuple[str, ...]) -> str:
    """Name what was refused; a list or an object below a secret's name holds secrets."""
    return next((part for part in loc[1:] if is_secret_name(part)), loc[-1])


def _message(entry: Mapping[str, Any], kind: str, mode: str, secrets: frozenset[str]) -> str:
    """Texts of the application's own validators often quote the value."""
    if mode == "none" and kind in _QUOTING:
        return kind
    return redact_text(without_secrets(str(entry.get("msg", "")), secrets), 300)


def _keys_around(
    kind: str, loc: tuple[str, ...], given: Any, body_keys: tuple[str, ...]
) -> tuple[str, ...]:
    if kind not in _KEY_ERRORS or loc[:1] != ("body",):
        return ()
    if kind == "missing" and isinstance(given, Mapping):
        return tuple(printable(str(key)) for key in islice(given, MAX_KEYS))
    # A missing parameter of an embedded body, or an extra key: look around it in the whole body.
    parent = "".join(f"{part}." for part in loc[1:-1] if not part.isdigit())
    names = [key.removeprefix(parent) for key in body_keys if key.startswith(parent)]
    return tuple(name for name in names if "." not in name)[:MAX_KEYS]


def _expected(context: Any) -> tuple[str, ...]:
    """Read the enumerated values, or the bounds, that pydantic names."""
    if not isinstance(context, Mapping):
        return ()
    text = context.get("expected") or context.get("expected_tags")
    if isinstance(text, str):
        return tuple(printable(name) for name in _NAMED.findall(text)[:MAX_KEYS])
    return tuple(
        f"{name}={value}"
        for name, value in context.items()
        if isinstance(name, str) and isinstance(value, int | float)
    )[:10]


def _chosen(given: Any, context: Any) -> str:
    """Give what came in place of one of the enumerated values; of a union, its tag."""
    tag = context.get("tag") if isinstance(context, Mapping) else None
    value = tag if isinstance(tag, str) else given
    return value if isinstance(value, str) else ""


def _nearest(given: str, expected: tuple[str, ...]) -> str:
    folded = {name.casefold(): name for name in expected}
    came = given[:200].strip().casefold()
    close = difflib.get_close_matches(came, folded, n=1, cutoff=NEAR)
    close = close or [name for name in folded if sorted(name) == sorted(came)]
    return folded[close[0]] if close else ""


def _query_keys(scope: Mapping[str, Any]) -> tuple[str, ...]:
    raw = scope.get("query_string", b"")[:8192].decode("latin-1")
    names = dict.fromkeys(name for name, _ in parse_qsl(raw, keep_blank_values=True))
    return tuple(printable(name) for name in list(names)[:MAX_NAMES])


def _shadowed(
    entries: Iterable[Mapping[str, Any]], scope: Mapping[str, Any]
) -> tuple[tuple[str, Location | None], ...]:
    refused = [entry["loc"][1] for entry in entries if _is_path(entry.get("loc", ()))]
    found = [pair for parameter in refused for pair in shadowed_by(scope, str(parameter))]
    return tuple(dict.fromkeys(found))[:5]


def _is_path(loc: Any) -> bool:
    return len(loc) > 1 and loc[0] == "path"
