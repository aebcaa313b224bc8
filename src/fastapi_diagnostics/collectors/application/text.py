"""Finds classes, fields and parameters in the text of the user's modules.

Without `ast`, for the reason that `outline` gives.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from fastapi_diagnostics import outline
from fastapi_diagnostics.callsite import USER, USER_CODE, definition
from fastapi_diagnostics.record import Location
from fastapi_diagnostics.source_files import imported

_MAX_LINE = 400
_MAX_DECLARATION = 20
"""Lines that one parameter or field may take."""
_BEFORE = re.compile(r",?\s+([)\]])")
_AFTER = re.compile(r"([(\[])\s+")
_MAX_BLOCK = 100
_MAX_HEADER = 200
"""Lines of a function's header that are looked through for a parameter."""


class Sources:
    """The user's files, each opened once for one look at the application."""

    def __init__(self) -> None:
        self._lines: dict[str, Sequence[str]] = {}

    def lines(self, file: str) -> Sequence[str]:
        """Give the lines of a file as `Location` names it; empty where it cannot be read."""
        known = self._lines.get(file)
        if known is None:
            source = imported(file)
            known = self._lines[file] = source.lines if source is not None else ()
        return known

    def of_class(self, cls: type, pattern: str = "") -> Location | None:
        """Find a line in the body of a user's class.

        Args:
            cls: Any class.
            pattern: Regular expression for the line; the ``class`` line itself without one.

        Returns:
            `None` for library code, and where no such line is found.
        """
        file = user_file_of(cls)
        lines = self.lines(file) if file else ()
        line = _class_line(lines, cls)
        if line is None:
            return None
        if pattern:
            line = _line_in_body(lines, line, re.compile(pattern))
        return self._place(file, line, cls.__qualname__) if line is not None else None

    def of_parameter(self, function: Any, name: str) -> Location | None:
        """Find the line of a function's header that declares a parameter."""
        place = definition(function)
        lines = self.lines(place.file) if place is not None else ()
        start = outline.def_line(lines, place.line) if place is not None else None
        if place is None or start is None:
            return None
        declared = re.compile(rf"(?<![\w.]){re.escape(name)}\s*[:=](?!=)")
        for number in range(start, min(len(lines), start + _MAX_HEADER) + 1):
            text = lines[number - 1]
            if declared.search(text):
                return self._place(place.file, number, place.function)
            if text.split("#")[0].rstrip().endswith(":"):
                return None
        return None

    def declaration(self, place: Location, name: str) -> tuple[str, str]:
        """Read annotation and default of ``name: annotation = default`` as they were written.

        Args:
            place: The line on which the declaration begins; other parameters may stand there too.
            name: Of the parameter or field.

        Returns:
            Empty texts where that cannot be told, as with comments in between.
        """
        lines = self.lines(place.file)[place.line - 1 : place.line - 1 + _MAX_DECLARATION]
        found = _declared("\n".join(line.strip() for line in lines), name)
        annotation, default = (_AFTER.sub(r"\1", _BEFORE.sub(r"\1", text)) for text in found)
        return annotation, default

    def block(self, place: Location) -> tuple[str, ...]:
        """Give a class or function with all that belongs to it, as the file has it.

        Returns:
            Nothing where the file cannot be read or the block has more than 100 lines.
        """
        lines = self.lines(place.file)
        if not 1 <= place.line <= len(lines):
            return ()
        return _few(lines[place.line - 1 : outline.end_line(lines, place.line)])

    def header(self, place: Location) -> tuple[str, ...]:
        """Give the lines from a decorator to the end of its function's header; likewise."""
        lines = self.lines(place.file)
        start = outline.def_line(lines, place.line)
        for number in range(start or len(lines), min(len(lines), (start or 0) + _MAX_BLOCK)):
            if lines[number - 1].split("#")[0].rstrip().endswith(":"):
                return _few(lines[place.line - 1 : number])
        return ()

    def at(self, location: Location) -> Location:
        """Fill in the text of the line, so that a decorator stays the line that is meant."""
        return self._place(location.file, location.line, location.function) or location

    def _place(self, file: str, line: int, function: str) -> Location | None:
        lines = self.lines(file)
        if not 1 <= line <= len(lines):
            return None
        return Location(
            file=file, line=line, function=function, code=lines[line - 1].strip()[:_MAX_LINE]
        )


def _few(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(line[:_MAX_LINE] for line in lines) if len(lines) <= _MAX_BLOCK else ()


def _declared(text: str, name: str) -> tuple[str, str]:
    match = re.search(rf"(?<![\w.]){re.escape(name)}\s*:\s*", text)
    parts, depth, quote = [""], 0, ""
    for char in text[match.end() :] if match else "":
        if quote:
            quote = quote.removesuffix(char)
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif depth and char in ")]}":
            depth -= 1
        elif depth and char == "#":
            break
        elif not depth and char in ")],#\n":
            return (parts[0].strip(), parts[1].strip()) if len(parts) > 1 else ("", "")
        elif not depth and char == "=" and len(parts) == 1:
            parts.append("")
            continue
        parts[-1] += " " if char == "\n" else char
    return "", ""


def user_file_of(thing: Any) -> str:
    """Name the user's file in which a class, or what a module holds, was defined."""
    module = thing
    if not isinstance(thing, ModuleType):
        module = sys.modules.get(getattr(thing, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or USER_CODE.kind(file) != USER:
        return ""
    return USER_CODE.shown(str(Path(file)))


def _class_line(lines: Sequence[str], cls: type) -> int | None:
    """Go down the qualified name: ``outer.<locals>.Model`` is looked for inside of ``outer``."""
    first, last = 1, len(lines)
    for name in cls.__qualname__.split("."):
        if name == "<locals>":
            continue
        head = re.compile(rf"\s*(?:class|(?:async\s+)?def)\s+{re.escape(name)}\b")
        # The last one of its name is the one that the name means in the end.
        found = [n for n in range(first, last + 1) if head.match(lines[n - 1])]
        if not found:
            return None
        first = min(found, key=lambda n: (_indent(lines[n - 1]), -n))
        last = outline.end_line(lines, first)
    return first if lines and lines[first - 1].lstrip().startswith("class") else None


def _line_in_body(lines: Sequence[str], start: int, wanted: re.Pattern[str]) -> int | None:
    """Find the first line of a class's own body, not of a function or class in it, that fits."""
    end = outline.end_line(lines, start)
    body: int | None = None
    for number in range(start + 1, end + 1):
        text = lines[number - 1]
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        if body is None and _indent(text) > _indent(lines[start - 1]):
            body = _indent(text)
        if _indent(text) == body and wanted.match(text.strip()):
            return number
    return None


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
