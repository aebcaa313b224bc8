"""Small, pure readers of ASGI scopes."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def root_path(scope: Scope) -> str:
    """Give the path below which the application is mounted, without a trailing slash."""
    return str(scope.get("root_path", "")).rstrip("/")


def route_path(scope: Scope) -> str:
    """Give the path as the application's routes see it.

    Servers and proxies differ in whether ``path`` still holds ``root_path``; both are understood.
    """
    path: str = scope["path"]
    root = root_path(scope)
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :] or "/"
    return path


def header(scope: Scope, name: bytes) -> bytes | None:
    """Give the first header of that lower-case name; `None` without one."""
    return next((value for key, value in scope.get("headers", ()) if key == name), None)


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """List all headers of that lower-case name, in the order in which they came."""
    return [value for key, value in scope.get("headers", ()) if key == name]
