"""Which columns a statement compares with its values, and which of these change between runs."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from fastapi_diagnostics.record import Query

_PLACE = re.compile(
    r"""
    (?:"?(?P<table>\w+)"?\.)?"?(?P<left>\w+)"?\s*(?:=|\bIN\s*\()\s*\?
  | \?\s*=\s*(?:"?(?P<of>\w+)"?\.)?"?(?P<right>\w+)"?
  | \?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_WHERE = re.compile(r"\bWHERE\b", re.IGNORECASE)
_FROM = re.compile(r'\bFROM\s+(?:"?\w+"?\.)?"?(\w+)"?', re.IGNORECASE)
_MORE = re.compile(r"\b(?:AND|OR)\b", re.IGNORECASE)


class Keys(NamedTuple):
    """Columns of the one table that is asked.

    Attributes:
        changing: Have another value from run to run; at least one.
        same: Are compared with a value as well, which is the same in all runs.
        more: Whether there is any other condition, `same` included.
    """

    changing: tuple[str, ...]
    same: tuple[str, ...]
    more: bool


class _Column(NamedTuple):
    table: str
    name: str


class _Text(NamedTuple):
    """What a statement's text alone tells: `places` as by `_places`, `more` as in `Keys`."""

    places: tuple[_Column | None, ...]
    table: str
    more: bool


def keys_of(queries: list[Query]) -> Keys | None:
    """Tell by which columns alike queries look up their rows.

    Returns:
        `None` where that cannot be told: an expression, columns of joined tables, several
        columns whose values were not kept.
    """
    places, table, more = _read(queries[0].sql)
    changes = _changes(queries, len(places))
    if not any(changes) or not _all_of(table, places, changes):
        return None
    named = [
        (column.name, change) for column, change in zip(places, changes, strict=True) if column
    ]
    return Keys(
        changing=tuple(name for name, change in named if change),
        same=tuple(name for name, change in named if not change),
        more=more,
    )


@lru_cache(maxsize=128)  # an application has few texts; each may be of 16 KiB
def _read(sql: str) -> _Text:
    table = _FROM.search(sql)
    where = _WHERE.search(sql)
    return _Text(
        places=tuple(_places(sql)),
        table=table[1] if table else "",
        more=where is not None and _MORE.search(sql, where.end()) is not None,
    )


def _changes(queries: list[Query], places: int) -> list[bool]:
    """Tell which placeholders had different values; none of them where nobody knows."""
    rows = [query.values for query in queries]
    found: list[bool] = []
    if all(len(row) == places for row in rows):
        found = [len(set(column)) > 1 for column in zip(*rows, strict=True)]
    # The runs differ: where that is not to be seen, as values are redacted, a single one does.
    return found if any(found) else [places == 1] * places


def _all_of(table: str, places: tuple[_Column | None, ...], changes: list[bool]) -> bool:
    """Tell whether what changes is a column, and every column one of the table."""
    return all(
        column.table in {"", table} if column is not None else not change
        for column, change in zip(places, changes, strict=True)
    )


def _places(sql: str) -> Iterator[_Column | None]:
    """Give the column that each placeholder is compared with; `None` for none."""
    for match in _PLACE.finditer(sql):
        name = match["left"] or match["right"]
        yield _Column(match["table"] or match["of"] or "", name) if name else None
