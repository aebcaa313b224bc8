"""EXC101: an exception that nobody handled became a server error."""

import json
from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import ExceptionFact, Location, RequestRecord
from fastapi_diagnostics.rules._known_errors import known_fix

SERVER_ERROR = 500
"""Status codes from here on tell the client that the server is at fault (RFC 9110, 15.6)."""

_ELSEWHERE = frozenset({"response", "background", "teardown", "outside"})
"""Phases whose failures other rules name: the answer had gone out by then."""
_OUTSIDE = frozenset({"middleware", "response"})
"""Phases in which a middleware may run."""
_NO_DEFECT = frozenset(
    {
        "asyncio.exceptions.CancelledError",
        "fastapi.exceptions.RequestValidationError",
        "fastapi.exceptions.WebSocketRequestValidationError",
        "fastapi.exceptions.WebSocketException",
        "starlette.exceptions.WebSocketException",
        "starlette.requests.ClientDisconnect",
        "starlette.websockets.WebSocketDisconnect",
        "uvicorn.protocols.utils.ClientDisconnected",
    }
)

_VALIDATION = frozenset({"pydantic_core._pydantic_core.ValidationError"})
"""Raised by models that the application itself makes; FastAPI's own have other names."""

RULE = Rule(
    code="EXC101",
    name="unhandled-exception",
    family="requests",
    severity="error",
    title="An exception reached the server as a 5xx",
    what=(
        "Reports an exception that left the application without being turned into an answer below "
        "500, with the innermost line of your code that it passed, the exceptions it came from, "
        "and the members of a group. An HTTPException is one where it was raised in a middleware, "
        "outside of what answers it."
    ),
    why=(
        "The client learns nothing it could act upon, the connection may be closed, and whatever "
        "the endpoint was to do is half done."
    ),
    example=(
        '@app.get("/parcels/{number}")\n'
        "async def parcel(number: int) -> str:\n"
        "    return PLACES[number]  # KeyError for an unknown number"
    ),
    instead=(
        '@app.get("/parcels/{number}")\n'
        "async def parcel(number: int) -> str:\n"
        "    place = PLACES.get(number)\n"
        "    if place is None:\n"
        '        raise HTTPException(404, "There is no such parcel.")\n'
        "    return place"
    ),
    limits=(
        "What your middleware catches and answers is reported only if a route let it pass before.",
        "The line is the innermost one of your code; the cause may lie before it.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find the exceptions that became server errors."""
    if record.kind not in {"http", "websocket"}:
        return
    if record.kind == "http" and record.status is not None and record.status < SERVER_ERROR:
        return
    of_tasks = {task.exception for task in record.tasks}
    for index, fact in enumerate(record.exceptions):
        is_defect = _is_defect(fact) or _is_outside(fact, record)
        if index not in of_tasks and is_defect and not _is_told_by_another(index, record):
            yield _finding(index, fact, record)


def _is_defect(fact: ExceptionFact) -> bool:
    if fact.status is not None or fact.type in _NO_DEFECT:
        return False
    if fact.phase == "response":  # before FastAPI 0.118 a teardown comes before the answer
        return not fact.answered
    return fact.phase not in _ELSEWHERE


def _is_outside(fact: ExceptionFact, record: RequestRecord) -> bool:
    """Tell whether an HTTPException was raised where nothing turns it into its answer."""
    return (
        fact.status is not None
        and fact.status < SERVER_ERROR == record.status
        and fact.phase in _OUTSIDE
        and fact.location is not None
        and not fact.raised_by_handler
    )


def _is_told_by_another(index: int, record: RequestRecord) -> bool:
    """One failure, one finding: what was raised from this one stands for it, as does a member."""
    this = record.exceptions[index]
    line = _line(this)
    later = record.exceptions[index + 1 :]
    if any(line in fact.causes for fact in later):
        return True
    if record.rejections and this.raised_by_handler and this.location is this.raised_in is None:
        return True  # FastAPI's own handler could not quote what was refused
    if this.handler is not None and any(f.handler is None and f.status is None for f in later):
        return True  # its handler answered, and then something else failed
    return any(_line(fact) in this.members for fact in record.exceptions)


def _finding(index: int, fact: ExceptionFact, record: RequestRecord) -> Finding:
    member = _failed_member(fact)
    location = member or fact.location or record.endpoint
    evidence = {
        "exception": {"type": fact.type, "message": fact.message, "location": fact.location},
        "causes": fact.causes,
        "members": fact.members,
        "member_locations": fact.member_locations,
        "stack": fact.stack,
        "phase": fact.phase,
        "handler": fact.handler,
    }
    if fact.location is None:
        evidence["no_user_frame"] = "No line of your code was running; the endpoint stands for it."
    return RULE.finding(
        _message(fact, record),
        location=location,
        fix=_fix(fact, location),
        evidence=evidence,
        cause=fact.type,
        subject=f"exceptions[{index}]",
    )


def _message(fact: ExceptionFact, record: RequestRecord) -> str:
    where = record.route or f"{record.method} {record.path}"
    outcome = "ended" if record.status is None else f"was answered with {record.status}"
    if record.kind == "websocket":
        outcome = "broke off"
    text = f"{where} {outcome} because {_named(fact)}"
    if fact.raised_by_handler:
        text += ", raised by an exception handler while it handled another exception"
    elif fact.type in _VALIDATION and fact.location is not None:
        text += "; this came of data that your own code validated, not of the request's validation"
    elif fact.handler is not None:
        text += f", which the handler {fact.handler} turned into that answer"
    if fact.members:
        text += f"; it is a group of {len(fact.members)}: {'; '.join(fact.members[:3])}"
        member = _failed_member(fact)
        text += f", raised in {member.function}" if member is not None else ""
    if fact.causes:
        text += f"; it came of {fact.causes[-1]}"
    return f"{text}."


def _failed_member(fact: ExceptionFact) -> Location | None:
    """Find where the first member of a group was raised: a task group only passes it on."""
    return next((place for place in fact.member_locations if place is not None), None)


def _named(fact: ExceptionFact) -> str:
    short = fact.type.rpartition(".")[2]
    message = fact.message.partition("\n")[0].rstrip(". ")
    verb = "was raised" if fact.location is None else f"was raised in {fact.location.function}"
    return f"{short}{f' ({message})' if message else ''} {verb}"


def _fix(fact: ExceptionFact, location: Location | None) -> Fix:
    if fact.status is not None:
        return _return_it(fact)
    known = None if fact.raised_by_handler else known_fix(fact)
    return Fix(summary=_advice(fact), location=location) if known is None else known


def _return_it(fact: ExceptionFact) -> Fix:
    detail = json.dumps(fact.message.partition(": ")[2], ensure_ascii=False)
    response = f'JSONResponse({{"detail": {detail}}}, status_code={fact.status})'
    function = fact.location.function.rpartition(".")[2] if fact.location else ""
    code = f"return {response}"
    if function == "__call__":  # plain ASGI: what it returns goes nowhere
        code = f"await {response}(scope, receive, send)\nreturn"
    functions = {frame.location.function for frame in fact.stack}
    return Fix(
        summary="What answers an HTTPException stands inside of all middleware: answer it yourself "
        "there, or raise it in a dependency.",
        code=code if len(functions) <= 1 else "",  # what a helper returns is no answer
        location=fact.location,
    )


def _advice(fact: ExceptionFact) -> str:
    short = fact.type.rpartition(".")[2]
    if fact.raised_by_handler:
        return f"Mend the exception handler: it must answer and must not raise {short} itself."
    if fact.type in _VALIDATION:
        return (
            "Validate what comes from outside in the endpoint's parameters, where FastAPI answers "
            "422; here, catch ValidationError and answer it, or mend the data."
        )
    if fact.type == "fastapi.exceptions.ResponseValidationError":
        return "Return what the response model declares, or declare what is returned."
    members = zip(fact.members, fact.member_locations, strict=False)
    failed = next((text.partition(":")[0] for text, place in members if place is not None), "")
    short = failed.rpartition(".")[2] or short  # the line is the member's, not the group's
    return (
        f"Prevent {short} at this line, or answer it there: raise an HTTPException with the status "
        "that the client should see."
    )


def _line(fact: ExceptionFact) -> str:
    return f"{fact.type}: {fact.message}"
