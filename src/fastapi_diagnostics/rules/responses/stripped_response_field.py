"""RES101: the endpoint returned a field that its response model does not declare."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import RequestRecord, ResponseDiff, StrippedField
from fastapi_diagnostics.rules.responses import _words

RULE = Rule(
    code="RES101",
    name="stripped-response-field",
    family="responses",
    severity="warning",
    title="A returned field is not in the response model, so clients never receive it",
    what=(
        "Compares what the endpoint returned with what went out and reports the fields that the "
        "response model does not declare. It is a warning where your code wrote the key of a dict "
        "itself, and a note for other objects, whose further attributes are often meant to stay "
        "behind."
    ),
    why=(
        "FastAPI filters silently: status 200, no log line, and the field is missing at the "
        "client. The mistake is found far away, usually in the frontend."
    ),
    example="""\
class BookOut(BaseModel):
    title: str

@app.get("/books/{book_id}", response_model=BookOut)
async def get_book(book_id: int):
    return {"title": "Momo", "margin": 0.4}
""",
    instead="""\
class BookOut(BaseModel):
    title: str
    margin: float

@app.get("/books/{book_id}", response_model=BookOut)
async def get_book(book_id: int):
    return {"title": "Momo", "margin": 0.4}
""",
    limits=(
        (
            "Long lists are sampled: the first four items and the last one; of each kind of "
            "response the first 25 are looked at, then one in ten."
        ),
        (
            "Models with a validator of mode before or wrap, with their own serialiser or with "
            "extra='allow' are passed over; of a union, what no member declares is named, unless "
            "the class of the object or a tag tells the member."
        ),
        "Fields with secret-looking names are listed on the request as protected, and never here.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for the written keys and one note for the rest of each response."""
    for diff in record.response_diffs:
        shown = [
            field
            for field in diff.fields
            if not field.secret and not field.relationship and field.near is None
        ]
        written = [field for field in shown if field.source == "dict" and field.written_in]
        rest = [field for field in shown if field not in written]
        if written:
            yield _written(record, diff, written)
        if rest:
            yield _rest(record, diff, rest)


def _written(record: RequestRecord, diff: ResponseDiff, fields: list[StrippedField]) -> Finding:
    place = _words.place(diff, fields)
    them = _words.them(fields)
    by = _words.written_by(diff, place)
    return RULE.finding(
        f"{_who(record, diff)} returns {_words.listed(fields)}{by}, but {_words.models(fields)} "
        f"{_words.does_not(fields)} declare {them}: FastAPI removed {them} and clients never "
        f"receive {them}.",
        location=place,
        anchors=_words.anchors(fields, place),
        fix=_fix(fields),
        evidence=_evidence(diff, fields, "the endpoint's own code wrote the key"),
        cause=diff.model,
    )


def _rest(record: RequestRecord, diff: ResponseDiff, fields: list[StrippedField]) -> Finding:
    owners = ", ".join(dict.fromkeys(_words.owner(field) for field in fields))
    reason = _reason(fields)
    return RULE.finding(
        f"{_who(record, diff)} returned {owners} with {_words.listed(fields)}, which "
        f"{_words.models(fields)} {_words.does_not(fields)} declare: clients never receive "
        f"{_words.them(fields)}. {reason}.",
        location=diff.endpoint,
        severity="info",
        fix=_fix(fields),
        evidence=_evidence(diff, fields, reason),
        cause=f"{diff.model} from {owners}",
    )


def _who(record: RequestRecord, diff: ResponseDiff) -> str:
    name = _words.endpoint(record, diff.endpoint)
    return name[0].upper() + name[1:] if diff.endpoint is None else name


def _reason(fields: list[StrippedField]) -> str:
    if all(field.subclass for field in fields):
        return (
            "A class derived from the response model was returned, which is a way to hold fields "
            "back on purpose; then nothing is wrong here"
        )
    return "If that is what the response model is for, nothing is wrong here"


def _evidence(diff: ResponseDiff, fields: list[StrippedField], reason: str) -> dict[str, object]:
    return {**_words.evidence(diff, fields), "reason": reason}


def _fix(fields: list[StrippedField]) -> Fix:
    first = fields[0]
    model = (first.model_module, first.model)
    same = [field for field in fields if (field.model_module, field.model) == model]
    names = list(dict.fromkeys(_words.key(field) for field in same))
    known = _words.known_as(first)
    return Fix(
        summary=(
            f"Declare {_words.ticked(names)} in {known}, or stop returning "
            f"{'it' if len(names) == 1 else 'them'}."
            if first.source == "dict"
            else f"Declare in {known} what clients are to get of {_words.ticked(names)}."
        ),
        code=_words.declaration(same),
    )
