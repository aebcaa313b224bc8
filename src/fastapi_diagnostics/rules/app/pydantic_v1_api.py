"""APP102: what a model, or a function that uses it, still takes of the API of pydantic 1."""

import textwrap
from collections.abc import Iterator

from fastapi_diagnostics.app_record import AppRecord, OldPydanticUse
from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import OldPydanticCall, RequestRecord
from fastapi_diagnostics.rules.app import _pydantic2

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
    "@validator": "@field_validator, with @classmethod below it",
    "@root_validator": "@model_validator, with its mode",
    "class Config": "model_config = ConfigDict(...)",
    ".dict()": "model_dump()",
    ".json()": "model_dump_json()",
    ".copy()": "model_copy()",
    ".construct()": "model_construct()",
    ".parse_obj()": "model_validate()",
    ".parse_raw()": "model_validate_json()",
    ".parse_file()": "model_validate_json() of what you read",
    ".from_orm()": "model_validate()",
    ".schema()": "model_json_schema()",
    ".schema_json()": "json.dumps() of model_json_schema()",
    ".validate()": "model_validate()",
    ".update_forward_refs()": "model_rebuild()",
}
_OTHERWISE = {
    "@validator": (
        "What only the old one had is written otherwise: `values` is `info.data` of a further "
        "parameter `info: ValidationInfo`, `each_item` an annotation of the items, `always` the "
        "field's `validate_default=True`"
    ),
    "@root_validator": (
        'One that runs last is a method of the model with `mode="after"`: it reads attributes of '
        "`self` and returns `self`"
    ),
    "class Config": (
        "Options that pydantic 2 renamed have their new names there, and what it no longer has is "
        "left out"
    ),
}
"""What there is to know where the declaration cannot be written by us."""
_DECLARATIONS = {
    "@validator": _pydantic2.validator,
    "@root_validator": _pydantic2.root_validator,
    "class Config": _pydantic2.config,
}
_RENAMED = {
    ".copy()": (".copy()", ".model_copy()"),
    ".update_forward_refs()": (".update_forward_refs()", ".model_rebuild(force=True)"),
    **{
        f".{old}()": (f".{old}(", f".{new}(")
        for old, new in (
            ("dict", "model_dump"),
            ("json", "model_dump_json"),
            ("construct", "model_construct"),
            ("parse_obj", "model_validate"),
            ("parse_raw", "model_validate_json"),
            ("from_orm", "model_validate"),
            ("schema", "model_json_schema"),
            ("validate", "model_validate"),
        )
    },
}
"""What of a call changes, where it takes the same arguments and gives the same."""


def check(record: AppRecord | RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each line: those that may run, or those that a request ran."""
    if isinstance(record, AppRecord):
        yield from map(_audited, record.old_pydantic)
    else:
        yield from map(_called, record.old_pydantic_calls)


def _audited(use: OldPydanticUse) -> Finding:
    known = "" if use.exact else ", the annotated type here,"
    is_call = use.api.startswith(".")
    subject = f"{use.api} of {use.model}" if is_call else f"{use.api} in {use.model}"
    fix = _call_fix(use) if is_call else _declaration_fix(use)
    return _finding(f"{subject}{known} is", use, fix, exact=use.exact)


def _called(call: OldPydanticCall) -> Finding:
    return _finding(f"This request called {call.api} of {call.model},", call, _call_fix(call))


def _finding(
    subject: str, use: OldPydanticUse | OldPydanticCall, fix: Fix, *, exact: bool = True
) -> Finding:
    return RULE.finding(
        f"{subject} the API of pydantic 1: deprecated since 2.0, to be removed in 3.0. "
        f"Its successor is {_successor(use.api).split(',')[0]}.",
        location=use.location,
        confidence="proven" if exact else "likely",
        fix=fix,
        evidence={"api": use.api, "model": use.model},
        # A line that the audit and a request tell of is one defect, whatever subclass was called.
        cause=use.api if use.api.startswith(".") else f"{use.model} {use.api}",
    )


def _successor(api: str) -> str:
    return CURES.get(api, "its successor")


def _call_fix(use: OldPydanticUse | OldPydanticCall) -> Fix:
    old, new = _RENAMED.get(use.api, ("", ""))
    return Fix(
        summary=f"Write {_successor(use.api)} instead.",
        code=new,
        location=use.location,
        replaces=old,
    )


def _declaration_fix(use: OldPydanticUse) -> Fix:
    write = _DECLARATIONS.get(use.api)
    lines = textwrap.dedent("\n".join(use.lines)).split("\n")
    code = write(lines) if write is not None else ""
    place = "instead"
    if use.api == "class Config" and len(lines) > 1:
        place = f"in place of class Config and all of its {len(lines)} lines"
    elif use.api != "class Config" and code and not lines[1].startswith(("def", "@")):
        place = "in place of the whole decorator"
    otherwise = "" if code else f" {_OTHERWISE.get(use.api, '')}."
    return Fix(
        summary=f"Write {_successor(use.api)} {place}.{otherwise}",
        code=code,
        location=use.location,
    )
