"""REQ102: a route declared earlier took a URL that a later one spells out."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, RequestRecord

RULE = Rule(
    code="REQ102",
    name="shadowed-route",
    family="requests",
    severity="error",
    title="Another route that is declared earlier takes this URL",
    what=(
        "Finds requests that were refused or answered with an error by a route with a parameter "
        "in its path, where a route that is declared later has the very word of the URL in that "
        "place."
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
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find the route that should have served each refused request."""
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
