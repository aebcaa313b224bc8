"""Finds functions and names in the text of a module, line by line.

Without `ast`: CPython 3.11 counts its recursion depth for all threads together, so parsing in our
thread could fail a parse that the application (or pytest, while it imports) has under way.
"""

import re
from collections.abc import Iterator, Sequence

_DEF = re.compile(r"(\s*)(?:async\s+)?def\s+\w+")
_RETURN = re.compile(r"\s*return\s+\S")
_TRIPLE = re.compile(r"\"\"\"|'''")
_CLOSING = (")", "]", "}")

Lines = Sequence[str]
"""The lines of a file; line numbers count from one."""


def def_line(lines: Lines, line: int) -> int | None:
    """Go on from a decorator to the ``def`` that it decorates; `None` if none stands there."""
    if not 1 <= line <= len(lines):
        return None
    if _DEF.match(lines[line - 1]):
        return line
    if not lines[line - 1].lstrip().startswith("@"):
        return None
    indent = _indent(lines[line - 1])
    for number in range(line + 1, len(lines) + 1):
        text = lines[number - 1]
        if not text.strip() or _indent(text) > indent or text.lstrip().startswith(("@", *_CLOSING)):
            continue
        return number if _DEF.match(text) else None
    return None


def end_line(lines: Lines, definition: int) -> int:
    """Give the last line of the function whose ``def`` stands at *definition*."""
    indent = _indent(lines[definition - 1])
    last = definition
    quoted = False
    for number in range(definition, len(lines) + 1):
        text = lines[number - 1]
        begins_quoted = quoted
        quoted ^= len(_TRIPLE.findall(text)) % 2 == 1
        if begins_quoted or not text.strip():
            continue
        outside = number > definition and _indent(text) <= indent
        if outside and not text.lstrip().startswith((*_CLOSING, "#")):
            break
        last = number
    return last


def enclosing_def(lines: Lines, line: int) -> int | None:
    """Give the ``def`` of the innermost function around a line; `None` at module level."""
    indent = _indent(lines[line - 1])
    if _DEF.match(lines[line - 1]):
        return line
    for number in range(line - 1, 0, -1):
        match = _DEF.match(lines[number - 1])
        if match and len(match[1]) < indent and end_line(lines, number) >= line:
            return number
    return None


def anchored_line(lines: Lines, definition: int, anchors: Sequence[str]) -> int | None:
    """Find the line of a function that holds one of *anchors*.

    Args:
        lines: Of the file.
        definition: Line of the ``def``.
        anchors: Names that may be written as a key, a keyword, a string or an attribute.

    Returns:
        The first line that writes one as a key, keyword or string; else the first that mentions
        one; else the first ``return`` with a value; else `None`.
    """
    body = list(_code_lines(lines, definition))
    names = "|".join(map(re.escape, anchors)) or r"(?!)"
    searches = (
        re.compile(rf"(['\"])(?:{names})\1|\b(?:{names})\s*=(?!=)"),
        re.compile(rf"\b(?:{names})\b"),
        _RETURN,
    )
    for search in searches:
        found = next((number for number, text in body if search.search(text)), None)
        if found is not None:
            return found
    return None


def code_lines(lines: Lines) -> Iterator[str]:
    """Give the lines of a file without comments and without triple-quoted text."""
    quoted = False
    for text in lines:
        marks = len(_TRIPLE.findall(text))
        was_quoted, quoted = quoted, quoted ^ (marks % 2 == 1)
        if not was_quoted and not marks:
            yield _without_comment(text)


def _code_lines(lines: Lines, definition: int) -> Iterator[tuple[int, str]]:
    """Give the lines below the header, without comments and triple-quoted text."""
    quoted = False
    header = True
    for number in range(definition, end_line(lines, definition) + 1):
        text = lines[number - 1]
        marks = len(_TRIPLE.findall(text))
        was_quoted, quoted = quoted, quoted ^ (marks % 2 == 1)
        if header:
            header = not text.split("#")[0].rstrip().endswith(":")
        elif not was_quoted and not marks:
            yield number, _without_comment(text)


def _without_comment(text: str) -> str:
    before, _, _ = text.partition("  #")
    return "" if text.lstrip().startswith("#") else before


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
