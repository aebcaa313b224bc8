"""RES105: what an endpoint returned does not fit its own response model."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import InvalidResponse, RejectionError, RequestRecord
from fastapi_diagnostics.rules._names import nearest

SHOWN = 3
"""Errors named in the message; the evidence has all of them."""

RULE = Rule(
    code="RES105",
    name="invalid-response",
    family="responses",
    severity="error",
    title="What the endpoint returned does not fit its response model",
    what=(
        "Explains a ResponseValidationError: which field of the response model got what instead of "
        "its type, or nothing at all, and the likely reason."
    ),
    why=(
        "The client gets a 500 although the endpoint did its work, and the server's log names "
        "locations in the response but no line of yours."
    ),
    example="""\
class BookOut(BaseModel):
    title: str
    subtitle: str

@app.get("/books/{book_id}", response_model=BookOut)
async def get_book(book_id: int):
    return {"title": "Momo", "subtitle": None}
""",
    instead="""\
class BookOut(BaseModel):
    title: str
    subtitle: str | None

@app.get("/books/{book_id}", response_model=BookOut)
async def get_book(book_id: int):
    return {"title": "Momo", "subtitle": None}
""",
    limits=(
        "The line is that of the endpoint: which of its statements made the value is not known.",
    ),
    supersedes=("EXC101", "TASK106"),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Explain each response that its own model refused."""
    for invalid in record.invalid_responses:
        if invalid.errors and not _was_handled(record):
            yield _finding(invalid, record)


def _was_handled(record: RequestRecord) -> bool:
    """The application answered it below 500, and so took it into account."""
    return record.kind == "http" and record.status is not None and 400 <= record.status < 500  # noqa: PLR2004 - client errors


def _finding(invalid: InvalidResponse, record: RequestRecord) -> Finding:
    who = f"{invalid.endpoint.function}()" if invalid.endpoint else record.route or record.path
    reasons = [_reason(error) for error in invalid.errors]
    shown = "; ".join(dict.fromkeys(reasons[:SHOWN]))
    more = f"; and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
    model = f" {invalid.model}" if invalid.model else ""
    return RULE.finding(
        f"{who} returned what its response model{model} refuses{_outcome(record)}: {shown}{more}.",
        location=invalid.endpoint or record.endpoint,
        fix=_fix(invalid),
        evidence={
            "response_model": invalid.model,
            "errors": [
                {
                    "loc": list(error.loc),
                    "type": error.type,
                    "message": error.message,
                    "input": error.input,
                    "value_type": error.came,
                }
                for error in invalid.errors
            ],
        },
        cause=",".join(sorted({f"{_path(error)}:{error.type}" for error in invalid.errors})),
        subject=f"exceptions[{invalid.exception}]",
    )


def _outcome(record: RequestRecord) -> str:
    if record.status is None or record.status < 500:  # noqa: PLR2004 - the stream had begun
        return ""
    return f", so the client got a {record.status}"


def _reason(error: RejectionError) -> str:
    path = _path(error)
    if not path:
        return f"it returned {_type(error)}: {error.message[:1].lower()}{error.message[1:]}"
    if error.type == "missing":
        near = nearest(error.loc[-1], error.keys)
        close = f", and {near} was returned, which is close to it" if near else ""
        return f"{path} is missing{close}"
    value = f" ({error.input})" if error.input and error.came != "NoneType" else ""
    return f"{path} is {_type(error)}{value}: {error.message[:1].lower()}{error.message[1:]}"


def _type(error: RejectionError) -> str:
    return "None" if error.came == "NoneType" else f"a value of type {error.came}"


def _fix(invalid: InvalidResponse) -> Fix:
    error = invalid.errors[0]
    path, key = _path(error), error.loc[-1] if error.loc else ""
    model = invalid.model or "the response model"
    if not path and error.came == "NoneType":
        return Fix(
            summary="Raise HTTPException(404) where nothing was found; or declare that the answer "
            "may be null.",
            code='raise HTTPException(404, "There is no such ...")',
            location=invalid.endpoint,
        )
    if error.came == "coroutine":
        return Fix(
            summary="Put `await` before the call that gives it; an endpoint that is a plain `def` "
            "has to become `async def` for that.",
        )
    if error.type == "missing":
        near = nearest(key, error.keys)
        if near:
            return Fix(summary=f"Return it as {key} instead of {near}.", code=f'"{key}": ...')
        return Fix(
            summary=f"Return {path}, or give it a default in {model}.",
            code=f"{key}: ... | None = None",
        )
    if error.came == "NoneType":
        return Fix(
            summary=f"Let {path} be null in {model}, or see to it that it has a value.",
            code=f"{key}: {_DECLARED.get(error.type, '...')} | None",
        )
    what = path or "the value"
    return Fix(summary=f"Return {what} as {model} declares it, or declare what is returned.")


_DECLARED = {
    "string_type": "str",
    "int_type": "int",
    "float_type": "float",
    "bool_type": "bool",
    "bytes_type": "bytes",
    "decimal_type": "Decimal",
    "date_type": "date",
    "datetime_type": "datetime",
    "list_type": "list[...]",
    "dict_type": "dict[...]",
}
"""What a field is declared as, by the error type that a ``None`` in it gives."""


def _path(error: RejectionError) -> str:
    text = ""
    for part in error.loc:
        text += "[]" if part.isdigit() else f"{'.' if text else ''}{part}"
    return text
