"""APP101: a handler for `fastapi.HTTPException` never sees the router's own 404 and 405."""

from collections.abc import Iterator

from fastapi_diagnostics.app_record import AppRecord, HandlerFact
from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import BypassedHandler, Location, RequestRecord

RULE = Rule(
    code="APP101",
    name="router-http-exception-unhandled",
    family="app",
    severity="warning",
    title="A handler for fastapi.HTTPException does not see the router's 404 and 405",
    what=(
        "Finds applications whose own exception handler is registered for FastAPI's "
        "HTTPException while Starlette's, of which that is a subclass, is left to the default; "
        "when they start, and when a request is answered in the default form for that reason."
    ),
    why=(
        "The router raises Starlette's HTTPException when no path or no method matches. A handler "
        "for the subclass does not take it, so these answers have another shape than all the "
        "others that clients get, and whatever the handler logs or counts misses them."
    ),
    example=(
        "from fastapi import HTTPException\n\n\n"
        "@app.exception_handler(HTTPException)\n"
        "async def as_problem(request, error):\n"
        "    return JSONResponse({'problem': error.detail}, error.status_code)"
    ),
    instead=(
        "from starlette.exceptions import HTTPException as StarletteHTTPException\n\n\n"
        "@app.exception_handler(StarletteHTTPException)\n"
        "async def as_problem(request, error):\n"
        "    return JSONResponse({'problem': error.detail}, error.status_code)"
    ),
    limits=(
        "Whether the default form is wanted for these answers, nobody but the application knows.",
        "Only handlers of the application are seen, not what a middleware makes of an answer.",
    ),
    subjects=("request", "application"),
)

OURS = "fastapi.exceptions.HTTPException"
STARLETTES = "starlette.exceptions.HTTPException"
ROUTER = {"404": "404 for an unknown path", "405": "405 for a wrong method"}
_IMPORT = "from starlette.exceptions import HTTPException as StarletteHTTPException"


def check(record: RequestRecord | AppRecord) -> Iterator[Finding]:
    """Find handlers that the router's exceptions pass by, or did pass by."""
    if isinstance(record, AppRecord):
        for application in dict.fromkeys(one.application for one in record.handlers):
            yield from _of_application(record, application)
        return
    for bypassed in record.bypassed_handlers:
        yield _bitten(record, bypassed)


def _of_application(record: AppRecord, application: str) -> Iterator[Finding]:
    handlers = {one.handles: one for one in record.handlers if one.application == application}
    ours, theirs = handlers.get(OURS), handlers.get(STARLETTES)
    if ours is None or ours.builtin or (theirs is not None and not theirs.builtin):
        return
    left = [text for status, text in ROUTER.items() if status not in handlers]
    if left and ours.location is not None:
        yield _at_startup(ours, left)


def _at_startup(handler: HandlerFact, left: list[str]) -> Finding:
    where = f" of the application at {handler.application}" if handler.application else ""
    return _finding(
        f"{handler.name}{where} is registered for fastapi.HTTPException only. The router's own "
        f"{' and '.join(left)} are starlette.exceptions.HTTPException, which is its base class: "
        "they never reach this handler and are answered in FastAPI's default form.",
        handler.name,
        handler.location,
    )


def _bitten(record: RequestRecord, bypassed: BypassedHandler) -> Finding:
    return _finding(
        f"{record.method} {record.path} was answered with {record.status} in FastAPI's default "
        f"form: {bypassed.name} is registered for fastapi.HTTPException only, and the router "
        "raises starlette.exceptions.HTTPException, which is its base class.",
        bypassed.name,
        bypassed.location,
    )


def _finding(message: str, name: str, location: Location | None) -> Finding:
    return RULE.finding(
        message,
        location=location,
        fix=Fix(
            summary="Register it for Starlette's HTTPException, which covers FastAPI's as well.",
            code=f"{_IMPORT}\n\n@app.exception_handler(StarletteHTTPException)",
            location=location,
        ),
        evidence={"handler": name, "registered_for": OURS, "raised": STARLETTES},
        cause=OURS,
    )
