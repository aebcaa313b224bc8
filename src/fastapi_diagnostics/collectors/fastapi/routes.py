"""What is known of a request's route, and where the application's own code lies."""

import functools
import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import msgspec
from starlette.routing import Mount

from fastapi_diagnostics.callsite import USER_CODE, unwrapped
from fastapi_diagnostics.collectors.fastapi import private
from fastapi_diagnostics.collectors.fastapi.detours import detours
from fastapi_diagnostics.collectors.fastapi.failing_handlers import mark_failing_handlers
from fastapi_diagnostics.collectors.fastapi.templates import endpoint_location, template, walk
from fastapi_diagnostics.collectors.names import type_text
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import Location
from fastapi_diagnostics.recorder import Recorder, packed_fields
from fastapi_diagnostics.redaction import is_secret_name, redact_path, redact_query_string

_MAX_REMEMBERED = 2048
_REDIRECT = 300
"""Status from which on a request may have gone another way than was meant."""

_LIBRARIES: Final = frozenset(
    (
        "aiohttp", "anyio", "ariadne", "asgi_correlation_id", "asyncio", "fastapi", "fastapi_cache",
        "fastapi_diagnostics", "fastapi_filter", "fastapi_limiter", "fastapi_mail", "fastapi_mcp",
        "fastapi_pagination", "fastapi_sso", "fastapi_users", "fastapi_users_db_sqlalchemy",
        "fastapi_utils", "fastcrud", "graphene", "httpx", "jinja2", "logfire", "msgspec",
        "opentelemetry", "prometheus_client", "prometheus_fastapi_instrumentator", "pydantic",
        "pydantic_core", "pydantic_settings", "redis", "sentry_sdk", "slowapi", "socketio",
        "sqladmin", "sqlalchemy", "sqlmodel", "starlette", "starlette_admin", "starlette_context",
        "starlette_exporter", "strawberry", "tortoise", "typing_extensions", "uvicorn",
    )
)  # fmt: skip
"""Top-level packages whose endpoints and dependencies are nobody's own application."""


class RouteFacts(NamedTuple):
    """What all requests of a route have in common.

    Attributes:
        fields: ``route``, ``endpoint`` and ``response_model`` of the record.
        packed: The same, as `Recorder.take` wants them.
    """

    fields: Mapping[str, Any]
    packed: msgspec.Raw


def route_facts(recorder: Recorder, scope: Mapping[str, Any]) -> RouteFacts:
    """Tell which route took a request, on the application's thread.

    Args:
        recorder: Of the request.
        scope: As the middleware got it.
    """
    inner = scope if recorder.inner is None else recorder.inner
    route = private.effective_route(inner)
    if route is None:
        route = _route_of_endpoint(inner)
    if route is None:
        return _UNMATCHED
    method = scope.get("method") or "WS"
    key = (id(route), method, scope.get("root_path", ""))
    entry = _remembered.get(key)
    if entry is not None and entry[0]() is route and entry[1] is USER_CODE.packages:
        return entry[2]
    return _facts_of(route, method, inner, key)


def request_facts(
    recorder: Recorder, scope: Mapping[str, Any], known: RouteFacts
) -> dict[str, Any]:
    """Tell what a request asked for, on the application's thread, at seal time.

    Args:
        recorder: Of the request.
        scope: As the middleware got it.
        known: Of its route.

    Returns:
        The fields ``method``, ``path`` and ``query`` of the record; those of `detours` where
        there is anything to tell.
    """
    get = scope.get
    path = get("path", "")
    inner = scope if recorder.inner is None else recorder.inner
    parameters = inner.get("path_params")
    shown = _path(path, parameters, known.fields["route"]) if parameters else _shown_path(path)
    facts: dict[str, Any] = {"method": get("method") or "WS", "path": shown}
    raw_query = get("query_string")
    if raw_query:
        facts["query"] = redact_query_string(raw_query.decode("latin-1"), recorder.values)
    status = recorder.status
    if status is not None and status >= _REDIRECT and "method" in scope:
        with FAULTS.contained("fastapi.detours"):
            facts |= detours(recorder, inner)
    if recorder.exceptions:
        mark_failing_handlers(recorder)
    return facts


def http_facts(recorder: Recorder, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Give `route_facts` and `request_facts` in one."""
    known = route_facts(recorder, scope)
    return {**known.fields, **request_facts(recorder, scope, known)}


def _path(path: str, parameters: Any, route: str) -> str:
    """Show the path; where a parameter of it has a secret's name, only what is known to be none."""
    if not any(is_secret_name(name) for name in parameters):
        return _shown_path(path)
    plain = set(route.split(" ", 1)[-1].split("/"))
    for name, value in parameters.items():
        if type(value) in {str, int} and not is_secret_name(name):
            plain |= set(str(value).split("/"))
    return redact_path(path, plain)


def application_files(app: Any) -> tuple[Path, ...]:
    """Find the application's own packages where none of it lies in the project.

    A container often has the application installed like any library.

    Args:
        app: The FastAPI or Starlette application.

    Returns:
        The folders of the top-level packages, or the files of the modules, that hold its
        endpoints and dependencies; nothing if an endpoint lies below the project root.
    """
    routes = [route for _, _, route in private.flat_routes(getattr(app, "routes", ()))]
    endpoints = [getattr(route, "endpoint", None) for route in routes]
    if any(_is_in_project(endpoint) for endpoint in endpoints):
        return ()
    dependencies = [
        call for route in routes for call in _dependency_calls(getattr(route, "dependant", None))
    ]
    found = [_package_of(function) for function in (*endpoints, *dependencies)]
    return tuple(dict.fromkeys(path for path in found if path is not None))


def _route_of_endpoint(scope: Mapping[str, Any]) -> Any:
    """Find a plain route by its endpoint: Starlette before 1.7 does not name the route."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return None
    for _, _, route in walk(scope.get("router")):
        if getattr(route, "endpoint", None) is endpoint:
            return route
        if isinstance(route, Mount) and route.app is endpoint:
            return route
    return None


_shown_path = functools.lru_cache(maxsize=512)(redact_path)


def _packed(path: str, endpoint: Location | None, response_model: str | None) -> RouteFacts:
    fields = {"route": path, "endpoint": endpoint, "response_model": response_model}
    return RouteFacts(fields, packed_fields(fields))


_UNMATCHED: Final = _packed("", None, None)
_remembered: dict[tuple[int, str, str], tuple[Any, Any, RouteFacts]] = {}
"""What does not change from request to request; never keeps a route alive."""


def _facts_of(
    route: Any, method: str, scope: Mapping[str, Any], key: tuple[int, str, str]
) -> RouteFacts:
    path = template(route, scope)
    if not path:
        return _UNMATCHED
    facts = _packed(f"{method} {path}", endpoint_location(route, method), _response_model(route))
    if len(_remembered) >= _MAX_REMEMBERED:
        _remembered.clear()
    with suppress(TypeError):  # what cannot be referred to weakly
        _remembered[key] = (weakref.ref(route), USER_CODE.packages, facts)
    return facts


def _response_model(route: Any) -> str | None:
    if getattr(route, "response_field", None) is None:
        return None
    return type_text(getattr(route, "response_model", None))


def _dependency_calls(dependant: Any, depth: int = 0) -> Iterator[Any]:
    for inner in getattr(dependant, "dependencies", ()) if depth < 20 else ():  # noqa: PLR2004
        yield inner.call
        yield from _dependency_calls(inner, depth + 1)


def _file_of(function: Any) -> str | None:
    code = getattr(unwrapped(function), "__code__", None)
    return code.co_filename if code is not None else None


def _is_in_project(function: Any) -> bool:
    file = _file_of(function)
    # What lies below the root is shown relative to it.
    return file is not None and not Path(USER_CODE.shown(file)).is_absolute()


def _package_of(function: Any) -> Path | None:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__module__", None) or type(function).__module__
    top = name.partition(".")[0]
    if top in _LIBRARIES or top in sys.stdlib_module_names or top == "builtins":
        return None
    if top == "__main__":
        file = _file_of(function)
        return Path(file) if file else None
    return _folder(name)


def _folder(name: str) -> Path | None:
    """Give the outermost regular package of a module; a namespace may be shared with others."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        module = sys.modules.get(".".join(parts[:end]))
        file = getattr(module, "__file__", None)
        if isinstance(module, ModuleType) and file:
            return Path(file).parent if hasattr(module, "__path__") else Path(file)
    return None
