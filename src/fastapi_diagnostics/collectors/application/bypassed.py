"""Tells of a 404 or 405 of the router whether a handler of the application did not see it."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi.exceptions import HTTPException
from starlette.exceptions import HTTPException as StarletteHTTPException

from fastapi_diagnostics.callsite import definition
from fastapi_diagnostics.collectors.names import callable_name
from fastapi_diagnostics.collectors.route_tree import is_application
from fastapi_diagnostics.record import BypassedHandler

UNMATCHED: Final = frozenset({404, 405})
_FRAMEWORKS = ("fastapi.", "starlette.")


def bypassed_handlers(scope: Mapping[str, Any], status: int) -> dict[str, Any]:
    """Look at a request that was answered with one of `UNMATCHED`; on the application's thread.

    Args:
        scope: As the middleware got it.
        status: Of the answer.

    Returns:
        The field ``bypassed_handlers`` of the record, where there is anything to tell.
    """
    if not _is_routers_own(scope, status):
        return {}
    found = scope.get("starlette.exception_handlers")
    by_class, by_status = found if isinstance(found, tuple) else ({}, {})
    ours, theirs = by_class.get(HTTPException), by_class.get(StarletteHTTPException)
    if ours is None or _is_builtin(ours) or status in by_status:
        return {}
    if theirs is not None and not _is_builtin(theirs):
        return {}
    handler = BypassedHandler(name=callable_name(ours), location=definition(ours))
    return {"bypassed_handlers": (handler,)}


def _is_routers_own(scope: Mapping[str, Any], status: int) -> bool:
    """A route that matches but for its method is noted in the scope all the same."""
    if scope.get("type") != "http":
        return False
    endpoint = scope.get("endpoint")
    if endpoint is None or is_application(endpoint):  # nothing below the mount matched
        return True
    methods = getattr(scope.get("route"), "methods", None) or ()
    return status == 405 and bool(methods) and scope.get("method") not in methods  # noqa: PLR2004


def _is_builtin(handler: Any) -> bool:
    return str(getattr(handler, "__module__", "")).startswith(_FRAMEWORKS)
