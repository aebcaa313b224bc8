"""TASK106: the body of a response broke off when its status had been sent."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import BrokenStream, ExceptionFact, RequestRecord
from fastapi_diagnostics.rules.tasks._words import (
    at,
    error_text,
    exception_evidence,
    function_of,
    status_text,
)

RULE = Rule(
    code="TASK106",
    name="failed-response-stream",
    family="tasks",
    severity="error",
    title="The response broke off in the middle of its body",
    what=(
        "Reports a streamed response whose generator raised after the status had been sent: which "
        "generator, the exception itself (also in a group, or taken for a client that is gone), "
        "and the line that raised."
    ),
    why=(
        "The client got a status that says all is well and then a body that stops. Exception "
        "handlers cannot run any more, background tasks of the response never run, and a client "
        "that does not check the end takes what it has for the whole."
    ),
    example="""\
@app.get("/export")
async def export():
    async def rows():
        for order in await load_orders():
            yield f"{order.id};{order.customer.name}\\n"
    return StreamingResponse(rows())
""",
    instead="""\
@app.get("/export")
async def export():
    orders = await load_orders()

    async def rows():
        for order in orders:
            name = order.customer.name if order.customer else ""
            yield f"{order.id};{name}\\n"
    return StreamingResponse(rows())
""",
    limits=(
        "A client that goes away is no failure and is not reported.",
        "Responses of other libraries that send their body in their own way are not watched.",
    ),
    supersedes=("EXC101",),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield a finding for each body that broke off."""
    for stream in record.broken_streams:
        if stream.exception < len(record.exceptions):
            yield _finding(record, stream, record.exceptions[stream.exception])


def _finding(record: RequestRecord, stream: BrokenStream, error: ExceptionFact) -> Finding:
    body = f"{function_of(error.stack[-1].location)}()" if error.stack else ""
    return RULE.finding(
        f"The response{status_text(record)} broke off because {body or 'its body'} failed with "
        f"{error_text(error)}{at(error.location)}. The status had been sent, so the client got a "
        "body that stops in the middle.",
        location=error.location or record.endpoint,
        fix=Fix(
            summary=(
                "Do what can fail before the response starts, where it can still become an "
                "error. What can fail later belongs in a try inside the generator that ends the "
                "stream in a way the client recognises."
            ),
            code=(
                "try:\n"
                "    yield chunk\n"
                "except Exception:\n"
                '    logger.exception("The stream broke off")\n'
                "    yield ...  # a last item that says so"
            ),
            location=error.location,
        ),
        evidence={
            "task": body.removesuffix("()") or stream.response,
            "exception": exception_evidence(error),
            "after_response": True,
            "response": stream.response,
            "causes": list(error.causes),
            "stack": [frame.location for frame in error.stack],
        },
        cause=error.type,
        subject=f"exceptions[{stream.exception}]",
    )
