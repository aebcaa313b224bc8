"""Finds the columns that bound values are compared with or written to, in the statement's text.

The names that SQLAlchemy gives to values are not always those of columns: in textual SQL they are
whatever the author chose, and around functions they are those of the function.
"""

import re
from functools import lru_cache
from typing import Final

from fastapi_diagnostics.redaction import is_secret_name

_SCANNED: Final = 65536
MAX_COLUMNS: Final = 20
"""Placeholders whose column is looked for."""
_AROUND: Final = 160
"""Characters on each side of a placeholder in which its column is looked for."""
_NAME: Final = r"[\"`\[]?([A-Za-z_]\w*)[\"`\]]?"
_SIGN: Final = r"(?:==?|<=>|<>|!=|\bI?LIKE\b|\bIN\s*\(|\bIS(?:\s+NOT)?\s+DISTINCT\s+FROM\b)\s*"
_PLACEHOLDER = re.compile(
    r"'(?:[^']|'')*+(?:'|\Z)|--[^\n]*|/\*.*?(?:\*/|\Z)|\"[^\"]*+(?:\"|\Z)|`[^`]*+(?:`|\Z)"
    r"|(%\(\w+\)s|%s|\?|\$\d+|(?<![:\w]):[A-Za-z_]\w*)",
    re.DOTALL,
)
_LEFT = re.compile(
    _NAME + r"(?:::\w+|\s+AS\s+\w+)?[\s)]*" + _SIGN + r"(?:\w*\(\s*)*\Z", re.IGNORECASE
)
_RIGHT = re.compile(r"[\s)]*" + _SIGN + r"(?:\w+\(\s*)*(?:\w+\.)?" + _NAME, re.IGNORECASE)
_INSERT = re.compile(r"\s*(?:INSERT|REPLACE)\b[^(]*+\(([^()]*)\)[^(]*?\bVALUES\s*\(", re.IGNORECASE)
_BRACKETS = re.compile(r"'(?:[^']|'')*+(?:'|\Z)|[(),]")
_WORD = re.compile(r"[A-Za-z_]\w+")


@lru_cache(maxsize=1000)
def secret_word(statement: str) -> str:
    """Give the first word of a statement that is the name of a secret; empty without one."""
    return next((word for word in _WORD.findall(statement[:_SCANNED]) if is_secret_name(word)), "")


@lru_cache(maxsize=1000)
def secret_columns(statement: str) -> tuple[int, tuple[str, ...]]:
    """Name the secret columns of the first placeholders.

    Args:
        statement: As handed to the driver; at most the first 64 Ki characters are read.

    Returns:
        How many placeholders there are, and for the first 20 the secret column or ``""``; nothing
        of them where no column is a secret's.
    """
    if not secret_word(statement):
        return 0, ()
    text = statement[:_SCANNED]
    places = [match.span(1) for match in _PLACEHOLDER.finditer(text) if match[1]]
    insert = _INSERT.match(text)
    found: list[str] = []
    before = (0, 0)
    for place in places[:MAX_COLUMNS]:
        name = _written(text, place[0], insert) or _compared(text, place)
        if not name and found and text[before[1] : place[0]].strip() == ",":
            name = found[-1] if insert is None else ""  # the next one of a list
        found.append(name)
        before = place
    return len(places), tuple(found) if any(found) else ()


def _compared(text: str, place: tuple[int, int]) -> str:
    start, end = place
    left = _LEFT.search(text[max(0, start - _AROUND) : start])
    right = _RIGHT.match(text[end : end + _AROUND])
    return next((m[1] for m in (left, right) if m and is_secret_name(m[1])), "")


def _written(text: str, place: int, insert: re.Match[str] | None) -> str:
    """Count the commas of the row of values that the placeholder stands in."""
    if insert is None or place < insert.end():
        return ""
    depth, number = 1, 0
    for match in _BRACKETS.finditer(text, insert.end(), place):
        if match[0] == "(":
            depth += 1
            number = 0 if depth == 1 else number
        elif match[0] == ")":
            depth -= 1
        elif match[0] == "," and depth == 1:
            number += 1
    columns = insert[1].split(",")
    if depth < 1 or number >= len(columns):
        return ""
    name = columns[number].strip().strip('"`[]')
    return name if is_secret_name(name) else ""
