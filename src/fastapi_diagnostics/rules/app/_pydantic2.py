"""Writes declarations of pydantic 1 as pydantic 2 has them; empty where more than names changes.

Renamed and removed options: the migration guide of pydantic 2, "Changes to config".
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from fastapi_diagnostics.rules._calls import UNKNOWN, Written, keyword, split, written

_RENAMED: Final = {
    "allow_population_by_field_name": "populate_by_name",
    "anystr_lower": "str_to_lower",
    "anystr_strip_whitespace": "str_strip_whitespace",
    "anystr_upper": "str_to_upper",
    "keep_untouched": "ignored_types",
    "max_anystr_length": "str_max_length",
    "min_anystr_length": "str_min_length",
    "orm_mode": "from_attributes",
    "schema_extra": "json_schema_extra",
    "validate_all": "validate_default",
}
_WITHOUT_EFFECT: Final = frozenset(
    {"smart_union", "underscore_attrs_are_private", "copy_on_model_validation"}
)
"""What pydantic 2 always does, or has no more choice about."""
_GONE: Final = frozenset(
    {"error_msg_templates", "fields", "getter_dict", "json_dumps", "json_loads", "post_init_call"}
)
_MUTABLE: Final = {"True": "", "False": "frozen=True"}
_DECORATOR: Final = re.compile(r"@((?:\w+\.)*)(?:root_)?validator(\(.*\))$")
_HEADER: Final = re.compile(r"def\s+\w+\s*\((.*)\)\s*(?:->.*)?:$")
_OPTION: Final = re.compile(r"(\w+)\s*(?::[^=]+)?=\s*(.+)$")
_DOCSTRING: Final = re.compile(r"(\"\"\"|''').*\1$")
_EXTRA: Final = re.compile(r"(?:\w+\.)*Extra\.(\w+)$")
_OF_VALIDATORS: Final = frozenset({"pre", "allow_reuse", "check_fields"})
_METHOD: Final = 2
"""Parameters of a validator that both versions call alike: the class and the value."""


def config(lines: Sequence[str]) -> str:
    """Write ``model_config`` in place of ``class Config``.

    Args:
        lines: All of the class, the first one without indentation.
    """
    head, _, inline = (lines[0] if lines else "").partition(":")
    statements = list(_statements([inline, *lines[1:]]))
    options = [_option(text) for text in statements]
    if not re.fullmatch(r"class\s+Config(?:\(\s*\))?", head.strip()) or None in options:
        return ""
    return f"model_config = ConfigDict({', '.join(option for option in options if option)})"


def validator(lines: Sequence[str]) -> str:
    """Write ``@field_validator`` in place of the decorator.

    Args:
        lines: From the decorator to the end of the function's header.
    """
    found = _decorated(lines)
    if found is None:
        return ""
    prefix, call, below = found
    options = [_validator_option(part) for part in (call.parts or ())[len(call.positional) :]]
    if not call.positional or None in options:
        return ""
    arguments = ", ".join([*call.positional, *(option for option in options if option)])
    return f"@{prefix}field_validator({arguments}){below}"


def root_validator(lines: Sequence[str]) -> str:
    """Write ``@model_validator`` in place of the decorator of one that runs first.

    One that runs last gets values, where its successor gets the model.
    """
    found = _decorated(lines)
    if found is None:
        return ""
    prefix, call, below = found
    if "pre=True" not in (call.parts or ()) or call.positional:
        return ""
    return f'@{prefix}model_validator(mode="before"){below}'


def _decorated(lines: Sequence[str]) -> tuple[str, Written, str] | None:
    """Take decorator and header apart: prefix, arguments, and what goes below the decorator."""
    statements = list(_statements(lines))
    decorator = _DECORATOR.match(statements[0]) if statements else None
    header = _HEADER.match(statements[-1]) if statements else None
    if decorator is None or header is None:
        return None
    parameters = split(header[1])
    others = statements[1:-1]
    if parameters is None or len(parameters) != _METHOD or not set(others) <= {"@classmethod"}:
        return None
    if any(one.startswith("*") for one in parameters):
        return None
    call = written("validator", f"validator{decorator[2]}")
    return (decorator[1], call, "" if others else "\n@classmethod") if call.parts else None


def _validator_option(part: str) -> str | None:
    """Write one keyword argument anew; empty where it goes, `None` where it cannot be kept."""
    name, value = keyword(part), part.partition("=")[2].strip()
    if name not in _OF_VALIDATORS or (name == "pre" and value not in {"True", "False"}):
        return None
    if name == "pre":
        return 'mode="before"' if value == "True" else ""
    return part if name == "check_fields" else ""


def _option(statement: str) -> str | None:
    """Write one line of ``class Config`` as an argument; likewise."""
    if statement == "pass":
        return ""
    found = _OPTION.match(statement)
    if found is None or found[1] in _GONE:
        return None
    name, value = found[1], _EXTRA.sub(r'"\1"', found[2])
    if name == "allow_mutation":
        return _MUTABLE.get(value)
    return "" if name in _WITHOUT_EFFECT else f"{_RENAMED.get(name, name)}={value}"


def _statements(lines: Sequence[str]) -> Iterator[str]:
    """Give one text for each statement, with its lines joined and its comment cut off.

    What begins and is not understood is ``...``, with all that follows it.
    """
    pending = ""
    for line in lines:
        text = line.strip()
        text = "" if text.startswith("#") else text.partition("  #")[0].rstrip()
        if not pending and _DOCSTRING.match(text):
            continue
        pending = f"{pending} {text}".strip()
        if pending and split(pending) is not None:
            yield pending
            pending = ""
    if pending:
        yield UNKNOWN
