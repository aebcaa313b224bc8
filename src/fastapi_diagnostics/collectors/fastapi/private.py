"""The names of FastAPI and Starlette that are read without being promised, and their self-test.

Everything here holds for FastAPI 0.115 to 0.165 and Starlette 0.41 to 1.10.
Nothing else of this package reads a private name.
"""

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import fastapi.routing
import starlette.middleware.exceptions
import starlette.routing
from fastapi.dependencies.utils import get_dependant

from fastapi_diagnostics.collectors.route_tree import (
    as_matched,
    flat_routes,
    inner_routes,
    is_application,
)
from fastapi_diagnostics.faults import FAULTS

__all__ = [
    "HANDLERS",
    "SOLVE",
    "WRAP",
    "dependant_of",
    "effective_route",
    "embeds_body",
    "exception_handlers",
    "exception_modules",
    "flat_routes",
    "inner_routes",
    "is_application",
    "solving_fault",
]

SOLVE = "solve_dependencies"
WRAP = "wrap_app_handling_exceptions"
HANDLERS = "starlette.exception_handlers"
_SOLVE_KEYWORDS = {"request", "dependant", "dependency_cache", "dependency_overrides_provider"}


def solving_fault() -> str:
    """Tell why the solving of dependencies cannot be watched; empty when it can."""
    solve = getattr(fastapi.routing, SOLVE, None)
    if solve is None:
        return f"this version of FastAPI has no fastapi.routing.{SOLVE}"
    missing = _SOLVE_KEYWORDS - set(inspect.signature(solve).parameters)
    if missing:
        return f"fastapi.routing.{SOLVE} no longer takes {', '.join(sorted(missing))}"
    return ""


def exception_modules() -> tuple[ModuleType, ...]:
    """List the modules that look up the function in which exceptions become answers."""
    modules = (fastapi.routing, starlette.routing, starlette.middleware.exceptions)
    return tuple(module for module in modules if _takes_app_and_connection(module))


def effective_route(scope: Mapping[str, Any]) -> Any:
    """Give what matched: since 0.137 the route as included, which knows its prefixes."""
    inner = scope.get("fastapi")
    context = inner.get("effective_route_context") if isinstance(inner, dict) else None
    if context is None:
        return scope.get("route")
    return as_matched(context)


def exception_handlers(found: Any) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
    """Give the handlers by class and by status code, from what a scope has as `HANDLERS`."""
    return found if isinstance(found, tuple) else ({}, {})


def dependant_of(call: Any) -> Any:
    """Give what a callable itself depends on, as FastAPI reads it; `None` if it cannot be told.

    FastAPI itself does the same for each override in each request.
    """
    try:
        return get_dependant(path="", call=call)
    except Exception as error:  # noqa: BLE001 - ours, contained: only the tree lacks a branch
        FAULTS.note("fastapi.override", error)
        return None


def embeds_body(route: Any) -> bool:
    """Tell whether the body must be an object keyed by the names of the body parameters."""
    return bool(getattr(route, "_embed_body_fields", False))


def _takes_app_and_connection(module: ModuleType) -> bool:
    wrap = getattr(module, WRAP, None)
    if wrap is None:
        return False
    required = [
        parameter
        for parameter in inspect.signature(wrap).parameters.values()
        if parameter.default is parameter.empty
    ]
    return len(required) == 2  # noqa: PLR2004 - app and connection
