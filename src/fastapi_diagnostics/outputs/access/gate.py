"""Stands in front of the pages: lets through, refuses, or takes a token for a cookie."""

import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from urllib.parse import quote

import anyio

from fastapi_diagnostics.asgi import ASGIApp, Message, Receive, Scope, Send, root_path, route_path
from fastapi_diagnostics.outputs.access import login, tokens
from fastapi_diagnostics.outputs.access.policy import (
    LOCKED,
    LOGIN,
    AccessPolicy,
    Decision,
    decide,
)

Headers = Iterable[tuple[bytes, bytes]]

WRONG_TOKEN_DELAY_S: Final = 0.5
MAX_WRONG_TOKENS: Final = 10
"""Then none is taken any more until the process is started anew."""

SECURITY_HEADERS: Final = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            b"connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
            b"frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_NO_STORE: Final = (b"cache-control", b"no-store")
_OURS: Final = frozenset(name for name, _ in SECURITY_HEADERS)

_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_JSON: Final = (b"content-type", b"application/json")
_HTML: Final = (b"content-type", b"text/html; charset=utf-8")
_ALLOWED: Final = {LOGIN: b"GET, HEAD, POST"}


async def _nothing(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _answer(send, 404, b"Not Found", (_TEXT,))


class Gate:
    """Answers what lies below the prefix.

    Args:
        app: The pages; sees the prefix as part of its ``root_path``.
        policy: Who may look.
        fallback: The application, which answers where nothing of ours is to be seen.
        sleep: Waits for some seconds.
        nonce: Gives 32 random hexadecimal digits.
    """

    def __init__(
        self,
        app: ASGIApp,
        policy: AccessPolicy,
        fallback: ASGIApp = _nothing,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._app = app
        self._policy = policy
        self._fallback = fallback
        self._sleep = sleep
        self._nonce = nonce
        self._wrong_tokens = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on to the pages or to the application."""
        if scope["type"] not in {"http", "websocket"}:
            await self._fallback(scope, receive, send)
            return
        decision = decide(scope, self._policy, locked=self._locked)
        if decision.kind == "not-ours":
            await self._fallback(scope, receive, send)
        elif decision.kind == "serve":
            await self._app(_inner(scope, self._policy.prefix), receive, _secured(send))
        elif decision.kind == "login":
            await self._login(scope, receive, send)
        elif decision.kind == "wrong-token":
            await self._count_wrong_token()
            await self._refuse(scope, receive, send, decision)
        else:
            await self._refuse(scope, receive, send, decision)

    @property
    def _locked(self) -> bool:
        return self._wrong_tokens >= MAX_WRONG_TOKENS

    async def _count_wrong_token(self) -> None:
        self._wrong_tokens += 1  # before the wait: many guesses at once count, too
        await self._sleep(WRONG_TOKEN_DELAY_S)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, decision: Decision) -> None:
        if self._policy.production:
            await self._fallback(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": decision.reason})
        elif route_path(scope).startswith(self._policy.prefix + "/api"):
            text = f'{{"schema":1,"error":{{"code":"refused","message":"{decision.reason}"}}}}'
            await _answer(send, 403, text.encode(), (_JSON,))
        else:
            await _answer(send, 403, f"{decision.reason}\n".encode(), (_TEXT,))

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = route_path(scope)[len(self._policy.prefix) :]
        method = scope["method"]
        if path == LOGIN and method == "POST":
            await self._exchange(scope, receive, send)
        elif method not in {"GET", "HEAD"}:
            allow = (b"allow", _ALLOWED.get(path, b"GET, HEAD"))
            await _answer(send, 405, b"Method not allowed.\n", (_TEXT, allow))
        elif path == LOGIN:
            await _answer(send, 200, login.login_page(), (_HTML,), method)
        else:
            data, media_type = login.ASSETS[path]
            await _answer(send, 200, data, ((b"content-type", media_type),), method)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the token of a form and give the cookie for it."""
        token = self._policy.token or ""
        body = await _body(receive)
        if self._locked:
            # Whatever it holds goes no further, not even to the application.
            await self._refuse(scope, _no_body, send, Decision("refuse", LOCKED))
        elif tokens.is_right(login.token_of(body), token):
            await _answer(send, 303, b"", self._entry(scope, token))
        else:
            await self._count_wrong_token()
            if self._policy.production:
                await self._fallback(scope, _no_body, send)
            else:
                await _answer(send, 403, login.login_page(wrong=True), (_HTML,))

    def _entry(self, scope: Scope, token: str) -> Headers:
        base = _quoted(root_path(scope)) + self._policy.prefix
        cookie = f"{tokens.cookie_name(token)}={tokens.new_cookie(token, self._nonce())}"
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        attributes = f"; Path={base}; HttpOnly; SameSite=Strict{secure}"
        return (
            (b"location", f"{base}/".encode()),
            (b"set-cookie", (cookie + attributes).encode()),
        )


def _quoted(path: str) -> str:
    return quote(path, safe="/~")


def _inner(scope: Scope, prefix: str) -> Scope:
    """Give the scope as if the pages were mounted at the prefix, without the application."""
    root = root_path(scope)
    path = route_path(scope)
    ours = ("app", "router", "endpoint", "path_params", "route")
    inner = {key: value for key, value in scope.items() if key not in ours}
    inner["root_path"] = root + prefix
    inner["path"] = root + (path if path != prefix else prefix + "/")
    return inner


def _secured(send: Send) -> Send:
    """Put our headers on whatever the pages answer."""

    async def secured_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": _with_security(message.get("headers", ()))}
        await send(message)

    return secured_send


def _with_security(headers: Headers) -> list[tuple[bytes, bytes]]:
    kept = [(name.lower(), value) for name, value in headers]
    kept = [
        (name, value)
        for name, value in kept
        if name not in _OURS and not name.startswith(b"access-control-")
    ]
    # Files whose content never changes under their URL may say so themselves.
    caching = () if any(name == b"cache-control" for name, _ in kept) else (_NO_STORE,)
    return [*kept, *SECURITY_HEADERS, *caching]


async def _answer(
    send: Send, status: int, body: bytes, headers: Headers, method: str = "GET"
) -> None:
    length = (b"content-length", str(len(body)).encode())
    start = {"type": "http.response.start", "status": status}
    await send({**start, "headers": _with_security((*headers, length))})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


async def _body(receive: Receive) -> bytes:
    """Read the form, or nothing of one that is too long to hold a token."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > login.MAX_BODY:
            return b""
        if message["type"] != "http.request" or not message.get("more_body", False):
            return bytes(body)


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
