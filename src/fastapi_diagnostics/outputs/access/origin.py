"""Reads from a request where it comes from, and believes nothing it cannot check."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from fastapi_diagnostics.asgi import Scope, header, header_values

IN_PROCESS: Final = "testclient"
"""What Starlette's TestClient gives as its peer; no socket has such an address."""
_TEST_HOST: Final = "testserver"
"""The Host of TestClient, believed of that peer only."""

_HOST = re.compile(
    r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,15}\.?)(?::([0-9]{1,5}))?"
)
_MAX_HOST: Final = 255
_MAX_PORT: Final = 65535
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_FORWARDING: Final = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip"}
    | {b"cf-connecting-ip", b"fastly-client-ip", b"x-original-forwarded-for", b"x-original-host"}
    | {b"x-envoy-external-address", b"x-proxyuser-ip"}
)


def host_name(value: bytes) -> str | None:
    """Parse a Host header strictly: lower case, without port and final dot; `None` if malformed."""
    try:
        text = value.decode("ascii").lower()
    except UnicodeDecodeError:
        return None
    found = _HOST.fullmatch(text) if len(text) <= _MAX_HOST else None
    if found is None or int(found[2] or 0) > _MAX_PORT:
        return None
    return found[1].removesuffix(".")


def is_allowed_host(scope: Scope, extra: tuple[str, ...]) -> bool:
    """Tell whether the request was meant for a name of this machine, or for one of *extra*.

    Any site can point a name of its own at 127.0.0.1 and let a browser read what is there; the
    Host header then holds that name.
    """
    hosts = header_values(scope, b"host")
    target = scope.get("raw_path") or b"/"
    if len(hosts) != 1 or not target.startswith(b"/"):
        return False
    name = host_name(hosts[0])
    if name is None:
        return False
    if name == _TEST_HOST and _peer(scope) == IN_PROCESS:
        return True
    return _is_loopback_name(name) or name in _names(extra)


def is_local(scope: Scope) -> bool:
    """Tell whether the request comes from this machine and nobody passed it on.

    A proxy on this machine is a loopback peer, too, and speaks for the whole world.
    """
    if any(k in _FORWARDING or k.startswith(b"x-forwarded-") for k, _ in scope.get("headers", ())):
        return False
    peer = _peer(scope)
    return peer == IN_PROCESS or _is_loopback_address(peer)


def is_foreign(scope: Scope, *, page: bool) -> bool:
    """Tell whether a browser sent the request for another site.

    Args:
        scope: Of a request whose Host is allowed.
        page: Whether the path is a page's, which other sites may link to.
    """
    own = _origin(scope)
    if any(_without_default_port(value) != own for value in header_values(scope, b"origin")):
        return True  # also "null", which sandboxed frames and local files send
    sites = header_values(scope, b"sec-fetch-site")
    if all(site in {b"same-origin", b"none"} for site in sites):
        return False
    return not (page and _is_navigation(scope))


def _is_navigation(scope: Scope) -> bool:
    return (
        scope["method"] == "GET"
        and header_values(scope, b"sec-fetch-mode") == [b"navigate"]
        and header_values(scope, b"sec-fetch-dest") == [b"document"]
        and header(scope, b"hx-request") is None
    )


def _origin(scope: Scope) -> str:
    host = (header(scope, b"host") or b"").decode("latin-1").lower()
    return _without_default_port(f"{scope.get('scheme', 'http')}://{host}".encode("latin-1"))


def _without_default_port(value: bytes) -> str:
    text = value.decode("latin-1")
    return text.removesuffix(_DEFAULT_PORTS.get(text.partition("://")[0], "\n"))


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""  # none: a unix socket, behind which a proxy stands


def _is_loopback_address(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback


def _is_loopback_name(name: str) -> bool:
    """Only the usual spellings: not ``127.1``, ``0``, ``[::ffff:127.0.0.1]`` and the like."""
    if name == "localhost" or name.endswith(".localhost") or name == "[::1]":
        return True
    try:
        return IPv4Address(name).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=8)
def _names(extra: tuple[str, ...]) -> frozenset[str]:
    found = (host_name(name.strip().encode("utf-8", "replace")) for name in extra)
    return frozenset(name for name in found if name)
