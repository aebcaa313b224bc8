"""APP102: what a model, or a function that uses it, still takes of the API of pydantic 1."""

from collections.abc import Iterator

from fastapi_diagnostics.app_record import AppRecord, OldPydanticUse
from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import OldPydanticCall, RequestRecord

RULE = Rule(
    code="APP102",
    name="pydantic-v1-api",
    family="app",
    severity="warning",
    title="The API of pydantic 1 is still used",
    what=(
        "Finds @validator, @root_validator and class Config in models of pydantic 2, and calls "
        "such as .dict() and .parse_obj() on them, each with its line. Pydantic warns of the "
        "first three while the module is imported, where Python's default filters hide it. Calls "
        "are read from the application's functions at startup, and noted when a request makes them."
    ),
    why=(
        "All of them are deprecated since pydantic 2.0 and are to go with 3.0. Some already "
        "behave otherwise than they did: a @validator gets no `field`, and options of class "
        "Config that were renamed are ignored."
    ),
    example=(
        "class Member(BaseModel):\n"
        "    name: str\n\n"
        "    class Config:\n"
        "        orm_mode = True\n\n"
        '    @validator("name")\n'
        "    def not_blank(cls, value):\n"
        "        return value.strip()\n\n\n"
        "async def create(member: Member):\n"
        "    return member.dict()"
    ),
    instead=(
        "class Member(BaseModel):\n"
        "    model_config = ConfigDict(from_attributes=True)\n\n"
        "    name: str\n\n"
        '    @field_validator("name")\n'
        "    @classmethod\n"
        "    def not_blank(cls, value):\n"
        "        return value.strip()\n\n\n"
        "async def create(member: Member):\n"
        "    return member.model_dump()"
    ),
    limits=(
        (
            "Before anything runs, calls are found on a class that is named, on self and cls, and "
            "on parameters annotated with a model. On items of lists, or on what a function "
            "returned, they are found when a request makes them; at module level not at all."
        ),
        "SQLModel's own dict(), parse_obj() and from_orm() are found in the first way only.",
        "Models of pydantic.v1 are left alone: for them it is the right API.",
    ),
    subjects=("application", "request"),
)

CURES = {
    "@validator": ("@field_validator, with @classmethod below it", "@field_validator({})"),
    "@root_validator": ("@model_validator, with its mode", '@model_validator(mode="before")'),
    "class Config": ("model_config = ConfigDict(...)", "model_config = ConfigDict()"),
    ".dict()": ("model_dump()", "model_dump"),
    ".json()": ("model_dump_json()", "model_dump_json"),
    ".copy()": ("model_copy()", "model_copy"),
    ".construct()": ("model_construct()", "model_construct"),
    ".parse_obj()": ("model_validate()", "model_validate"),
    ".parse_raw()": ("model_validate_json()", "model_validate_json"),
    ".parse_file()": ("model_validate_json() of what you read", "model_validate_json"),
    ".from_orm()": ("model_validate(), with from_attributes=True", "model_validate"),
    ".schema()": ("model_json_schema()", "model_json_schema"),
    ".schema_json()": ("json.dumps() of model_json_schema()", "model_json_schema"),
    ".validate()": ("model_validate()", "model_validate"),
    ".update_forward_refs()": ("model_rebuild()", "model_rebuild"),
}


def check(record: AppRecord | RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each line: those that may run, or those that a request ran."""
    if isinstance(record, AppRecord):
        yield from map(_declared, record.old_pydantic)
    else:
        yield from map(_called, record.old_pydantic_calls)


def _declared(use: OldPydanticUse) -> Finding:
    known = "" if use.exact else ", the annotated type here,"
    subject = (
        f"{use.api} of {use.model}" if use.api.startswith(".") else f"{use.api} in {use.model}"
    )
    return _finding(f"{subject}{known} is", use, exact=use.exact, code=_rewritten(use))


def _called(call: OldPydanticCall) -> Finding:
    _, name = CURES.get(call.api, ("", ""))
    return _finding(f"This request called {call.api} of {call.model},", call, code=f"{name}()")


def _finding(
    subject: str, use: OldPydanticUse | OldPydanticCall, *, code: str, exact: bool = True
) -> Finding:
    words, _ = CURES.get(use.api, ("its successor", ""))
    return RULE.finding(
        f"{subject} the API of pydantic 1: deprecated since 2.0, to be removed in 3.0. "
        f"Its successor is {words.split(',')[0]}.",
        location=use.location,
        confidence="proven" if exact else "likely",
        fix=Fix(summary=f"Write {words} instead.", code=code, location=use.location),
        evidence={"api": use.api, "model": use.model},
        # A line that the audit and a request tell of is one defect, whatever subclass was called.
        cause=use.api if use.api.startswith(".") else f"{use.model} {use.api}",
    )


def _rewritten(use: OldPydanticUse) -> str:
    """Write the line as it would stand; empty where more than the name changes."""
    _, name = CURES.get(use.api, ("", ""))
    line = use.location.code
    if use.api == "@validator" and "(" in line and "each_item" not in line:
        return f"@field_validator{line[line.index('(') :]}\n@classmethod"
    if use.api == "class Config":
        return name
    old = f"{use.api.removesuffix('()')}("
    return (
        line.replace(old, f".{name}(") if use.api.startswith(".") and line.count(old) == 1 else ""
    )
