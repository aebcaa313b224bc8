"""Mistakes that explain one error of a refusal: a name, a place, a value."""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from fastapi_diagnostics.finding import Confidence, Fix
from fastapi_diagnostics.record import ExpectedField, Rejection, RejectionError
from fastapi_diagnostics.rules._names import nearest, plain
from fastapi_diagnostics.rules.requests import _words
from fastapi_diagnostics.rules.requests._hint import FORMS, Hint, is_json, top_keys

_SHOWN_VALUES: Final = 5


def about_error(error: RejectionError, rejection: Rejection) -> Hint | None:
    """Explain one error; `None` where the mistake is not known."""
    for explain in _EXPLANATIONS:
        hint = explain(error, rejection)
        if hint is not None:
            return hint
    return None


def _query_list(error: RejectionError, rejection: Rejection) -> Hint | None:
    """A list, or a model, whose values stand in the query string."""
    if error.type != "missing" or error.loc[:1] != ("body",) or len(error.loc) > 2:  # noqa: PLR2004
        return None
    names = [error.loc[1]] if len(error.loc) > 1 else list(rejection.body_parameters)
    inside = [f.path[-1] for f in rejection.fields if f.path[:-1] == error.loc]
    came = [name for name in (*names, *inside) if name in rejection.query_keys]
    field = next((field for field in rejection.fields if field.path == error.loc), None)
    if not came or field is None or rejection.body_kind != "empty":
        return None
    return Hint(
        code="query-list",
        text=f"{_words.listed(came)} came in the query string, but a parameter of this type is "
        "read from the body unless it is declared with Query()",
        fix=Fix(
            summary=f"Declare the parameter {field.name} of this endpoint with Query().",
            code=f"{field.name}: Annotated[{field.type}, Query()]",
            location=rejection.endpoint,
        ),
    )


def _separated(error: RejectionError, rejection: Rejection) -> Hint | None:
    """Several values of a list in one, with commas between them."""
    field = _field(error, rejection)
    if error.loc[:1] != ("query",) or not error.loc[-1].isdigit() or field is None:
        return None
    parts = error.input.strip("'\"").split(",")
    if len(parts) < 2 or not all(part.strip() for part in parts):  # noqa: PLR2004 - no list
        return None
    name = field.path[-1]
    return Hint(
        code="query-list",
        text=f"several values came as one, with commas; a list is sent as {name}=…&{name}=…",
        fix=Fix(
            summary=f"Repeat the parameter {name}, once for each value.",
            code="&".join(f"{name}={quote(part.strip())}" for part in _whole(parts)),
        ),
        confidence="likely",
    )


def _whole(parts: list[str]) -> list[str]:
    """Give the first values; the last one of a long text was cut in its middle."""
    whole = parts[:-1] if "…" in parts[-1] else parts
    return whole[:_SHOWN_VALUES]


def _alias(error: RejectionError, rejection: Rejection) -> Hint | None:
    field = _field(error, rejection)
    if field is None or field.name == error.loc[-1] or field.name not in _came(error, rejection):
        return None
    if field.path[-1] != error.loc[-1]:  # an item of it, which was found
        return None
    if error.loc[0] == "header":
        return None
    fix = Fix(summary=f"Send {error.loc[-1]}.")
    if _is_model_field(field, rejection):
        code = "model_config = ConfigDict(populate_by_name=True)"
        fix = Fix(
            summary=f"Send {error.loc[-1]}; or let the model take both names with {code}.",
            code=code,
        )
    return Hint(
        code="alias",
        text=f"the {_PLACES[_place(error)]} has {field.name}, which is the name in Python; the "
        f"alias is {error.loc[-1]}",
        fix=fix,
    )


def _underscore(error: RejectionError, rejection: Rejection) -> Hint | None:
    if error.type != "missing" or error.loc[:1] != ("header",):
        return None
    wanted = error.loc[-1].lower()
    other = wanted.replace("-", "_") if "-" in wanted else wanted.replace("_", "-")
    if other == wanted or other not in rejection.header_names:
        return None
    return Hint(
        code="header-underscore",
        text=f"the header {other} came, and {wanted} is expected",
        fix=Fix(
            summary=f"Send the header as {wanted}; FastAPI turns the underscores of a parameter's "
            "name into hyphens unless it is declared with convert_underscores=False."
        ),
    )


def _misspelt(error: RejectionError, rejection: Rejection) -> Hint | None:
    wanted, came = _pair(error, rejection)
    if not wanted or not came:
        return None
    place = _place(error)
    sure: Confidence = "proven" if plain(wanted) == plain(came) else "likely"
    fix = Fix(summary=f"Send {wanted} instead of {came}.")
    field = _field(error, rejection)
    if field is not None and error.type == "missing" and _is_model_field(field, rejection):
        fix = Fix(
            summary=f"Send {wanted} instead of {came}; or let the model take both names with "
            "AliasChoices of pydantic.",
            code=f"{field.name}: {field.type} = "
            f'Field(validation_alias=AliasChoices("{wanted}", "{came}"))',
        )
    return Hint(
        code="misspelt-key",
        text=f"the {_PLACES[place]} has {came}, which is close to {wanted}",
        fix=fix,
        confidence=sure,
    )


def _pair(error: RejectionError, rejection: Rejection) -> tuple[str, str]:
    """Give the name that was expected and the one that came in its place; empty if unknown."""
    if error.type == "extra_forbidden" and len(error.loc) > 1:
        siblings = {
            field.path[-1] for field in rejection.fields if field.path[:-1] == _parent(error)
        }
        return nearest(error.loc[-1], siblings - set(error.keys)), error.loc[-1]
    if error.type != "missing" or len(error.loc) < 2:  # noqa: PLR2004 - the whole body is missing
        return "", ""
    known = {f.path[-1] for f in rejection.fields if f.path[:-1] == _parent(error)}
    return error.loc[-1], nearest(error.loc[-1], set(_came(error, rejection)) - known)


def _scalar(error: RejectionError, rejection: Rejection) -> Hint | None:
    if error.type != "missing" or error.loc[:1] != ("query",):
        return None
    name = error.loc[-1]
    if rejection.body_kind == "empty":
        return None
    read = rejection.body_kind != "unread"
    if read and name not in top_keys(rejection):
        return None
    if not read and rejection.takes_request:
        return None  # it may read the body on its own
    if not read and not (is_json(rejection.content_type) or rejection.content_type in FORMS):
        return None
    field = _field(error, rejection)
    text = (
        f"{name} stands in the body"
        if read
        else f"a body ({rejection.content_type}) came, and this endpoint reads none"
    )
    return Hint(
        code="scalar-in-body",
        text=f"{text}; parameters of simple types are read from the query string",
        confidence="proven" if read else "likely",
        fix=Fix(
            summary=f"Send {name} in the query string; or declare the parameter with "
            "Body(embed=True) to read it from the body.",
            code=f"{field.name}: Annotated[{field.type}, Body(embed=True)]" if field else "",
            location=rejection.endpoint,
        ),
    )


def _nesting(error: RejectionError, rejection: Rejection) -> Hint | None:
    if error.type != "missing" or error.loc[:1] != ("body",) or len(error.loc) < 2:  # noqa: PLR2004
        return None
    wanted = ".".join(part for part in error.loc[1:] if not part.isdigit())
    known = {".".join(field.path[1:]) for field in rejection.fields}
    elsewhere = [
        path
        for path in rejection.body_keys
        if path not in known and (path.endswith(f".{wanted}") or wanted.endswith(f".{path}"))
    ]
    if len(elsewhere) != 1:
        return None
    return Hint(
        code="nesting",
        text=f"the body has {elsewhere[0]}, and {wanted} is expected: it stands at another level",
        confidence="likely",
        fix=Fix(summary=f"Move {elsewhere[0]} to {wanted}."),
    )


def _nearest_value(error: RejectionError, _: Rejection) -> Hint | None:
    if not error.nearest:
        return None
    return Hint(
        code="nearest-value",
        text=f"the closest of the allowed values is {error.nearest}",
        confidence="likely",
        fix=Fix(summary=f"Send {error.nearest} for {_words.dotted(error.loc)}."),
    )


_EXPLANATIONS: tuple[Callable[[RejectionError, Rejection], Hint | None], ...] = (
    _query_list,
    _separated,
    _alias,
    _underscore,
    _misspelt,
    _scalar,
    _nesting,
    _nearest_value,
)
_PLACES = {"body": "body", "query": "query string", "header": "request", "path": "path"}


_STANDARD = frozenset(
    {"accept", "accept-encoding", "accept-language", "authorization", "cache-control"}
    | {"connection", "content-length", "content-type", "cookie", "date", "expect", "forwarded"}
    | {"from", "host", "if-match", "if-none-match", "origin", "pragma", "referer", "te"}
    | {"transfer-encoding", "upgrade", "user-agent", "via"}
)
"""Headers that clients send of themselves: nobody mistyped another one for them."""


def _place(error: RejectionError) -> str:
    return error.loc[0] if error.loc and error.loc[0] in _PLACES else "body"


def _came(error: RejectionError, rejection: Rejection) -> tuple[str, ...]:
    """List the names that came where this one was looked for."""
    place = error.loc[0] if error.loc else ""
    if place == "query":
        return rejection.query_keys
    if place == "header":
        return tuple(name for name in rejection.header_names if name not in _STANDARD)
    return error.keys


def _is_model_field(field: ExpectedField, rejection: Rejection) -> bool:
    """Tell a field of a JSON body's model from a parameter of the endpoint."""
    depth = 3 if rejection.embedded else 2
    return rejection.expects == "json" and field.path[:1] == ("body",) and len(field.path) >= depth


def _parent(error: RejectionError) -> tuple[str, ...]:
    return tuple(part for part in error.loc[:-1] if not part.isdigit())


def _field(error: RejectionError, rejection: Rejection) -> ExpectedField | None:
    return _words.expected_field(error.loc, rejection)
