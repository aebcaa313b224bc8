"""Facts of applications with sensible defaults."""

from typing import Any

import msgspec

from fastapi_diagnostics.app_record import (
    AppRecord,
    DependencyFact,
    HandlerFact,
    Overlap,
    RouteFact,
)
from tests.builders import a_location

GUARD = DependencyFact(name="require_user", guarding="guard", location=a_location())


def a_route(methods_and_path: str, *, guarded: bool = False, **changes: Any) -> RouteFact:
    """A route of ``app/invoices.py``, written as ``GET /invoices``."""
    methods, _, path = methods_and_path.partition(" ")
    name = changes.get("name", "endpoint")
    defaults: dict[str, Any] = {
        "index": 0,
        "kind": "http",
        "path": path,
        "methods": tuple(methods.split("|")),
        "name": "endpoint",
        "location": a_location(file="app/invoices.py", function=name),
        "operation_id": methods_and_path,
        "dependencies": (GUARD,) if guarded else (),
    }
    return RouteFact(**defaults | changes)


def an_app(*routes: RouteFact, **changes: Any) -> AppRecord:
    """An application with these routes, numbered in their order."""
    numbered = tuple(
        msgspec.structs.replace(route, index=index) for index, route in enumerate(routes)
    )
    return AppRecord(routes=numbered, **changes)


def overlapping(route: int, *methods: str, same_path: bool = False) -> tuple[Overlap, ...]:
    return (Overlap(route=route, methods=methods or ("GET",), same_path=same_path),)


def a_handler(handles: str, **changes: Any) -> HandlerFact:
    defaults: dict[str, Any] = {
        "application": "",
        "handles": handles,
        "name": "as_problem",
        "location": a_location(file="app/errors.py", function="as_problem"),
    }
    return HandlerFact(**defaults | changes)
