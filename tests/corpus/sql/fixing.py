"""Applies a fix to the text of a module, as it is printed and without understanding the code.

Three forms are known, and each goes to the line that the fix names:

* ``select(Author).options(…)`` takes the place of ``select(Author)`` in the statement that the line
  runs; where the line runs a variable, or selects more, the statement gets the ``.options(…)``;
* ``.options(…)``: likewise, the statement gets it;
* ``options=[…]`` becomes an argument of ``get``.

Names that the option needs are imported. Lines keep their numbers.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy.orm

from tests.corpus.sql.shop import heroes, models

_RUNS = frozenset({"execute", "scalar", "scalars", "exec", "stream", "stream_scalars"})
_GETS = frozenset({"get", "get_one"})
_PREFIX = "options="


class NotApplicableError(Exception):
    """The line does not hold what the fix is for."""


@dataclass(frozen=True)
class Edit:
    """Text that takes the place of `text[start:end]`; equal numbers insert it."""

    start: int
    end: int
    text: str


def fixed(module: ModuleType, fix: dict[str, Any]) -> ModuleType:
    """Make a copy of a module in which a fix is applied.

    Raises:
        NotApplicableError: It does not fit the line that it names.
    """
    file = Path(module.__file__ or "")
    if fix["location"] is None or not file.as_posix().endswith(fix["location"]["file"]):
        raise NotApplicableError(f"it goes to {fix['location']}, not to {file.name}")
    text = file.read_text(encoding="utf-8")
    changed = apply(text, fix["code"], fix["location"]["line"])
    copy = ModuleType(module.__name__)
    copy.__file__ = module.__file__
    for name in _names(fix["code"]):
        found = next(
            (vars(m)[name] for m in (sqlalchemy.orm, models, heroes) if name in vars(m)), None
        )
        vars(copy)[name] = found
    sys.modules[module.__name__] = copy  # where pydantic and dataclasses look names up
    try:
        exec(compile(changed, str(file), "exec"), vars(copy))  # noqa: S102 - the corpus' own code
    finally:
        sys.modules[module.__name__] = module
    return copy


def apply(text: str, code: str, line: int) -> str:
    """Give the text of a module with a fix's code at a line.

    Raises:
        NotApplicableError: It does not fit there.
    """
    calls = list(_calls_at(ast.parse(text), line))
    edit = _edit(text, calls, code)
    return f"{text[: edit.start]}{edit.text}{text[edit.end :]}"


def _edit(text: str, calls: list[ast.Call], code: str) -> Edit:
    places = _Places(text)
    if code.startswith(_PREFIX):
        call = _first(calls, _GETS)
        end = places.end(call) - 1
        return Edit(end, end, f", {code}")
    plain, dot, option = code.partition(".options(")
    for call in calls:
        if plain and places.source(call) == plain:
            return Edit(places.start(call), places.end(call), code)
    legacy = next((call for call in calls if _name(call) == "query"), None)
    statement = legacy or _first(calls, _RUNS).args[0]
    end = places.end(statement)
    return Edit(end, end, f"{dot}{option}")


def _calls_at(tree: ast.Module, line: int) -> Iterator[ast.Call]:
    """Give the calls of the statement at a line, the outermost first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or 0):
            yield node


def _first(calls: list[ast.Call], names: frozenset[str]) -> ast.Call:
    for call in calls:
        if _name(call) in names and call.args:
            return call
    raise NotApplicableError(f"no call of {', '.join(sorted(names))} at the line")


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _names(code: str) -> set[str]:
    """Give the names that a fix's code mentions."""
    whole = f"x({code})" if code.startswith(_PREFIX) else f"x{code}" if code[0] == "." else code
    return {node.id for node in ast.walk(ast.parse(whole)) if isinstance(node, ast.Name)} - {
        "x",
        "select",
    }


class _Places:
    """Turns a node's lines and columns (of bytes) into offsets of the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = text.splitlines(keepends=True)
        self._offsets = [0]
        for line in self._lines:
            self._offsets.append(self._offsets[-1] + len(line))

    def start(self, node: ast.expr) -> int:
        return self._offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr) -> int:
        return self._offset(node.end_lineno or 0, node.end_col_offset or 0)

    def source(self, node: ast.expr) -> str:
        return self._text[self.start(node) : self.end(node)]

    def _offset(self, line: int, column: int) -> int:
        before = self._lines[line - 1].encode()[:column].decode()
        return self._offsets[line - 1] + len(before)
