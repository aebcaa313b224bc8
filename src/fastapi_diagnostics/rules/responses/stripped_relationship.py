"""RES102: a loaded relationship that the response model leaves out."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Query, RequestRecord, ResponseDiff, StrippedField
from fastapi_diagnostics.rules.responses import _words

RULE = Rule(
    code="RES102",
    name="stripped-relationship",
    family="responses",
    severity="warning",
    title="A relationship was loaded and returned, but the response model leaves it out",
    what=(
        "Finds relationships of returned ORM or SQLModel objects that were loaded in this request "
        "and are not part of the response model, with the statements that loading them took. A "
        "table class of SQLModel never sends its relationships, not even as its own response "
        "model. It is a warning where a statement of its own loaded the relationship and no line "
        "of the endpoint reads it, else a note."
    ),
    why=(
        "Either clients miss what the query took care to load, or the query loads what nobody "
        "wants, in every request."
    ),
    example="""\
class HeroPublic(SQLModel):
    name: str

@app.get("/heroes/{hero_id}", response_model=HeroPublic)
async def get_hero(hero_id: int, session: Session):
    return await session.get(Hero, hero_id, options=[selectinload(Hero.team)])
""",
    instead="""\
class HeroPublic(SQLModel):
    name: str
    team: TeamPublic | None

@app.get("/heroes/{hero_id}", response_model=HeroPublic)
async def get_hero(hero_id: int, session: Session):
    return await session.get(Hero, hero_id, options=[selectinload(Hero.team)])
""",
    limits=(
        (
            "Whether other code reads the relationship is only looked for in the endpoint, in what "
            "it calls by name, in properties of the model; where one of them does, it is a note."
        ),
        (
            "A relationship loaded with its parents in one statement (joined) has no cost of its "
            "own that could be told."
        ),
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each relationship left out of each response."""
    for diff in record.response_diffs:
        for field in diff.fields:
            if field.relationship and not field.secret:
                yield _finding(record, diff, field)


def _finding(record: RequestRecord, diff: ResponseDiff, field: StrippedField) -> Finding:
    loads = [query for query in record.queries if query.attribute == field.attribute]
    eager = bool(loads) and all(query.kind == "eager" for query in loads)
    wasted = eager and not field.read
    return RULE.finding(
        f"{_words.endpoint(record, diff.endpoint)} returned {_words.owner(field)} with "
        f"`{field.path}` loaded{_cost(loads)}, and {field.model} does not send it"
        f"{_own_model(field)}.{_remark(field)}",
        location=diff.endpoint,
        severity="warning" if wasted else "info",
        confidence="likely" if wasted else "proven",
        fix=_fix(field),
        evidence={
            **_words.evidence(diff, [field]),
            "attribute": field.attribute,
            "statements": len(loads),
            "duration_ms": round(sum(query.duration_ms for query in loads), 3),
            "rows": sum(query.rows or 0 for query in loads),
            "sql": loads[0].sql if loads else "",
            "loaded_at": loads[0].location if loads else None,
            "read_by_your_code": field.read,
        },
        cause=f"{diff.model}: {field.attribute or field.path}",
    )


def _cost(loads: list[Query]) -> str:
    if not loads:
        return ""
    total = sum(query.duration_ms for query in loads)
    many = f"{len(loads)} statements" if len(loads) > 1 else "a statement"
    return f" by {many} of {total:.1f} ms"


def _own_model(field: StrippedField) -> str:
    if field.model != field.owner:
        return ""
    return ": a table class of SQLModel sends its columns only"


def _remark(field: StrippedField) -> str:
    if field.read:
        return " Your code reads it, so it was not loaded in vain; clients do not get it."
    return ""


def _fix(field: StrippedField) -> Fix:
    key = _words.key(field)
    model = field.model if field.model != field.owner else f"{field.owner}Public"
    kind = "list[...]" if "list" in field.type_name.lower() else "..."
    stop = "" if field.read else ", or stop loading it"
    if model != field.model:
        return Fix(
            summary=f"Declare a model of its own for the response, with `{key}` in it{stop}.",
            code=f"class {model}(SQLModel):\n    ...\n    {key}: {kind}",
        )
    head = f"class {field.model}({field.model_bases}):" if field.model_bases else ""
    return Fix(
        summary=f"Declare `{key}` in {_words.known_as(field)} if clients are to get it{stop}.",
        code=f"{head}\n    ...\n    {key}: {kind}" if head else "",
    )
