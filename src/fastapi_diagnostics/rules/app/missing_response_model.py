"""APP106: a route whose answer is declared nowhere."""

from collections.abc import Iterator

from fastapi_diagnostics.app_record import AppRecord, RouteFact
from fastapi_diagnostics.finding import Finding, Fix, Rule

RULE = Rule(
    code="APP106",
    name="missing-response-model",
    family="app",
    severity="info",
    title="A route declares nowhere what it answers",
    what=(
        "Finds JSON routes in the schema that have neither a response_model nor a return "
        "annotation. Off unless selected: many applications do without on purpose."
    ),
    why=(
        "Without one nothing is validated or left out, so whatever an object holds is sent, and "
        "clients made from the schema get no type for the answer."
    ),
    example='@app.get("/books/{id}")\nasync def book(id: int):\n    return await load(id)',
    instead=(
        '@app.get("/books/{id}")\nasync def book(id: int) -> BookOut:\n    return await load(id)'
    ),
    limits=("Routes that return a response object, a stream or nothing are left alone.",),
    selected=False,
    subjects=("application",),
)


def check(record: AppRecord) -> Iterator[Finding]:
    """Yield one finding for each such route."""
    for route in record.routes:
        if route.operation_id and route.response_model is None and not route.answers_itself:
            yield _finding(route)


def _finding(route: RouteFact) -> Finding:
    return RULE.finding(
        f"{route.label} has neither a response_model nor a return annotation: what {route.name} "
        "returns is sent as it is, and the schema says nothing of it.",
        location=route.location,
        fix=Fix(
            summary="Annotate what the endpoint returns, or give the route a response_model.",
            location=route.location,
        ),
        evidence={"route": route.label, "routes": [route.label]},
        cause=route.label,
    )
