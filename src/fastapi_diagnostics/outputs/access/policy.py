"""Decides about one request, from its scope alone."""

from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import quote

from fastapi_diagnostics.asgi import Scope, header_values, route_path
from fastapi_diagnostics.outputs.access import origin, tokens

LOGIN: Final = "/login"
LOGIN_PATHS: Final = frozenset({LOGIN, "/static/login.css", "/static/login.js"})

HOST: Final = "This host name is not allowed here: add it to the setting allowed_hosts."
FOREIGN: Final = "Requests of other sites are not answered."
TOKEN: Final = "Open the link printed in the server's terminal."  # noqa: S105 - a sentence
LOCKED: Final = "Too many wrong tokens were tried: restart the server."
LOCAL_ONLY: Final = "Only the machine that the server runs on may look at this."
ACTION: Final = "Actions need the header X-Diagnostics-Action: 1."
WEBSOCKET: Final = "There is no websocket here."


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """Who may look.

    Attributes:
        prefix: Path below which everything of ours lies, without a trailing slash.
        allowed_hosts: Names under which the pages may be opened, besides those of loopback.
        token: What clients show that are not on this machine; `None` keeps them out.
        require_token: Whether clients on this machine need it, too.
        production: Whether the environment calls itself production: then everybody needs the
            token, and whoever is refused gets the application's own answer.
    """

    prefix: str = "/_diagnostics"
    allowed_hosts: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    require_token: bool = False
    production: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens with a request.

    Attributes:
        kind: ``serve`` it, ``refuse`` it with a 403, leave it to the application (``not-ours``),
            show or take the ``login`` form, or refuse it slowly because of a ``wrong-token``.
        reason: The sentence of a refusal.
    """

    kind: Literal["serve", "refuse", "not-ours", "login", "wrong-token"]
    reason: str = ""


SERVE: Final = Decision("serve")
NOT_OURS: Final = Decision("not-ours")


def login_link(prefix: str, token: str) -> str:
    """Give path and fragment of the link to print; servers and their logs never see a fragment."""
    return f"{prefix}{LOGIN}#token={quote(token, safe='')}"


def under_prefix(scope: Scope, prefix: str) -> bool:
    """Tell whether the path is the prefix or lies below it."""
    path = route_path(scope)
    return path == prefix or path.startswith(prefix + "/")


def decide(scope: Scope, policy: AccessPolicy, *, locked: bool = False) -> Decision:
    """Decide about one request.

    Args:
        scope: Of http or websocket.
        policy: Who may look.
        locked: Whether so many wrong tokens were tried that none is taken any more; cookies that
            were given before still are.
    """
    if not under_prefix(scope, policy.prefix) or (policy.production and policy.token is None):
        return NOT_OURS
    decision = _decide(scope, policy, locked=locked)
    if policy.production and decision.kind == "refuse":
        return NOT_OURS
    return decision


def _decide(scope: Scope, policy: AccessPolicy, *, locked: bool) -> Decision:
    path = route_path(scope)[len(policy.prefix) :]
    stranger = _refused_as_stranger(scope, policy, path)
    if stranger:
        return Decision("refuse", stranger)
    if policy.token is not None and path in LOGIN_PATHS:
        return Decision("login")
    if policy.require_token or policy.production or not origin.is_local(scope):
        refusal = _check_token(scope, policy.token, locked=locked)
        if refusal is not None:
            return refusal
    # No form can send this header, and no other site may: we answer no preflight. The other
    # methods need none, because a browser asks before each of them.
    if scope["method"] == "POST" and header_values(scope, b"x-diagnostics-action") != [b"1"]:
        return Decision("refuse", ACTION)
    return SERVE


def _refused_as_stranger(scope: Scope, policy: AccessPolicy, path: str) -> str:
    """Give the sentence for what no token makes good; empty if there is nothing of the kind."""
    if scope["type"] != "http":
        return WEBSOCKET
    # The names are checked even where the token is right. A container's published port is opened
    # as localhost, so nothing is lost there; under a foreign name the login form could be shown
    # inside a page of somebody else, who would read what is typed.
    if not origin.is_allowed_host(scope, policy.allowed_hosts):
        return HOST
    page = not path.startswith(("/api", "/static"))
    return FOREIGN if origin.is_foreign(scope, page=page) else ""


def _check_token(scope: Scope, token: str | None, *, locked: bool) -> Decision | None:
    if token is None:
        return Decision("refuse", LOCAL_ONLY)
    if tokens.has_cookie(scope, token):
        return None
    given = tokens.bearer(scope)
    if given is None:
        return Decision("refuse", TOKEN)
    if locked:
        return Decision("refuse", LOCKED)
    return None if tokens.is_right(given, token) else Decision("wrong-token", TOKEN)
