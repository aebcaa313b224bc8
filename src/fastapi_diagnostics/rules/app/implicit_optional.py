"""APP103: a parameter or field whose default is `None` although its type says otherwise."""

import re
from collections import defaultdict
from collections.abc import Iterator

from fastapi_diagnostics.app_record import AppRecord, ImplicitOptional
from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.rules.app._words import listed

_ANNOTATED = re.compile(r"(?:\w+\.)?Annotated\[")

RULE = Rule(
    code="APP103",
    name="implicit-optional",
    family="app",
    severity="info",
    title="A default of None that the type does not allow",
    what=(
        "Finds parameters of endpoints and dependencies, and fields of models, that are declared "
        "like name: str = None. One note for each function or class."
    ),
    why=(
        "Defaults are not validated, so None gets in where the type promises something else: "
        "type checkers do not see the missing case. Whoever sends an explicit null is refused, "
        "and the schema does not say that the value may be missing as null."
    ),
    example='@app.get("/books")\nasync def books(author: str = None): ...',
    instead='@app.get("/books")\nasync def books(author: str | None = None): ...',
    limits=(
        "Tables of SQLModel are left alone: there the type says what the column holds.",
        "Types with validators of their own are left alone: they may make something of None.",
    ),
    subjects=("application",),
)


def check(record: AppRecord) -> Iterator[Finding]:
    """Yield one finding for each function or class."""
    owners: defaultdict[tuple[str, str, str], list[ImplicitOptional]] = defaultdict(list)
    for one in record.implicit_optionals:
        owners[one.location.file, one.location.function, one.owner].append(one)
    for members in owners.values():
        yield _finding(members)


def _finding(members: list[ImplicitOptional]) -> Finding:
    first = members[0]
    noun = "field" if first.field else "parameter"
    if len(members) == 1:
        verb = f"{noun} {first.name} of {first.owner} is declared as {first.annotation}, but its"
        message = f"The {verb} default is None."
    else:
        names = listed(one.name for one in members)
        message = (
            f"The {noun}s {names} of {first.owner} have None as default, which their types, such "
            f"as {first.annotation}, do not allow."
        )
    return RULE.finding(
        message,
        location=first.location,
        fix=Fix(
            summary="Say in the type that it may be None, or take the default away.",
            code="\n".join(_written(one) for one in members),
            location=first.location,
        ),
        evidence={
            "owner": first.owner,
            "names": [one.name for one in members],
            "places": [one.location for one in members],
        },
        cause=first.owner,
    )


def _written(one: ImplicitOptional) -> str:
    return f"{one.name}: {_or_none(one.annotation)} = {one.default}"


def _or_none(annotation: str) -> str:
    """Allow `None` where it counts: within quotes, and within ``Annotated``."""
    for quote in ('"', "'"):
        if len(annotation) > 1 and annotation[0] == annotation[-1] == quote:
            return f"{quote}{_or_none(annotation[1:-1])}{quote}"
    head = _ANNOTATED.match(annotation)
    if head is None:
        return f"{annotation} | None"
    inner = annotation[head.end() :]
    at = _comma(inner)
    return f"{head[0]}{_or_none(inner[:at])}{inner[at:]}"


def _comma(text: str) -> int:
    """Find the first comma outside of brackets; the length where there is none."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and not depth:
            return at
    return len(text)
