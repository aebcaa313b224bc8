"""REQ102: a route declared earlier takes a URL that a later one spells out."""

from collections import defaultdict
from collections.abc import Iterator

from fastapi_diagnostics.app_record import AppRecord, Overlap, RouteFact
from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, RequestRecord

RULE = Rule(
    code="REQ102",
    name="shadowed-route",
    family="requests",
    severity="error",
    title="Another route that is declared earlier takes this URL",
    what=(
        "Finds routes that can never be reached because an earlier one, or a mount, takes every "
        "URL of theirs, when the application starts; and requests that were refused or answered "
        "with an error by a route with a parameter in its path, where a route that is declared "
        "later has the very word of the URL in that place."
    ),
    why=(
        "The first route that matches wins. The later one can never be reached by this URL, and "
        "the client gets a 422 or a 404 of an endpoint that it did not mean."
    ),
    example=(
        '@app.get("/users/{user_id}")\n'
        "async def get_user(user_id: int) -> User: ...\n\n\n"
        '@app.get("/users/me")  # never reached\n'
        "async def get_me() -> User: ..."
    ),
    instead=(
        '@app.get("/users/me")\n'
        "async def get_me() -> User: ...\n\n\n"
        '@app.get("/users/{user_id}")\n'
        "async def get_user(user_id: int) -> User: ..."
    ),
    limits=(
        (
            "At request time only answers of 400 and more are looked at: an earlier route that "
            "answers well for the later one is seen in the routes themselves, at startup."
        ),
    ),
    supersedes=("REQ101",),
    subjects=("request", "application"),
)

MANY = 5
"""From so many on, what one route takes from others is told in one finding."""


def check(record: RequestRecord | AppRecord) -> Iterator[Finding]:
    """Find routes that are never reached, or the one that should have served a request."""
    if isinstance(record, AppRecord):
        yield from _unreached(record)
    else:
        yield from _refused(record)


def _refused(record: RequestRecord) -> Iterator[Finding]:
    told = False
    for index, rejection in enumerate(record.rejections):
        if rejection.shadowed_routes and rejection.errors:
            told = True
            yield _finding(
                record,
                rejection.shadowed_routes,
                rejection.endpoint or record.endpoint,
                subject=f"rejections[{index}]",
            )
    if record.shadowed_routes and not told:
        yield _finding(record, record.shadowed_routes, record.endpoint, subject="route")


def _finding(
    record: RequestRecord,
    shadowed: tuple[tuple[str, Location | None], ...],
    here: Location | None,
    *,
    subject: str,
) -> Finding:
    route, location = shadowed[0]
    meant = f"{location.function} ({location.file})" if location else route
    this = f"{here.function} ({here.file})" if here else record.route
    answer = f" and answered {record.status}" if record.status else ""
    return RULE.finding(
        f"{record.route or record.path} took this request{answer}; {route}, which has this very "
        "URL, is declared later, and the first match wins.",
        location=here,
        fix=Fix(
            summary=f"Declare {meant} before {this}; if they belong to different routers, "
            "include its router first.",
            location=location,
        ),
        evidence={
            "taken_by": record.route,
            "shadowed": [{"route": name, "location": place} for name, place in shadowed],
        },
        cause=route,
        subject=subject,
    )


def _unreached(record: AppRecord) -> Iterator[Finding]:
    taken: defaultdict[int, list[tuple[RouteFact, Overlap]]] = defaultdict(list)
    for route in record.routes:
        for overlap in route.overlaps:
            # What a library declares may be meant to be replaced by what stands in front of it.
            if not overlap.same_path and route.location is not None:
                taken[overlap.route].append((route, overlap))
    for index, routes in taken.items():
        for group in [routes] if len(routes) >= MANY else [[one] for one in routes]:
            yield _at_startup(record.routes[index], group)


def _at_startup(earlier: RouteFact, group: list[tuple[RouteFact, Overlap]]) -> Finding:
    labels = [route.label_for(overlap.methods) for route, overlap in group]
    first = group[0][0]
    others = f" and {len(labels) - 1} more routes are" if len(labels) > 1 else " is"
    kind = "it" if earlier.kind == "mount" else "its path"
    return RULE.finding(
        f"{labels[0]}{others} never reached: {earlier.label} is declared earlier, and {kind} "
        "matches every such URL.",
        location=earlier.location or first.location,
        severity="warning",
        fix=Fix(
            summary=f"Declare {labels[0]} before {earlier.label}; if they belong to different "
            "routers, include its router first.",
            location=first.location,
        ),
        evidence={
            "taken_by": earlier.label,
            "shadowed": [
                {"route": label, "location": route.location}
                for label, (route, _) in zip(labels, group, strict=True)
            ][:20],
            "routes": [earlier.label, *labels[:20]],
        },
        cause=labels[0],
    )
