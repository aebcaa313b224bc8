"""APP105: a route without authentication among siblings that have it."""

import re
from collections import defaultdict
from collections.abc import Iterator

from fastapi_diagnostics.app_record import AppRecord, RouteFact
from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.rules.app._words import listed

RULE = Rule(
    code="APP105",
    name="unguarded-route",
    family="app",
    severity="info",
    title="A route without the authentication that its siblings have",
    what=(
        "Compares the routes of one module below one first path segment: where at least two of "
        "them ask for authentication by a dependency, and most of those with the same purpose "
        "(reading or writing) do, the one that does not is named."
    ),
    why=(
        "A guard that is written at each route is forgotten at one of them sooner or later, and "
        "nothing fails when it is: the route just answers everybody."
    ),
    example=(
        '@router.get("/invoices", dependencies=[Depends(require_user)])\n'
        "async def invoices(): ...\n\n\n"
        '@router.get("/invoices/{id}", dependencies=[Depends(require_user)])\n'
        "async def invoice(id: int): ...\n\n\n"
        '@router.delete("/invoices/{id}")\n'
        "async def delete_invoice(id: int): ..."
    ),
    instead='router = APIRouter(prefix="/invoices", dependencies=[Depends(require_user)])',
    limits=(
        "A route may be public on purpose; then there is nothing to mend.",
        (
            "Guards are told by their type (FastAPI's security classes) and by their name "
            "(require_, verify_, current_user, token, permission, ...); what an endpoint checks "
            "itself is not judged, and neither is anything behind a middleware for authentication."
        ),
        "Paths for logging in, signing up, health checks, webhooks and the like are left alone.",
    ),
    subjects=("application",),
)

MIN_GUARDED = 2
GUARDED_SHARE = 0.6
"""So many of the comparable siblings must be guarded: with half of them open, open may be meant."""

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_COMMON = re.compile(r"^(?:api|rest|public-api|v\d+(?:\.\d+)?)$", re.IGNORECASE)
_PUBLIC = re.compile(
    r"(?:^|[/_\-])(?:log-?_?(?:in|out)|sign-?_?(?:in|up|out)|register|registration|auth|oauth2?"
    r"|tokens?|refresh|forgot|reset|recover|verify|confirm|activate|unsubscribe|invitations?"
    r"|health(?:z|check)?|ping|ready(?:z)?|live(?:z|ness)?|status|metrics|version|info|about"
    r"|public|webhooks?|hooks?|callback|docs|redoc|openapi|robots|favicon|static|well-known"
    r"|contact|feedback|captcha|csrf|options|languages|countries|currencies)(?:$|[/_\-.])",
    re.IGNORECASE,
)


def check(record: AppRecord) -> Iterator[Finding]:
    """Find routes that are open while their siblings are not."""
    if record.guarding_middleware:
        return
    groups: defaultdict[tuple[str, str], list[RouteFact]] = defaultdict(list)
    for route in record.routes:
        if route.kind == "http" and route.location is not None:
            groups[route.location.file, _resource(route.path)].append(route)
    for siblings in groups.values():
        yield from _among(siblings)


def _among(siblings: list[RouteFact]) -> Iterator[Finding]:
    for route in siblings:
        if _is_open(route):
            guarded = _guarded_beside(route, siblings)
            if guarded:
                yield _finding(route, guarded)


def _guarded_beside(route: RouteFact, siblings: list[RouteFact]) -> list[RouteFact]:
    """Give the guarded routes that this one should be like; none where open may be meant.

    Reading is often free where writing is not, so a route that reads is compared with those only.
    """
    reads = _reads(route)
    compared = [one for one in siblings if not _is_public(one) and (_reads(one) or not reads)]
    guarded = [one for one in compared if one.guards]
    enough = len(guarded) >= max(MIN_GUARDED, GUARDED_SHARE * len(compared))
    return guarded if enough else []


def _resource(path: str) -> str:
    """Give the path up to its first own segment: ``/api/v1/users`` of ``/api/v1/users/me``."""
    taken: list[str] = []
    for segment in path.strip("/").split("/"):
        taken.append(segment)
        if not _COMMON.match(segment):
            break
    return "/".join(taken)


def _is_open(route: RouteFact) -> bool:
    asks = any(one.guarding for one in route.dependencies)
    return not asks and not route.looks_itself and not _is_public(route)


def _is_public(route: RouteFact) -> bool:
    return bool(_PUBLIC.search(route.path) or _PUBLIC.search(route.name))


def _reads(route: RouteFact) -> bool:
    return bool(route.methods) and _READS.issuperset(route.methods)


def _finding(route: RouteFact, guarded: list[RouteFact]) -> Finding:
    guards = [one.guards[0] for one in guarded]
    names = [one.name for one in guards]
    guard = max(dict.fromkeys(names), key=names.count)
    # A scheme is an object whose name in the application is not known.
    named = any(one.name == guard and one.location is not None for one in guards)
    return RULE.finding(
        f"{route.label} asks for no authentication, while {len(guarded)} routes beside it do "
        f"({listed((one.label for one in guarded), 3)}, by {guard}).",
        location=route.location,
        confidence="likely",
        fix=Fix(
            summary=(
                f"If it is not public on purpose, add {guard}; at the router it cannot be "
                "forgotten at a route."
            ),
            code=f"dependencies=[Depends({guard})]" if named and guard.isidentifier() else "",
            location=route.location,
        ),
        evidence={
            "route": route.label,
            "routes": [route.label],
            "guard": guard,
            "siblings": [one.label for one in guarded[:10]],
        },
        cause=route.label,
    )
