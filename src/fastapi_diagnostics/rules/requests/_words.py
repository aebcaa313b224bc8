"""Words for refused requests: paths as people write them, and an example of what is expected."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import msgspec

from fastapi_diagnostics.record import ExpectedField, Rejection

_EXAMPLES: dict[str, Any] = {
    "int": 1,
    "float": 1.5,
    "bool": True,
    "str": "text",
    "Decimal": "1.50",
    "UUID": "6f1c2b1e-8f0a-4f64-9c3e-0d8c5a1b2e3f",
    "datetime": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00",
    "timedelta": "PT1H",
    "EmailStr": "name@example.org",
    "HttpUrl": "https://example.org/",
    "AnyUrl": "https://example.org/",
    "dict": {},
}
_LISTS = ("list[", "set[", "tuple[", "Sequence[", "frozenset[")


def dotted(loc: Iterable[str]) -> str:
    """Write a location as people do: ``body.items[0].quantity``."""
    text = ""
    for part in loc:
        text += f"[{part}]" if part.isdigit() and text else f"{'.' if text else ''}{part}"
    return text


def place(loc: Iterable[str]) -> str:
    """Name a location in a sentence."""
    text = dotted(loc)
    return "the body" if text == "body" else text or "the request"


def listed(names: Iterable[str]) -> str:
    """Write names as a list in a sentence."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def expected_field(loc: tuple[str, ...], rejection: Rejection) -> ExpectedField | None:
    """Find what is declared at a location."""
    path = _names(sent_at(loc, rejection))
    return next((field for field in rejection.fields if field.path == path), None)


def sent_at(loc: tuple[str, ...], rejection: Rejection) -> tuple[str, ...]:
    """Leave out the alternative of a union, which stands in the location but not in what is sent.

    In ``body.cat.lives`` it is ``cat``: pydantic writes the tag or the class in between.
    """
    declared = {field.path for field in rejection.fields}
    if _names(loc) in declared:
        return loc
    for index in range(1, len(loc) - 1):
        shorter = (*loc[:index], *loc[index + 1 :])
        is_alternative = not loc[index].isdigit() and _names(loc[: index + 1]) not in declared
        if is_alternative and _names(shorter) in declared:
            return shorter
    return loc


def _names(loc: Iterable[str]) -> tuple[str, ...]:
    return tuple(part for part in loc if not part.isdigit())


def example(rejection: Rejection) -> str:
    """Write a request that has every required value of the right type; empty if unknown."""
    if rejection.example:
        return rejection.example
    required = [field for field in rejection.fields if field.required]
    body = _body(required) if rejection.expects != "none" else None
    if body and uploads(rejection):
        return _multipart(body, uploads(rejection))
    if body and rejection.expects == "form":
        return urlencode({name: value for name, value in body.items() if value is not None})
    if body:
        return msgspec.json.format(msgspec.json.encode(body), indent=0).decode()
    query = [field for field in required if field.path[0] == "query"]
    return "?" + urlencode({f.path[-1]: _value(f.type) for f in query}) if query else ""


def uploads(rejection: Rejection) -> tuple[str, ...]:
    """Name the files that are expected in a form."""
    return tuple(
        field.path[-1]
        for field in rejection.fields
        if field.path[:1] == ("body",) and "UploadFile" in field.type
    )


def _multipart(body: dict[str, Any], names: tuple[str, ...]) -> str:
    files = ", ".join(f'"{name}": ("{name}.bin", b"...")' for name in names if name in body)
    data = {name: value for name, value in body.items() if name not in names}
    others = f", data={data!r}" if data else ""
    return f"client.post(url, files={{{files}}}{others})" if files else ""


def _body(required: list[ExpectedField]) -> dict[str, Any]:
    fields = [field for field in required if field.path[0] == "body" and len(field.path) > 1]
    body: dict[str, Any] = {}
    for field in sorted(fields, key=lambda field: len(field.path)):
        holder = _holder(body, field.path[1:-1])
        if holder is not None:
            inner = any(other.path[:-1] == field.path for other in fields)
            holder[field.path[-1]] = _value(field.type, has_fields=inner)
    return body


def _holder(body: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """Find the object around a field; `None` where it is optional and was left out."""
    current: Any = body
    for name in path:
        current = current.get(name) if isinstance(current, dict) else None
        if isinstance(current, list) and current:
            current = current[0]
    return current if isinstance(current, dict) else None


def _value(type_text: str, *, has_fields: bool = False) -> Any:
    for start in _LISTS:
        if type_text.startswith(start):
            item = type_text[len(start) : -1].partition(",")[0]
            return [_value(item, has_fields=has_fields)]
    if has_fields:
        return {}
    if type_text.startswith("Literal["):
        first = type_text[8:-1].partition(", ")[0]
        return first.strip("'\"") if first[:1] in "'\"" else msgspec.json.decode(first.lower())
    first = type_text.partition(" | ")[0]
    return _EXAMPLES.get(first.partition("[")[0], "…")
