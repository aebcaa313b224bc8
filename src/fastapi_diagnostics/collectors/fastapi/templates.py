"""Names what matched a URL: the path as it was declared, and where its endpoint stands."""

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.routing import Mount

from fastapi_diagnostics.callsite import definition
from fastapi_diagnostics.collectors.fastapi import private
from fastapi_diagnostics.record import Location


def template(route: Any, scope: Mapping[str, Any]) -> str:
    """Give the path as it was declared, with the paths of the mounts around it."""
    root: str = scope.get("root_path", "")
    mounted = root.removeprefix(scope.get("app_root_path", root))
    if isinstance(route, Mount):
        if private.inner_routes(route) is not None:
            return ""  # nothing below the mount matched
        return _declared(route, scope) or mounted + "/{path}"
    own = str(getattr(route, "path", None) or getattr(route, "path_format", ""))
    return (_declared(route, scope) or mounted + own) if mounted else own


def _declared(route: Any, scope: Mapping[str, Any]) -> str:
    """Look a mounted route up from the outermost router, whose mounts may have parameters."""
    for prefix, path, candidate in walk(scope.get("router")):
        if same(candidate, route):
            return prefix + path + ("/{path}" if isinstance(route, Mount) else "")
    return ""


def walk(router: Any) -> Iterator[tuple[str, str, Any]]:
    """Walk the routes of a router through included ones and mounts, as `private.flat_routes`."""
    return private.flat_routes(getattr(router, "routes", ()))


def same(left: Any, right: Any) -> bool:
    """Tell whether both are one route, however each was come by."""
    return left is right or (
        # Routes are compared by identity: equal ones may be declared twice.
        getattr(left, "original_route", left) is getattr(right, "original_route", right)
        and getattr(left, "path", None) == getattr(right, "path", None)
    )


def endpoint_location(route: Any, method: str) -> Location | None:
    """Find the definition of what serves a route; of a class, its method for *method*."""
    endpoint = getattr(route, "endpoint", None)
    if isinstance(endpoint, type):  # HTTPEndpoint of Starlette
        endpoint = getattr(endpoint, method.lower(), None)
    return definition(endpoint)
