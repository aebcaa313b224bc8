"""Colours source lines: tokens for the template, not a parser.

A snippet begins and ends anywhere, so that only what one line tells is coloured.
"""

import keyword
import re
from collections.abc import Callable

import msgspec

from fastapi_diagnostics.outputs.dashboard.sql_layout import laid_out

_PYTHON = re.compile(
    r"""
    (?P<c>\#.*)
  | (?P<s>[rbfuRBFU]{0,2}(?:
        \"\"\".*?(?:\"\"\"|$)|'''.*?(?:'''|$)|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?
    ))
  | (?P<n>\b\d[\d_.]*\b)
  | (?P<d>^\s*@[\w.]+)
  | (?P<k>[^\W\d]\w*)
    """,
    re.VERBOSE | re.MULTILINE,
)
_SQL = re.compile(
    r"""
    (?P<c>--.*)
  | (?P<s>'(?:[^']|'')*'?)
  | (?P<n>\b\d[\d.]*\b)
  | (?P<m>\?)
  | (?P<k>[^\W\d]\w*)
    """,
    re.VERBOSE,
)
_SQL_WORDS = frozenset(
    word
    for line in (
        "all and any as asc begin between by case commit cross delete desc distinct else end",
        "except exists explain false for from full group having in inner insert intersect into is",
        "join lateral left like limit natural not null offset on or order outer over partition",
        "recursive release returning right rollback savepoint select set then true union update",
        "using values when where with",
    )
    for word in line.split()
)
_PYTHON_WORDS = frozenset(keyword.kwlist)
_COLUMNS = re.compile(r"^(SELECT(?: DISTINCT)?) (.+?) FROM\b", re.DOTALL)
_COLUMNS_SHOWN = 3
_MAX_COLOURED = 20_000


class Token(msgspec.Struct, frozen=True):
    """A piece of code and its class; an empty class is plain text.

    Classes are one letter, for there are many: comment, string, number, decorator, mark, keyword.
    """

    text: str
    kind: str = ""


def python(code: str) -> tuple[Token, ...]:
    """Colour Python."""
    return _tokens(_PYTHON, code, _PYTHON_WORDS.__contains__)


def sql(statement: str) -> tuple[Token, ...]:
    """Colour a statement, each clause on its own line."""
    return _tokens(_SQL, laid_out(statement), _is_sql_word)


def sql_line(statement: str, length: int) -> tuple[Token, ...]:
    """Colour a statement on one line: a long list of columns is cut before anything else."""
    line = " ".join(statement.split())
    match = _COLUMNS.match(line)
    if match is not None:
        names = match[2].split(", ")
        if len(names) > _COLUMNS_SHOWN and "(" not in match[2]:
            shown = ", ".join(names[:2])
            rest = line[match.end(2) :]
            line = f"{match[1]} {shown}, … {len(names) - 2} more{rest}"
    if len(line) > length:
        line = line[: length - 1] + "…"
    return _tokens(_SQL, line, _is_sql_word)


def _is_sql_word(word: str) -> bool:
    return word.lower() in _SQL_WORDS


def _tokens(pattern: re.Pattern[str], code: str, known: Callable[[str], bool]) -> tuple[Token, ...]:
    if len(code) > _MAX_COLOURED:
        return (Token(code),)
    tokens: list[Token] = []
    end = 0
    for match in pattern.finditer(code):
        kind = match.lastgroup or ""
        if kind == "k" and not known(match[0]):
            continue
        if match.start() > end:
            tokens.append(Token(code[end : match.start()]))
        tokens.append(Token(match[0], kind))
        end = match.end()
    if end < len(code):
        tokens.append(Token(code[end:]))
    return tuple(tokens)
