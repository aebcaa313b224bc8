"""Walks the routes of an application through included routers, mounts and hosts.

Holds for FastAPI 0.115 to 0.165 and Starlette 0.41 to 1.10, and reads names that are not promised.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import fastapi.routing
from starlette.applications import Starlette
from starlette.routing import Router

_MAX_DEPTH = 8


def flat_routes(
    routes: Iterable[Any], prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, str, Any]]:
    """Walk routes through included routers and mounts.

    Yields:
        The path of the mounts around, the path of the route below them, and the route as
        `effective_route` gives it at request time.
    """
    if depth > _MAX_DEPTH:
        return
    for route in expanded(routes):
        inner = inner_routes(route)
        path = getattr(route, "path", None) or ""
        if inner is not None:
            yield from flat_routes(inner, prefix + path, depth + 1)
        else:
            yield prefix, path, route


def inner_routes(route: Any) -> Iterable[Any] | None:
    """Give the routes below a mount or a host; `None` for what has none."""
    app = getattr(route, "app", None)
    if hasattr(route, "endpoint") or app is None:
        return None
    app = below_middleware(app)
    return app.routes if isinstance(app, Router | Starlette) else None


def is_application(endpoint: Any) -> bool:
    """Tell whether what a mount names as its endpoint is a router or an application."""
    return isinstance(below_middleware(endpoint), Router | Starlette)


def below_middleware(app: Any) -> Any:
    """Give the router or application that middleware was put around, or *app* itself."""
    while not isinstance(app, Router | Starlette) and hasattr(app, "app"):
        app = app.app
    return app


def expanded(routes: Iterable[Any]) -> Iterator[Any]:
    """Give routes in the order in which they are tried, those of included routers among them."""
    contexts: Callable[..., Iterator[Any]] | None
    contexts = getattr(fastapi.routing, "iter_route_contexts", None)
    if contexts is None:  # before 0.137.2
        for route in routes:
            included = getattr(route, "effective_route_contexts", None)
            yield from (as_matched(one) for one in included()) if included else (route,)
        return
    for context in contexts(list(routes)):
        yield getattr(context, "_effective_route", context)


def as_matched(context: Any) -> Any:
    """Give the copy with the prefix that the context holds of a plain Starlette route."""
    return getattr(context, "starlette_route", None) or context


def routes_version(app: Any) -> tuple[int, int]:
    """Give what changes when a route is added to an application; cheap enough to ask often.

    Returns:
        The number of routes of its own router, and FastAPI's count of changes to that and to all
        included routers (since 0.137; 0 before).
    """
    router = getattr(app, "router", app)
    version = getattr(router, "_get_routes_version", None)
    return len(getattr(router, "routes", ())), version() if version is not None else 0
