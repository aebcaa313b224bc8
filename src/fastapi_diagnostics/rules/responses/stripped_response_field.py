"""RES101: the endpoint returned a field that its response model does not declare."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, RequestRecord, ResponseDiff, StrippedField

MAX_PATHS_IN_MESSAGE = 6
MAX_FIELDS_IN_FIX = 4

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
            "extra='allow', and unions of several models are passed over."
        ),
        "Fields with secret-looking names are listed on the request as protected, and never here.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for the written keys and one note for the rest of each response."""
    for diff in record.response_diffs:
        shown = [field for field in diff.fields if not field.secret and not field.relationship]
        written = [field for field in shown if field.source == "dict" and field.written_in]
        rest = [field for field in shown if field not in written]
        if written:
            yield _written(record, diff, written)
        if rest:
            yield _rest(record, diff, rest)


def _written(record: RequestRecord, diff: ResponseDiff, fields: list[StrippedField]) -> Finding:
    place = _place(diff, fields)
    return RULE.finding(
        f"{_endpoint(record, diff)} returns {_listed(fields)}{_by(diff, place)}, but "
        f"{_models(fields)} {_does_not(fields)} declare {_them(fields)}: FastAPI removed "
        f"{_them(fields)} and clients never receive {_them(fields)}.{_remarks(fields)}",
        location=place,
        anchors=tuple(dict.fromkeys(_key(field) for field in fields if _at(field, place))),
        fix=_fix(fields),
        evidence=_evidence(diff, fields),
        cause=diff.model,
    )


def _rest(record: RequestRecord, diff: ResponseDiff, fields: list[StrippedField]) -> Finding:
    owners = ", ".join(dict.fromkeys(_owner(field) for field in fields))
    return RULE.finding(
        f"{_endpoint(record, diff)} returned {owners} with {_listed(fields)}, which "
        f"{_models(fields)} {_does_not(fields)} declare: clients never receive {_them(fields)}."
        f"{_remarks(fields)} If that is what the response model is for, nothing is wrong here.",
        location=diff.endpoint,
        severity="info",
        fix=_fix(fields),
        evidence=_evidence(diff, fields),
        cause=f"{diff.model} from {owners}",
    )


def _place(diff: ResponseDiff, fields: list[StrippedField]) -> Location | None:
    """Take the endpoint where it wrote one of the keys, else the function that did."""
    places = [field.written_in for field in fields]
    return diff.endpoint if diff.endpoint in places else places[0]


def _by(diff: ResponseDiff, place: Location | None) -> str:
    return "" if place is None or place == diff.endpoint else f", written in {place.function}()"


def _at(field: StrippedField, place: Location | None) -> bool:
    return field.written_in == place


def _evidence(diff: ResponseDiff, fields: list[StrippedField]) -> dict[str, object]:
    return {
        "paths": [field.path for field in fields],
        "response_model": diff.model,
        "fields": [
            {
                "path": field.path,
                "source": field.source,
                "owner": field.owner,
                "model": field.model,
                "type": field.type_name,
                "count": field.count,
                "near": field.near,
            }
            for field in fields
        ],
    }


def _fix(fields: list[StrippedField]) -> Fix:
    first = fields[0]
    same = [field for field in fields if (field.model_module, field.model) == _model(first)]
    names = list(dict.fromkeys(_key(field) for field in same))
    if first.near is not None:
        return Fix(
            summary=f"Return it under the declared name `{first.near}` instead of "
            f"`{_key(first)}`, or declare `{_key(first)}` in {first.model}.",
        )
    head = f"class {first.model}({first.model_bases}):" if first.model_bases else ""
    lines = [
        f"    {_key(field)}: {field.type_name or 'Any'}"
        for field in same[:MAX_FIELDS_IN_FIX]
        if _key(field).isidentifier()
    ]
    known = f" ({first.model_module})" if first.model_module else ""
    return Fix(
        summary=(
            f"Declare {_ticked(names)} in {first.model}{known}, or stop returning "
            f"{'it' if len(names) == 1 else 'them'}."
            if first.source == "dict"
            else f"Declare in {first.model}{known} what clients are to get of {_ticked(names)}."
        ),
        code="\n".join([head or f"class {first.model}:", "    ...", *lines]) if lines else "",
    )


def _model(field: StrippedField) -> tuple[str, str]:
    return field.model_module, field.model


def _endpoint(record: RequestRecord, diff: ResponseDiff) -> str:
    if diff.endpoint is not None:
        return f"{diff.endpoint.function}()"
    return f"The endpoint of {record.route or record.path}"


def _listed(fields: list[StrippedField]) -> str:
    return _ticked([field.path for field in fields], MAX_PATHS_IN_MESSAGE)


def _ticked(names: list[str], limit: int = MAX_FIELDS_IN_FIX) -> str:
    shown = [f"`{name}`" for name in names[:limit]]
    if len(names) > limit:
        shown.append(f"{len(names) - limit} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _models(fields: list[StrippedField]) -> str:
    names = list(dict.fromkeys(field.model for field in fields))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _does_not(fields: list[StrippedField]) -> str:
    return "do not" if len({field.model for field in fields}) > 1 else "does not"


def _them(fields: list[StrippedField]) -> str:
    return "it" if len(fields) == 1 else "them"


def _remarks(fields: list[StrippedField]) -> str:
    close = [field for field in fields if field.near is not None]
    return "".join(
        f" The declared field `{field.near}`, close in name to `{_key(field)}`, got no value."
        for field in close
    )


def _key(field: StrippedField) -> str:
    return field.path.rpartition(".")[2]


def _owner(field: StrippedField) -> str:
    if field.source == "dict":
        return "a dict"
    article = "an" if field.owner[:1] in "AEIOU" else "a"
    return f"{article} {field.owner}"
