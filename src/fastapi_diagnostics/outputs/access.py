"""The one gate in front of all our pages: who may look, and from which page an action may come.

A server that is bound to loopback is not protected by that: any page in a browser on the same
machine can reach it.
So four things are checked, each on its own: the peer, the Host, where the request comes from, and
for everybody who is not local a token.
No header can open the gate; headers can only close it.
"""

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qs

import anyio
import msgspec
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from fastapi_diagnostics.asgi import (
    ASGIApp,
    Message,
    Receive,
    Scope,
    Send,
    header,
    headers,
    route_path,
)
from fastapi_diagnostics.outputs.login import LOGIN_CSS, LOGIN_JS, login_page

MAX_WRONG_TOKENS = 10
WRONG_TOKEN_DELAY_S = 0.5
MAX_LOGIN_BYTES = 4096
LOGIN_PATHS = frozenset({"/login", "/login.js", "/login.css"})

GUARD_HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        b"connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
        b"frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}
_CACHE = (b"cache-control", b"no-store")

_FORWARDING = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"cf-connecting-ip", b"true-client-ip", b"x-client-ip"}
)
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(?P<port>[0-9]{1,5}))?")
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_IN_PROCESS = ("testclient", "testserver")
"""Peer and host of Starlette's TestClient; no socket has a peer of that name."""

REFUSED = (
    "fastapi-diagnostics answers only to this machine. "
    "Open the link printed in the server's terminal.\n"
)


class Decision(Enum):
    """What becomes of a request."""

    SERVE = "serve"
    REFUSE = "refuse"
    ASK_FOR_TOKEN = "ask"  # noqa: S105 - not one
    NOT_OURS = "not ours"


class AccessPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Who may look.

    Attributes:
        prefix: Path of the pages.
        token: Opens the gate to those who are not local.
        allowed_hosts: Names besides localhost.
        require_token: Whether local clients need the token, too.
        production: Whether the environment calls itself production: then nobody is told that
            there is anything here.
    """

    prefix: str
    token: str
    allowed_hosts: tuple[str, ...] = ()
    require_token: bool = False
    production: bool = False

    @property
    def cookie(self) -> str:
        """Name of the cookie: equal in all workers, different for each token."""
        return "diagnostics-" + _signed(self.token, "cookie name")[:12]


def decide(scope: Scope, policy: AccessPolicy, *, locked: bool = False) -> Decision:
    """Judge a request below our prefix; pure.

    Args:
        scope: Of the request.
        policy: Who may look.
        locked: Whether tokens in headers are no longer believed.
    """
    refused = Decision.NOT_OURS if policy.production else Decision.REFUSE
    host = _host(scope)
    if host is None or not _is_allowed(host, policy, scope):
        # Also with a token: a name that is rebound to this machine makes a browser its victim.
        return refused
    if not _is_from_our_own_pages(scope, policy):
        return refused
    has_token = _has_cookie(scope, policy) or (not locked and _has_bearer(scope, policy))
    open_to_all_here = not policy.require_token and not policy.production
    if has_token or (open_to_all_here and _is_local(scope)):
        return Decision.SERVE
    if policy.production and _path_below(scope, policy) not in LOGIN_PATHS:
        return Decision.NOT_OURS
    return Decision.ASK_FOR_TOKEN


class Gate:
    """Lets through to *app* what may look; answers or forwards all else.

    Args:
        app: The pages; called with ``root_path`` ending in the prefix.
        policy: Who may look.
        fallback: The application itself, for what is not ours to answer.
        sleep: Waits before a wrong token is answered, in seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        policy: AccessPolicy,
        *,
        fallback: ASGIApp,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._app = app
        self._policy = policy
        self._fallback = fallback
        self._sleep = sleep
        self._wrong = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request below the prefix."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        policy = self._policy
        decision = decide(scope, policy, locked=self._wrong >= MAX_WRONG_TOKENS)
        path = _path_below(scope, policy)
        if decision is not Decision.SERVE and _has_wrong_bearer(scope, policy):
            await self._count_wrong()
        if decision is Decision.NOT_OURS:
            await self._fallback(scope, receive, send)
            return
        send = _guarded(send)
        if decision is Decision.SERVE and path not in LOGIN_PATHS:
            await self._app(_below(scope, policy.prefix), receive, send)
            return
        response = await self._answer(decision, path, scope, receive)
        await response(scope, receive, send)

    async def _answer(
        self, decision: Decision, path: str, scope: Scope, receive: Receive
    ) -> Response:
        if decision is Decision.REFUSE or path not in LOGIN_PATHS:
            return PlainTextResponse(REFUSED, 403)
        if scope["method"] == "POST" and path == "/login":
            return await self._login(scope, receive)
        if scope["method"] not in _SAFE_METHODS:
            return PlainTextResponse("Only GET and POST.\n", 405, {"Allow": "GET, HEAD, POST"})
        if path == "/login.js":
            return Response(LOGIN_JS, media_type="text/javascript")
        if path == "/login.css":
            return Response(LOGIN_CSS, media_type="text/css")
        return Response(login_page(_base(scope, self._policy.prefix)), media_type="text/html")

    async def _count_wrong(self) -> None:
        self._wrong += 1
        await self._sleep(WRONG_TOKEN_DELAY_S)

    async def _login(self, scope: Scope, receive: Receive) -> Response:
        given = await _form_token(receive)
        right = hmac.compare_digest(given.encode(), self._policy.token.encode())
        if self._wrong >= MAX_WRONG_TOKENS or not right:
            await self._count_wrong()
            return PlainTextResponse("This token is not the right one.\n", 403)
        base = _base(scope, self._policy.prefix)
        response = RedirectResponse(base + "/", 303)
        response.set_cookie(
            self._policy.cookie,
            _session(self._policy.token),
            path=base,
            secure=scope.get("scheme") == "https",
            httponly=True,
            samesite="strict",
        )
        return response


def load_or_create_token(file: Path) -> str:
    """Read the token, or make one: the same for all workers and across reloads.

    Where the file cannot be written, the token lives as long as the process.
    """
    token = secrets.token_urlsafe(24)
    for _ in range(2):
        with suppress(OSError, UnicodeDecodeError):
            known = _read_private(file)
            if len(known) >= 20:  # noqa: PLR2004 - what we write has 32
                return known
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue  # another worker was faster
        except OSError:
            return token
        with os.fdopen(descriptor, "w") as opened:
            opened.write(token)
        return token
    return token


def _read_private(file: Path) -> str:
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor) as opened:
        return opened.read(200).strip()


def _is_local(scope: Scope) -> bool:
    """Tell whether the peer is on this machine and no proxy stands in between."""
    if any(_is_forwarding(name.lower()) for name, _ in scope.get("headers", ())):
        return False
    client = scope.get("client")
    if not client:
        return False  # a unix socket: somebody's proxy
    if client[0] == _IN_PROCESS[0]:
        return True
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return False
    # A socket that listens on both families shows 127.0.0.1 as ::ffff:127.0.0.1.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _is_forwarding(name: bytes) -> bool:
    return name in _FORWARDING or name.startswith(b"x-forwarded-")


def _host(scope: Scope) -> str | None:
    """Read the Host strictly: lower case, without port and one last dot; `None` if malformed."""
    raw = header(scope, b"host")
    if raw is None:
        return None
    match = _HOST.fullmatch(raw.decode("latin-1").lower())
    if match is None or (match["port"] and int(match["port"]) > 65535):  # noqa: PLR2004
        return None
    return match["name"].removesuffix(".")


def _is_allowed(host: str, policy: AccessPolicy, scope: Scope) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    if host in {name.lower() for name in policy.allowed_hosts}:
        return True
    if host == _IN_PROCESS[1] and (scope.get("client") or ("",))[0] == _IN_PROCESS[0]:
        return True
    try:
        # Only canonical spellings are addresses here: no 127.1, no 0x7f.1, no mapped ones.
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return host == "[::1]"
    return address.is_loopback and not host.startswith("[")


def _is_from_our_own_pages(scope: Scope, policy: AccessPolicy) -> bool:
    """Check Origin, fetch metadata and, for actions, the header that no foreign page can send."""
    origins = headers(scope, b"origin")
    if origins and origins != [_own_origin(scope)]:
        return False
    site = header(scope, b"sec-fetch-site") or (
        b"" if not headers(scope, b"sec-fetch-site") else b"?"
    )
    if site not in {b"", b"same-origin", b"none"} and not _is_followed_link(scope, policy):
        return False
    if scope["method"] in _SAFE_METHODS:
        return True
    if route_path(scope).rstrip("/") == policy.prefix + "/login":
        return bool(origins) or site in {b"", b"same-origin", b"none"}
    return header(scope, b"x-diagnostics-action") == b"1"


def _own_origin(scope: Scope) -> bytes:
    scheme: str = scope.get("scheme", "http")
    return scheme.encode() + b"://" + (header(scope, b"host") or b"")


def _is_followed_link(scope: Scope, policy: AccessPolicy) -> bool:
    """A link from elsewhere may lead to a page, and to nothing else."""
    return (
        scope["method"] in _SAFE_METHODS
        and header(scope, b"sec-fetch-mode") == b"navigate"
        and header(scope, b"sec-fetch-dest") == b"document"
        and header(scope, b"hx-request") is None
        and not route_path(scope).startswith(policy.prefix + "/api")
    )


def _has_bearer(scope: Scope, policy: AccessPolicy) -> bool:
    token = _bearer(scope)
    return token is not None and hmac.compare_digest(token, policy.token.encode())


def _has_wrong_bearer(scope: Scope, policy: AccessPolicy) -> bool:
    return _bearer(scope) is not None and not _has_bearer(scope, policy)


def _bearer(scope: Scope) -> bytes | None:
    scheme, _, token = (header(scope, b"authorization") or b"").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None


def _has_cookie(scope: Scope, policy: AccessPolicy) -> bool:
    name = policy.cookie.encode() + b"="
    parts = [part.strip() for line in headers(scope, b"cookie") for part in line.split(b";")]
    return any(
        _is_session(part[len(name) :].decode("latin-1"), policy.token)
        for part in parts
        if part.startswith(name)
    )


def _session(token: str) -> str:
    nonce = secrets.token_hex(8)
    return f"v1.{nonce}.{_signed(token, nonce)}"


def _is_session(value: str, token: str) -> bool:
    version, _, rest = value.strip('"').partition(".")
    nonce, _, signature = rest.partition(".")
    expected = _signed(token, nonce)
    return version == "v1" and hmac.compare_digest(signature.encode(), expected.encode())


def _signed(token: str, text: str) -> str:
    return hmac.new(token.encode(), text.encode(), hashlib.sha256).hexdigest()


async def _form_token(receive: Receive) -> str:
    body = b""
    while len(body) <= MAX_LOGIN_BYTES:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    fields = parse_qs(body[:MAX_LOGIN_BYTES].decode("latin-1"), max_num_fields=5)
    return fields.get("token", [""])[0].strip()


def _path_below(scope: Scope, policy: AccessPolicy) -> str:
    return route_path(scope)[len(policy.prefix) :].rstrip("/")


def _base(scope: Scope, prefix: str) -> str:
    root: str = scope.get("root_path", "").rstrip("/")
    return root + prefix


def _below(scope: Scope, prefix: str) -> Scope:
    """Make the scope of the pages: mounted at the prefix, without the application's own state."""
    base = _base(scope, prefix)
    return {
        **{key: value for key, value in scope.items() if key not in {"app", "router", "endpoint"}},
        "root_path": base,
        "app_root_path": base,
        "path": base + route_path(scope)[len(prefix) :],
    }


def _guarded(send: Send) -> Send:
    """Put our headers on every response, and take off any that lets another origin read it."""

    async def guarded_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message.get("headers", ())
                if name.lower() not in GUARD_HEADERS
                and not name.lower().startswith(b"access-control-")
            ]
            cache = [] if any(name.lower() == b"cache-control" for name, _ in kept) else [_CACHE]
            message = {**message, "headers": [*kept, *GUARD_HEADERS.items(), *cache]}
        await send(message)

    return guarded_send
