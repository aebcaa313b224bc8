"""Words for what was returned and what was sent: paths, keys, owners, models."""

from collections.abc import Iterable

from fastapi_diagnostics.record import Location, RequestRecord, ResponseDiff, StrippedField

MAX_PATHS_IN_MESSAGE = 6
MAX_NAMES = 4


def evidence(diff: ResponseDiff, fields: list[StrippedField]) -> dict[str, object]:
    """Give the facts of some fields of a response, with the keys that may be relied on."""
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


def declaration(fields: list[StrippedField], limit: int = MAX_NAMES) -> str:
    """Write the class with the missing fields added; empty if none can be written."""
    first = fields[0]
    head = f"class {first.model}({first.model_bases}):" if first.model_bases else ""
    types: dict[str, list[str]] = {}
    for field in fields:  # a model that holds itself loses one field at several depths
        types.setdefault(key(field), []).append(field.type_name)
    lines = [
        f"    {name}: {_merged(seen)}"
        for name, seen in list(types.items())[:limit]
        if name.isidentifier()
    ]
    if not lines or not first.model.isidentifier():
        return ""
    return "\n".join([head or f"class {first.model}:", "    ...", *lines])


def _merged(types: list[str]) -> str:
    """Write one type for all that were seen; an empty one stands for `None`."""
    parts = dict.fromkeys(part for seen in types for part in (seen or "None").split(" | "))
    if len(parts) == 1 and "None" in parts:
        return "Any"
    return " | ".join(sorted(parts, key=lambda part: part == "None"))


def known_as(field: StrippedField) -> str:
    """Name a model with its module."""
    return f"{field.model}{f' ({field.model_module})' if field.model_module else ''}"


def place(diff: ResponseDiff, fields: list[StrippedField]) -> Location | None:
    """Take the endpoint where it wrote one of the keys, else the function that did."""
    places = [field.written_in for field in fields if field.written_in is not None]
    return diff.endpoint if diff.endpoint in places or not places else places[0]


def written_by(diff: ResponseDiff, where: Location | None) -> str:
    """Say which function wrote a key, unless it was the endpoint."""
    return "" if where is None or where == diff.endpoint else f", written in {where.function}()"


def anchors(fields: list[StrippedField], where: Location | None) -> tuple[str, ...]:
    """Give the keys that are written at a place, to find their line."""
    return tuple(dict.fromkeys(key(field) for field in fields if field.written_in == where))


def endpoint(record: RequestRecord, location: Location | None) -> str:
    """Name the function that returned something."""
    if location is not None:
        return f"{location.function}()"
    return f"the endpoint of {record.route or record.path}"


def listed(fields: Iterable[StrippedField]) -> str:
    """List the paths of fields in a sentence."""
    return ticked([field.path for field in fields], MAX_PATHS_IN_MESSAGE)


def ticked(names: Iterable[str], limit: int = MAX_NAMES) -> str:
    """List names in a sentence, each between backticks."""
    names = list(names)
    shown = [f"`{name}`" for name in names[:limit]]
    if len(names) > limit:
        shown.append(f"{len(names) - limit} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def models(fields: list[StrippedField]) -> str:
    """Name the models that do not declare some fields."""
    names = list(dict.fromkeys(field.model for field in fields))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def does_not(fields: list[StrippedField]) -> str:
    """Give the verb that goes with `models`."""
    return "do not" if len({field.model for field in fields}) > 1 else "does not"


def them(fields: list[StrippedField]) -> str:
    """Give the pronoun for one field or several."""
    return "it" if len(fields) == 1 else "them"


def key(field: StrippedField) -> str:
    """Give the last part of a path."""
    return field.path.rpartition(".")[2]


def owner(field: StrippedField) -> str:
    """Name what held a field, with its article."""
    if field.source == "dict":
        return "a dict"
    return f"{'an' if field.owner[:1] in 'AEIOU' else 'a'} {field.owner}"
