"""Reads the parameters of a query string; what is not allowed is named."""

import math
from typing import Any, Literal, get_args

from starlette.datastructures import QueryParams

from fastapi_diagnostics.finding import FindingState, Severity
from fastapi_diagnostics.store.protocol import FindingQuery, RequestQuery

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
MAX_TEXT = 2_000
"""Longer than any route, so that a huge value is an error and not a search."""
MAX_STATUS = 4_999
"""Close codes of websockets are below 5,000 (RFC 6455)."""

STATES: tuple[str, ...] = get_args(FindingState)
ANY_STATE = "any"


class InvalidParameterError(ValueError):
    """A parameter has a value that is not allowed; the text names it and what is allowed."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        super().__init__(f'Parameter "{name}" is "{value[:80]}"; it must be {allowed}.')


def finding_query(params: QueryParams) -> FindingQuery:
    """Read which findings are wanted.

    Without ``state`` these are the open ones, or all of one request.

    Raises:
        InvalidParameterError: A value is not allowed.
    """
    request_id = text(params, "request_id")
    state = choice(params, "state", (*STATES, ANY_STATE))
    if state is None:
        state = ANY_STATE if request_id else "open"
    return FindingQuery(
        request_id=request_id,
        rule=text(params, "rule"),
        route=text(params, "route"),
        severity=choice(params, "severity", get_args(Severity)),
        state=None if state == ANY_STATE else state,
        limit=limit(params),
        cursor=text(params, "cursor"),
    )


def request_query(params: QueryParams) -> RequestQuery:
    """Read which requests are wanted.

    Raises:
        InvalidParameterError: A value is not allowed.
    """
    method = text(params, "method")
    return RequestQuery(
        method=method.upper() if method else None,
        route=text(params, "route"),
        status=whole(params, "status", 100, MAX_STATUS),
        min_ms=_number(params, "min_ms"),
        limit=limit(params),
        cursor=text(params, "cursor"),
    )


def limit(params: QueryParams) -> int:
    """Read ``limit``, 50 unless given.

    Raises:
        InvalidParameterError: It is not between 1 and 500.
    """
    wanted = whole(params, "limit", 1, MAX_LIMIT)
    return DEFAULT_LIMIT if wanted is None else wanted


def text(params: QueryParams, name: str) -> str | None:
    """Read a text; an empty one counts as not given.

    Raises:
        InvalidParameterError: It was given more than once or is too long.
    """
    values = params.getlist(name)
    if len(values) > 1:
        raise InvalidParameterError(name, ", ".join(values[:3]), "given once")
    value = values[0] if values else ""
    if len(value) > MAX_TEXT:
        raise InvalidParameterError(name, value, f"at most {MAX_TEXT} characters long")
    return value or None


def choice(params: QueryParams, name: str, allowed: tuple[str, ...]) -> Any:
    """Read one of a few words.

    Raises:
        InvalidParameterError: It is none of them.
    """
    value = text(params, name)
    if value is not None and value not in allowed:
        raise InvalidParameterError(name, value, f"one of {', '.join(allowed)}")
    return value


def whole(params: QueryParams, name: str, least: int, most: int) -> int | None:
    """Read a whole number.

    Raises:
        InvalidParameterError: It is none, or out of range.
    """
    value = text(params, name)
    if value is None:
        return None
    digits = value.isascii() and value.isdigit() and len(value) <= 10  # noqa: PLR2004 - any more is out of range
    if not digits or not least <= int(value) <= most:
        raise InvalidParameterError(name, value, f"a whole number from {least} to {most}")
    return int(value)


def wait(params: QueryParams) -> Literal["closed"] | None:
    """Read ``wait``.

    Raises:
        InvalidParameterError: It is something else than ``closed``.
    """
    found: Literal["closed"] | None = choice(params, "wait", ("closed",))
    return found


def _number(params: QueryParams, name: str) -> float | None:
    value = text(params, name)
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise InvalidParameterError(name, value, "a number of milliseconds, 0 or more")
    return number
