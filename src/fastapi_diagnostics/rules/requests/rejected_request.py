"""REQ101: validation refused a request; says what was expected, what came, and why."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Rejection, RejectionError, RequestRecord
from fastapi_diagnostics.rules.requests import _words
from fastapi_diagnostics.rules.requests._hints import Hint, hints

SHOWN = 3
"""Errors named in the message; the evidence has all of them."""

RULE = Rule(
    code="REQ101",
    name="rejected-request",
    family="requests",
    severity="warning",
    title="A request was refused by validation",
    what=(
        "Explains a refused request: which value was expected where, what came instead, and the "
        "likely mistake: a key misspelt or at another level, a form sent for JSON, a wrong content "
        "type, a body wrapped or unwrapped, a route that takes another route's URL."
    ),
    why=(
        "The answer names a location and an error type, and seldom the mistake; the cause is often "
        "one character in the client or one line in the endpoint's declaration."
    ),
    example=(
        "class User(BaseModel):\n"
        "    user_name: str\n\n\n"
        'client.post("/users", json={"userName": "ada"})'
    ),
    instead=(
        "class User(BaseModel):\n"
        "    user_name: str\n\n\n"
        'client.post("/users", json={"user_name": "ada"})'
    ),
    limits=(
        "A refusal is often right: without a hint it is only a note.",
        "A close name is a guess from its spelling; the request does not say what was meant.",
        "A body that the endpoint does not declare is never read: only its content type is known.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Explain each refusal of a request."""
    for index, rejection in enumerate(record.rejections):
        if rejection.errors:
            yield _finding(index, rejection, record)


def _finding(index: int, rejection: Rejection, record: RequestRecord) -> Finding:
    found = hints(rejection)
    best = found[0] if found else None
    return RULE.finding(
        _message(rejection, best, record),
        location=rejection.endpoint or record.endpoint,
        severity="warning" if best else "info",
        confidence=best.confidence if best else "proven",
        fix=best.fix if best else _plain_fix(rejection),
        evidence=_evidence(rejection, found),
        cause=_cause(rejection, found),
        subject=f"rejections[{index}]",
    )


def _message(rejection: Rejection, best: Hint | None, record: RequestRecord) -> str:
    where = record.route or f"{record.method} {record.path}"
    outcome = f" with {record.status}" if record.status else ""
    # The hint explains an error; name that one first.
    reasons = [_reason(error, rejection) for error in rejection.errors]
    if best is not None and best.code in _WHOLE_REQUEST:
        reasons = reasons[:1]
    shown = "; ".join(reasons[:SHOWN])
    more = len(rejection.errors) - SHOWN
    if more > 0 and len(reasons) > 1:
        shown += f"; and {more} more"
    hint = f"; {best.text}" if best else ""
    return f"{where} was refused{outcome}: {shown}{hint}."


_WHOLE_REQUEST = frozenset(
    {"broken-json", "double-encoded", "content-type", "form-for-json", "json-for-form", "unwrap"}
)


def _reason(error: RejectionError, rejection: Rejection) -> str:
    place = _words.place(_words.sent_at(error.loc, rejection))
    field = _words.expected_field(error.loc, rejection)
    wanted = f" ({field.type})" if field is not None else ""
    if error.type == "missing":
        return f"{place}{wanted} is missing"
    if error.type == "json_invalid" or error.type.startswith("body_"):
        return "the body cannot be parsed"
    if error.type in _NO_OBJECT and error.came not in _KINDS and field is not None:
        return f"{place} cannot be read as {field.type}"
    text = error.message.rstrip(". ")
    came = _came(error)
    return f"{place}{wanted} came as {came}: {text}" if came else f"{place}{wanted}: {text}"


def _came(error: RejectionError) -> str:
    """Say what came; all that stands in a URL or in a header is text, so its kind says nothing."""
    if error.loc[:1] != ("body",):
        return error.input
    word = _KINDS.get(error.came, "")
    return f"{word} ({error.input})" if word and error.input and word != "null" else word


_NO_OBJECT = frozenset({"model_attributes_type", "model_type", "dataclass_type", "dict_type"})
_KINDS = {
    "null": "null",
    "boolean": "a boolean",
    "number": "a number",
    "string": "a string",
    "object": "an object",
    "array": "an array",
    "UploadFile": "a file",
}


def _plain_fix(rejection: Rejection) -> Fix:
    """Say what a right request looks like, where the mistake itself is not known."""
    error = rejection.errors[0]
    field = _words.expected_field(error.loc, rejection)
    place = _words.place(_words.sent_at(error.loc, rejection))
    kind = f" as {', '.join([field.type, *field.constraints])}" if field is not None else ""
    example = _words.example(rejection)
    shape = " A right request has this shape." if example else ""
    if error.expected and error.type in _LISTED:
        kind = f" as one of {', '.join(error.expected[:10])}"
    return Fix(summary=f"Send {place}{kind}.{shape}", code=example)


def _evidence(rejection: Rejection, found: tuple[Hint, ...]) -> dict[str, object]:
    return {
        "errors": [
            {
                "loc": list(error.loc),
                "type": error.type,
                "message": error.message,
                "input": error.input,
            }
            for error in rejection.errors
        ],
        "hints": [{"code": hint.code, "text": hint.text, "loc": list(hint.loc)} for hint in found],
        "expected": {
            _words.dotted(error.loc): wanted
            for error in rejection.errors
            for wanted in (_expected(error, rejection),)
            if wanted
        },
        "example": _words.example(rejection),
        "content_type": rejection.content_type,
        "expects": rejection.expects,
        "body_kind": rejection.body_kind,
        "body_keys": list(rejection.body_keys),
        "query_keys": list(rejection.query_keys),
        "shadowed": [
            {"route": route, "location": location} for route, location in rejection.shadowed_routes
        ],
    }


def _expected(error: RejectionError, rejection: Rejection) -> str:
    """Say what is declared there, such as ``int, >= 1``; empty where nothing is."""
    field = _words.expected_field(error.loc, rejection)
    if field is None:
        return ""
    values = [f"one of {', '.join(error.expected[:10])}"] if error.type in _LISTED else []
    return ", ".join([field.type, *field.constraints, *values])


_LISTED = frozenset({"enum", "literal_error"})


def _cause(rejection: Rejection, found: tuple[Hint, ...]) -> str:
    """Group by what was wrong, whatever the position in a list."""
    parts = {
        f"{'.'.join(part for part in error.loc if not part.isdigit())}:{error.type}"
        for error in rejection.errors
    }
    codes = {hint.code for hint in found[:1]}
    return ",".join([*sorted(parts), *sorted(codes)])
