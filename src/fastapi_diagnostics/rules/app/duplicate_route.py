"""APP107: two routes with the same path and method, or with the same operation id."""

from collections import defaultdict
from collections.abc import Iterator

from fastapi_diagnostics.app_record import AppRecord, Overlap, RouteFact
from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.rules.app._words import listed, place_of

RULE = Rule(
    code="APP107",
    name="duplicate-route",
    family="app",
    severity="warning",
    title="Two routes have the same path and method, or the same operation id",
    what=(
        "Finds routes that can never be reached because an earlier one has the same path and "
        "method, and routes that share an operation id in the schema. REQ102 is for different "
        "paths of which the earlier one takes the other's URLs."
    ),
    why=(
        "The first route that matches wins: changes to the other one have no effect, while the "
        "schema shows that other one. With one operation id for two operations the schema is "
        "invalid, and generated clients lose one of them."
    ),
    example=(
        '@app.get("/books")\nasync def books(): ...\n\n\n'
        '@app.get("/books")  # never reached\nasync def list_books(): ...'
    ),
    instead=(
        '@app.get("/books")\nasync def books(): ...\n\n\n'
        '@app.get("/books/all")\nasync def list_books(): ...'
    ),
    limits=("Routes of libraries that the application puts its own in front of are left alone.",),
    subjects=("application",),
)


def check(record: AppRecord) -> Iterator[Finding]:
    """Find routes that are never reached, then those that share an id."""
    unreached: set[int] = set()
    for route in record.routes:
        for overlap in route.overlaps:
            if overlap.same_path and route.location is not None:
                unreached.add(route.index)
                yield _unreached(route, record.routes[overlap.route], overlap)
    yield from _same_ids([one for one in record.routes if one.index not in unreached])


def _unreached(route: RouteFact, first: RouteFact, overlap: Overlap) -> Finding:
    label = route.label_for(overlap.methods)
    included = route.location == first.location and route.name == first.name
    message = (
        f"{label} is declared twice with the same function, {route.name}: its router is probably "
        "included twice. Only the first one is ever used."
        if included
        else f"{label} of {place_of(route)} is never reached: {place_of(first)} has the same path "
        "and is declared earlier."
    )
    return RULE.finding(
        message,
        location=route.location,
        severity="info" if included else "warning",
        fix=Fix(
            summary="Include the router once."
            if included
            else "Remove one of the two, or give it another path or method.",
            location=route.location,
        ),
        evidence={
            "route": label,
            "routes": [label],
            "taken_by": first.label,
            "first": first.location,
        },
        cause=label,
    )


def _same_ids(routes: list[RouteFact]) -> Iterator[Finding]:
    groups: defaultdict[str, list[RouteFact]] = defaultdict(list)
    for route in routes:
        if route.operation_id:
            groups[route.operation_id].append(route)
    for identity, sharing in groups.items():
        later = next((one for one in sharing[1:] if one.location is not None), None)
        if later is not None:
            yield _same_id(identity, later, sharing)


def _same_id(identity: str, route: RouteFact, sharing: list[RouteFact]) -> Finding:
    labels = [one.label for one in sharing]
    origin = "is written at" if route.explicit_id else "was made for"
    return RULE.finding(
        f"The operation id {identity} {origin} {listed(labels)}: in the schema each operation "
        "needs its own, and generated clients keep only one of these.",
        location=route.location,
        fix=Fix(
            summary="Give each operation its own id."
            if route.explicit_id
            else "Let generate_unique_id_function take path or tag into the id, or rename one of "
            "the functions.",
            location=route.location,
        ),
        evidence={"operation_id": identity, "routes": labels[:20], "first": sharing[0].location},
        cause=identity,
    )
