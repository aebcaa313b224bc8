"""Finds requests that went another way than was meant: a route in front, a slash too few."""

import contextlib
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi_diagnostics.collectors.fastapi import private
from fastapi_diagnostics.collectors.fastapi.templates import (
    endpoint_location,
    same,
    template,
    walk,
)
from fastapi_diagnostics.record import Location, SlashRedirect
from fastapi_diagnostics.recorder import Recorder
from fastapi_diagnostics.redaction import redact_path

_REDIRECTS = frozenset({307, 308})
_CLIENT_ERROR = 400
_MAX_SHADOWED = 5


def detours(recorder: Recorder, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Tell of an answer of 300 or more whether the request was taken by the wrong route.

    Args:
        recorder: Of the request.
        scope: As the endpoint saw it.

    Returns:
        The fields ``slash_redirect`` and ``shadowed_routes`` of the record, where there is any.
    """
    status = recorder.status or 0
    endpoint = scope.get("endpoint")
    if status in _REDIRECTS and (endpoint is None or private.is_application(endpoint)):
        redirect = slash_redirect(scope)
        return {"slash_redirect": redirect} if redirect is not None else {}
    parameters = scope.get("path_params")
    if status < _CLIENT_ERROR or not parameters or endpoint is None:
        return {}
    found = [pair for name in parameters for pair in shadowed_by(scope, name)]
    return {"shadowed_routes": tuple(dict.fromkeys(found))[:_MAX_SHADOWED]} if found else {}


def shadowed_by(scope: Mapping[str, Any], parameter: str) -> Iterator[tuple[str, Location | None]]:
    """Find later routes that also match this URL, where they say literally what was a parameter.

    Args:
        scope: Of the request, as the endpoint saw it.
        parameter: The path parameter whose value was refused.

    Yields:
        Such as ``GET /users/me`` and where its endpoint is defined.
    """
    current = private.effective_route(scope)
    routes = getattr(scope.get("app"), "routes", ())
    if _is_alone(current, parameter, len(routes)):
        return
    method = scope.get("method", "")
    alone = True
    for route in _literal_ones(routes, current, parameter):
        alone = False
        if _takes(route, scope):
            yield f"{method} {template(route, scope)}", endpoint_location(route, method)
    if alone:
        _remember_alone(current, parameter, len(routes))


_ALONE: dict[tuple[int, str], tuple[weakref.ref[Any], int]] = {}
"""Routes that take no other's URLs, with how many there were: walking 300 takes some 150 us."""
_MAX_REMEMBERED = 2048


def _is_alone(route: Any, parameter: str, count: int) -> bool:
    known = _ALONE.get((id(route), parameter))
    return known is not None and known[0]() is route and known[1] == count


def _remember_alone(route: Any, parameter: str, count: int) -> None:
    if len(_ALONE) >= _MAX_REMEMBERED:
        _ALONE.clear()
    with contextlib.suppress(TypeError):  # what cannot be referred to weakly is not remembered
        _ALONE[(id(route), parameter)] = (weakref.ref(route), count)


def _literal_ones(routes: Any, current: Any, parameter: str) -> Iterator[Any]:
    """Give the later routes beside *current* that have a word in place of its parameter."""
    prefix: str | None = None
    for mounts, _, route in private.flat_routes(routes):
        if prefix is None:
            if same(route, current):
                prefix = mounts
        elif mounts == prefix and _literal(route, current, parameter):
            yield route


def slash_redirect(scope: Mapping[str, Any]) -> SlashRedirect | None:
    """Find the route to which Starlette's router sent a request, one slash away.

    Args:
        scope: Of a request that matched no route and was answered with a redirect.

    Returns:
        `None` if the path with or without its last slash matches nothing either, or if the path
        itself matches: then somebody else made that redirect.
    """
    path: str = scope.get("path", "")
    if not path.rstrip("/"):
        return None
    other = path.rstrip("/") if path.endswith("/") else f"{path}/"
    inner = {**scope, "path": other}
    routes = list(_below_mount(scope))
    route = next((route for route in routes if _takes(route, inner)), None)
    if route is None or any(_takes(route, scope) for route in routes):
        return None
    headers = {name.lower(): value for name, value in scope.get("headers", ())}
    method = scope.get("method", "")
    has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
    return SlashRedirect(
        to=redact_path(other),
        route=f"{method} {template(route, inner) or redact_path(other)}",
        endpoint=endpoint_location(route, method),
        body=has_body,
        authorization=b"authorization" in headers,
        leaves_https=scope.get("scheme") == "http"
        and headers.get(b"x-forwarded-proto", b"").split(b",")[0].strip() == b"https",
    )


def _below_mount(scope: Mapping[str, Any]) -> Iterator[Any]:
    """Give the routes of the application, or of the mount that the request went into."""
    root: str = scope.get("root_path", "")
    mounted = root.removeprefix(scope.get("app_root_path", root)).rstrip("/").split("/")
    for mounts, _, route in walk(scope.get("router")):
        declared = mounts.split("/")
        if len(declared) == len(mounted) and all(
            wanted == came or "{" in wanted for wanted, came in zip(declared, mounted, strict=True)
        ):
            yield route


def _path_below_mounts(scope: Mapping[str, Any]) -> str:
    path: str = scope.get("path", "")
    root = scope.get("root_path", "").rstrip("/")
    return path[len(root) :] or "/" if root and path.startswith(root + "/") else path


def _takes(route: Any, scope: Mapping[str, Any]) -> bool:
    pattern = getattr(route, "path_regex", None)
    if pattern is None or not pattern.match(_path_below_mounts(scope)):
        return False
    methods = getattr(route, "methods", ())  # None takes every method, a websocket route has none
    if scope["type"] == "websocket":
        return methods is not None and not methods
    return methods is None or scope["method"] in methods


def _literal(route: Any, current: Any, parameter: str) -> bool:
    ours = str(getattr(current, "path_format", "")).split("/")
    theirs = str(getattr(route, "path_format", "")).split("/")
    place = next((i for i, part in enumerate(ours) if part == f"{{{parameter}}}"), None)
    return place is not None and place < len(theirs) and "{" not in theirs[place]
