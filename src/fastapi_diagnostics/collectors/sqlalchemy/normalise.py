"""Makes statements comparable: literals and placeholders become ``?``, value lists one entry.

One pass from left to right; every token is looked at once, so the time is linear in the length.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

MAX_SQL: Final = 16 * 1024
MAX_READ: Final = 256 * 1024
CUT: Final = "…"
"""Stands at the end of a statement whose rest was not kept."""
_CACHED_LENGTH: Final = 4 * 1024
_KEY: Final = secrets.token_bytes(16)

_COMMON = r"""
    (?P<comment>--[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z))
  | (?P<dollar>\$(?:[A-Za-z_]\w*)?\$)
  | (?P<place>%\(\w+\)s|%s|\$\d+|(?<![:\w]):[A-Za-z_]\w*|\?\d*)
    (?P<cast>::\w+(?:\(\d+(?:,\s*\d+)?\))?(?:\s+WITH(?:OUT)?\s+TIME\s+ZONE)?(?:\[\])?)?
  | (?P<number>(?<![\w.$])(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?![\w]))
"""
_STANDARD = re.compile(
    r"""
    (?P<text>(?:\b[eE]'(?:[^'\\]|''|\\.)*|(?:\b[nNxXbB])?'(?:[^']|'')*)(?:'|\Z))
  | (?P<name>"(?:[^"]|"")*(?:"|\Z)|\[\w+\])
  |"""
    + _COMMON,
    re.VERBOSE | re.DOTALL,
)
_MYSQL = re.compile(
    r"""
    (?P<text>'(?:[^'\\]|''|\\.)*(?:'|\Z)|"(?:[^"\\]|""|\\.)*(?:"|\Z))
  | (?P<name>`(?:[^`]|``)*(?:`|\Z))
  |"""
    + _COMMON,
    re.VERBOSE | re.DOTALL,
)
_BATCH = re.compile(
    r"\bIN\s*\(\s*(?:\?\s*,|\([^()]*\)\s*,)|\bANY\s*\(\s*(?:ARRAY|\?)"
    r"|\b(?:UNNEST|JSON_EACH|JSONB?_ARRAY_ELEMENTS(?:_TEXT)?|STRING_TO_ARRAY|JSON_TABLE)\s*\([^)]*\?",
    re.IGNORECASE,
)
_IN = re.compile(
    rf"(\bIN\s*\()\s*\?(?:\s*,\s*\?)++\s*(?:\)|(,?[^()?]{{0,20}}\(?[^()?]{{0,20}}{CUT}\Z))",
    re.IGNORECASE,
)
"""A list that was cut may end in a part of a value or of its placeholder."""
_GROUPS = re.compile(r"(\([^()]*+(?:\([^()]*+\)[^()]*+)*+\))(?:\s*,\s*\1)+")
_VERB = re.compile(r"\s*\(*\s*([A-Za-z]+)")
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE)\b")
_LOCKS = re.compile(r"\bFOR (?:NO KEY )?UPDATE\b")


class Normal(NamedTuple):
    """A statement as it is compared and shown.

    Attributes:
        sql: At most 16 KiB.
        verb: First word, upper case; for ``WITH`` the verb that writes, if there is one.
        batch: Whether one execution serves several keys.
        literals: Digest of what was written out in the text; empty if there was nothing.
    """

    sql: str
    verb: str
    batch: bool
    literals: str


def normalise(statement: str, dialect: str) -> Normal:
    """Normalise a statement as it was handed to the driver; short ones are cached."""
    if len(statement) <= _CACHED_LENGTH:
        return _cached(statement, dialect)
    return _normalise(statement, dialect)


def _normalise(statement: str, dialect: str) -> Normal:
    pattern = _MYSQL if dialect in {"mysql", "mariadb"} else _STANDARD
    literals: list[str] = []
    if len(statement) > MAX_READ:
        statement = f"{statement[:MAX_READ]}{CUT}"
    flat = " ".join("".join(_parts(statement, pattern, literals)).split())
    batch = _BATCH.search(flat) is not None
    short = _GROUPS.sub(r"\1", _IN.sub(_one_of, flat))
    if len(short) > MAX_SQL:
        short = f"{short[: MAX_SQL - 1]}{CUT}"
    return Normal(sql=short, verb=_verb(flat), batch=batch, literals=_digest(literals))


def _one_of(match: re.Match[str]) -> str:
    return f"{match[1]}?{CUT if match[2] else ')'}"


_cached = lru_cache(maxsize=1000)(_normalise)


def _digest(literals: list[str]) -> str:
    if not literals:
        return ""
    text = "\0".join(literals).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8, key=_KEY).hexdigest()


def _parts(statement: str, pattern: re.Pattern[str], literals: list[str]) -> Iterator[str]:
    position = 0
    while (match := pattern.search(statement, position)) is not None:
        yield statement[position : match.start()]
        position = match.end()
        kind = match.lastgroup
        if kind == "comment":
            yield " "
        elif kind == "name":
            yield match[0]
        else:
            if kind == "dollar":
                end = statement.find(match[0], position)
                position = len(statement) if end < 0 else end + len(match[0])
            if kind not in {"place", "cast"}:
                literals.append(statement[match.start() : position])
            yield "?"
    yield statement[position:]


def _verb(sql: str) -> str:
    match = _VERB.match(sql)
    verb = match[1].upper() if match else ""
    if verb == "WITH":
        writes = _WRITES.search(_LOCKS.sub("", sql.upper()))
        return writes[1] if writes else "SELECT"
    return verb
