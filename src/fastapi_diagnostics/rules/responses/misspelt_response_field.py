"""RES103: a value was returned under a name close to a declared one, which went out empty."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import RequestRecord, ResponseDiff, StrippedField
from fastapi_diagnostics.rules.responses import _words

RULE = Rule(
    code="RES103",
    name="misspelt-response-field",
    family="responses",
    severity="warning",
    title="A value was returned under the wrong name, and the declared field went out empty",
    what=(
        "Finds a key or attribute that the response model does not declare and whose name differs "
        "from a declared field by one slip of the keys, by case or by underscores, where that "
        "declared field got no value in the same response."
    ),
    why=(
        "The field has a default, so nothing complains: clients receive null or the default for "
        "ever, and the value that was computed for it is thrown away."
    ),
    example="""\
class UserOut(BaseModel):
    name: str
    email: str | None = None

@app.get("/users/{user_id}", response_model=UserOut)
async def get_user(user_id: int):
    return {"name": "Ada", "emial": "ada@example.org"}
""",
    instead="""\
class UserOut(BaseModel):
    name: str
    email: str | None = None

@app.get("/users/{user_id}", response_model=UserOut)
async def get_user(user_id: int):
    return {"name": "Ada", "email": "ada@example.org"}
""",
    limits=(
        (
            "A close name is a guess from its spelling; only names that differ in nothing but "
            "case, hyphens and underscores are certain."
        ),
        "Names of fewer than four letters are too alike to say anything.",
        "A required field that got no value is an error of its own (RES105).",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each misspelt name of each response."""
    for diff in record.response_diffs:
        for field in diff.fields:
            if field.near is not None and not field.secret and not field.relationship:
                yield _finding(record, diff, field)


def _finding(record: RequestRecord, diff: ResponseDiff, field: StrippedField) -> Finding:
    place = _words.place(diff, [field])
    key, near = _words.key(field), str(field.near)
    same = _plain(key) == _plain(near)
    by = _words.written_by(diff, place)
    return RULE.finding(
        f"{_words.endpoint(record, diff.endpoint)} returned {_words.owner(field)} with "
        f"`{field.path}`{by}, but {field.model} declares `{near}`: that field got no value, and "
        f"`{key}` was removed.",
        location=place,
        confidence="proven" if same else "likely",
        anchors=_words.anchors([field], place) if field.written_in is not None else (),
        fix=Fix(
            summary=f"Return it as `{near}`, or declare `{key}` in {_words.known_as(field)}."
            if field.source == "dict"
            else f"Rename one of them, or give `{near}` of {_words.known_as(field)} the "
            f'validation_alias "{key}".',
            code=f'"{near}": ...' if field.source == "dict" else "",
        ),
        evidence={**_words.evidence(diff, [field]), "returned_as": key, "declared_as": near},
        cause=f"{diff.model}: {key} for {near}",
    )


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
