"""Describes every route of an application in the order in which routes are tried."""

import inspect
import typing
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.responses import JSONResponse, Response
from starlette.routing import WebSocketRoute

from fastapi_diagnostics.app_record import DependencyFact, RouteFact
from fastapi_diagnostics.callsite import definition, unwrapped
from fastapi_diagnostics.collectors.application.guards import guarding, looks_itself
from fastapi_diagnostics.collectors.application.overlaps import (
    Candidate,
    candidate,
    methods_of,
    overlaps,
)
from fastapi_diagnostics.collectors.names import callable_name, runs_in_threadpool, type_text
from fastapi_diagnostics.collectors.route_tree import below_middleware, expanded, inner_routes
from fastapi_diagnostics.record import Location

MAX_ROUTES: Final = 2000
MAX_DEPENDENCIES: Final = 60
_MAX_DEPTH: Final = 8
_BREATH: Final = 10
"""Routes that are described before others get the interpreter."""
_SILENT: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Walked(msgspec.Struct, frozen=True):
    """A route where it stands; lives only while the application is looked at."""

    route: Any
    kind: typing.Literal["http", "websocket", "mount"]
    container: int
    prefix: str


class Walk:
    """The routes of an application, and the applications mounted in it.

    Args:
        app: The outermost application.
        breathe: Called after every few routes.
    """

    def __init__(self, app: Any, breathe: Callable[[], None]) -> None:
        self._breathe = breathe
        self.applications: list[tuple[str, Any]] = []
        self.routes: list[Walked] = []
        self.whole = True
        self._containers = 0
        self._enter(app, "", 0)

    def _enter(self, app: Any, prefix: str, depth: int) -> None:
        if hasattr(app, "exception_handlers"):
            self.applications.append((prefix, app))
        container = self._containers
        self._containers += 1
        for route in expanded(getattr(app, "routes", ())):
            if len(self.routes) >= MAX_ROUTES or depth > _MAX_DEPTH:
                self.whole = False
                return
            self._add(route, container, prefix, depth)

    def _add(self, route: Any, container: int, prefix: str, depth: int) -> None:
        path = getattr(route, "path", None) or ""
        inner = inner_routes(route)
        if len(self.routes) % _BREATH == 0:
            self._breathe()
        if hasattr(route, "endpoint"):
            kind: Any = "websocket" if _is_websocket(route) else "http"
            self.routes.append(Walked(route, kind, container, prefix))
        elif hasattr(route, "path_regex"):
            self.routes.append(Walked(route, "mount", container, prefix))
        if inner is not None:  # of a mount, or of a host, which has no path
            self._enter(below_middleware(route.app), prefix + path, depth + 1)


def described(walk: Walk, breathe: Callable[[], None]) -> tuple[RouteFact, ...]:
    """Describe routes.

    Args:
        walk: Through the application.
        breathe: Called after every few routes.
    """
    facts: list[RouteFact] = []
    earlier: list[Candidate] = []
    for index, walked in enumerate(walk.routes):
        if index % _BREATH == 0:
            breathe()
        ours = candidate(walked.route, index, walked.container, walked.kind)
        facts.append(_fact(walked, index, overlaps(ours, earlier) if ours is not None else ()))
        if ours is not None:
            earlier.append(ours)
    return tuple(facts)


def chain(dependant: Any, depth: int = 0) -> Iterator[tuple[int, Any]]:
    """Walk what a route depends on; each one before what it asks for itself."""
    for inner in getattr(dependant, "dependencies", ()) if depth <= _MAX_DEPTH else ():
        yield depth, inner
        yield from chain(inner, depth + 1)


def _is_websocket(route: Any) -> bool:
    route = getattr(route, "original_route", route)
    return isinstance(route, WebSocketRoute) or not hasattr(route, "methods")


def _fact(walked: Walked, index: int, found: tuple[Any, ...]) -> RouteFact:
    route = walked.route
    path = walked.prefix + (getattr(route, "path", None) or "")
    if walked.kind == "mount":
        mounted = getattr(route, "app", None)
        name = type(below_middleware(mounted)).__name__
        return RouteFact(index=index, kind="mount", path=path, name=name, overlaps=found)
    endpoint = route.endpoint
    explicit = getattr(route, "operation_id", None)
    in_schema = walked.kind == "http" and getattr(route, "include_in_schema", False)
    identity = explicit or getattr(route, "unique_id", None) or ""
    field = getattr(route, "response_field", None)
    return RouteFact(
        index=index,
        kind=walked.kind,
        path=path,
        methods=tuple(sorted(methods_of(route) or ())),
        name=callable_name(endpoint),
        location=_endpoint_location(route),
        operation_id=str(identity) if in_schema else "",
        explicit_id=bool(explicit),
        response_model=type_text(getattr(route, "response_model", None)) if field else None,
        answers_itself=_answers_itself(route),
        looks_itself=looks_itself(endpoint),
        dependencies=_dependencies(getattr(route, "dependant", None)),
        overlaps=found,
    )


def _dependencies(dependant: Any) -> tuple[DependencyFact, ...]:
    found: list[DependencyFact] = []
    for depth, one in chain(dependant):
        if len(found) >= MAX_DEPENDENCIES:
            break
        call = one.call
        scopes = getattr(one, "own_oauth_scopes", None) or getattr(one, "security_scopes", None)
        found.append(
            DependencyFact(
                name=callable_name(call),
                depth=depth,
                location=_definition(call),
                threadpool=runs_in_threadpool(call),
                guarding=guarding(call, [inner.call for inner in one.dependencies]),
                scopes=tuple(map(str, scopes or ())),
            )
        )
    return tuple(found)


def _definition(call: Any) -> Location | None:
    return definition(vars(call).get("__init__") if isinstance(call, type) else call)


def _endpoint_location(route: Any) -> Location | None:
    endpoint = route.endpoint
    if not isinstance(endpoint, type):
        return definition(endpoint)
    # HTTPEndpoint and WebSocketEndpoint of Starlette
    names = (*(method.lower() for method in getattr(route, "methods", None) or ()), "get", "post")
    methods = (vars(endpoint).get(name) for name in (*names, "on_receive", "on_connect"))
    return next((place for one in methods if one and (place := definition(one))), None)


def _answers_itself(route: Any) -> bool:
    if getattr(route, "dependant", None) is None:
        return True  # a plain route of Starlette has to
    response_class = getattr(route, "response_class", None)
    response_class = getattr(response_class, "value", response_class)
    if isinstance(response_class, type) and not issubclass(response_class, JSONResponse):
        return True
    target: Any = unwrapped(route.endpoint)
    streams = inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target)
    return (
        streams
        or getattr(route, "status_code", None) in _SILENT
        or _returns_response(
            getattr(target, "__annotations__", {}).get("return", inspect.Signature)
        )
    )


def _returns_response(returned: Any) -> bool:
    if isinstance(returned, str):
        return "Response" in returned or returned == "None"
    arguments = (returned, *typing.get_args(returned))
    return returned is None or any(
        isinstance(one, type) and issubclass(one, Response) for one in arguments
    )
