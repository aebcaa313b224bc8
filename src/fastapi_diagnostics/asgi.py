"""Small pure helpers for ASGI, and its types."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def route_path(scope: Scope) -> str:
    """Give the path below ``root_path``, whether the server left that in the path or not."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :] or "/"
    return path


def header(scope: Scope, name: bytes) -> bytes | None:
    """Give the only value of a header; `None` if it is missing or repeated.

    Args:
        scope: Of a request.
        name: In lower case, as servers send it.
    """
    values = headers(scope, name)
    return values[0] if len(values) == 1 else None


def headers(scope: Scope, name: bytes) -> list[bytes]:
    """Give all values of a header."""
    return [value for key, value in scope.get("headers", ()) if key.lower() == name]
