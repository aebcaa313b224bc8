"""EXC102: an exception handler raised an exception itself."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import ExceptionFact, RequestRecord

SERVER_ERROR = 500
"""Status codes from here on tell the client that the server is at fault (RFC 9110, 15.6)."""

RULE = Rule(
    code="EXC102",
    name="failed-exception-handler",
    family="requests",
    severity="error",
    title="An exception handler raised an exception itself",
    what=(
        "Finds exceptions that were raised by one of the application's exception handlers while "
        "it was to turn another exception into an answer."
    ),
    why=(
        "The client gets a bare 500 instead of the answer that the handler was written for, and "
        "the exception that it should have handled is buried in the log below the handler's own."
    ),
    example=(
        "@app.exception_handler(OutOfStock)\n"
        "async def out_of_stock(request: Request, error: OutOfStock) -> JSONResponse:\n"
        '    return JSONResponse({"title": error.title}, 409)  # OutOfStock has no title'
    ),
    instead=(
        "@app.exception_handler(OutOfStock)\n"
        "async def out_of_stock(request: Request, error: OutOfStock) -> JSONResponse:\n"
        '    return JSONResponse({"title": error.book.title}, 409)'
    ),
    limits=(
        (
            "A handler may raise an HTTPException, or an exception that has a handler of its own: "
            "that is no defect where an answer below 500 came of it."
        ),
        "Of middleware that answers for exceptions nothing is known here.",
    ),
    supersedes=("EXC101",),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find the exceptions that handlers raised."""
    for index, fact in enumerate(record.exceptions):
        if fact.raised_by_handler and _is_users(fact) and not _was_answered(fact, record):
            yield _finding(index, fact, record)


def _is_users(fact: ExceptionFact) -> bool:
    """FastAPI's own handler fails, too: on a refused body that it cannot quote in its answer."""
    return fact.raised_in is not None or fact.location is not None


def _was_answered(fact: ExceptionFact, record: RequestRecord) -> bool:
    """Another handler took over, or an HTTPException got the answer that it asked for."""
    if record.status is None or record.kind != "http":
        return False
    return record.status < SERVER_ERROR or record.status == fact.status


def _finding(index: int, fact: ExceptionFact, record: RequestRecord) -> Finding:
    short = fact.type.rpartition(".")[2]
    handled = fact.causes[0] if fact.causes else "another exception"
    handler = fact.raised_in
    name = f"the handler {handler.function}()" if handler else "an exception handler"
    told = fact.message.partition("\n")[0].rstrip(". ")
    outcome = (
        f" {record.route or record.path} was answered with {record.status}."
        if (record.status)
        else ""
    )
    return RULE.finding(
        f"{name[0].upper()}{name[1:]} raised {short}{f' ({told})' if told else ''} while it "
        f"handled {handled.rstrip('. ')}.{outcome}",
        location=fact.location or handler,
        fix=Fix(
            summary=f"Mend the handler: it must answer and must not raise {short} itself. Then "
            f"see to {handled.partition(':')[0].rpartition('.')[2]}.",
            location=fact.location or handler,
        ),
        evidence={
            "exception": {"type": fact.type, "message": fact.message, "location": fact.location},
            "handled": handled,
            "causes": fact.causes,
            "handler": handler,
            "stack": fact.stack,
        },
        cause=fact.type,
        subject=f"exceptions[{index}]",
    )
