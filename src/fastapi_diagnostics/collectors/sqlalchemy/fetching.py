"""Counts the rows that are fetched, where the driver does not tell how many there are.

A strategy takes the place of SQLAlchemy's default one for a single result; what it gives back is
what the cursor gave.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from fastapi_diagnostics.faults import FAULTS

MAX_SAMPLED: Final = 10_000
"""Rows of one statement whose keys are looked at."""


UNKNOWN: Final = -1
"""The count of a result that was turned into a stream: other objects fetch its rows."""


class Keys(NamedTuple):
    """Where the keys of joined objects stand in a row.

    Attributes:
        lead: Positions of the primary key of the class that was selected.
        collections: Name of each joined collection, and positions of its primary key.
    """

    lead: tuple[int, ...]
    collections: tuple[tuple[str, tuple[int, ...]], ...]


class Counting:
    """What the strategies below have in common; exists without SQLAlchemy."""

    __slots__ = ()
    count: int


class Sampling(Counting):
    """A count that also tells different objects apart; `found` begins with the lead's."""

    __slots__ = ()
    keys: Keys
    sampled: int
    found: list[set[Any]]


def counted() -> Any:
    """Make a strategy that counts rows."""
    strategy = _strategies()[0]()
    strategy.count = 0
    return strategy


def sampled(keys: Keys) -> Any:
    """Make a strategy that counts rows and the objects in them."""
    strategy = _strategies()[1]()
    strategy.count = strategy.sampled = 0
    strategy.keys = keys
    strategy.found = [set() for _ in range(1 + len(keys.collections))]
    return strategy


@lru_cache(maxsize=1)
def _strategies() -> tuple[type, type]:  # noqa: C901 - two classes of four short methods
    from sqlalchemy.engine.cursor import CursorFetchStrategy  # noqa: PLC0415 - once it is there

    class Counted(Counting, CursorFetchStrategy):
        __slots__ = ("count",)

        def yield_per(self, *arguments: Any, **options: Any) -> None:
            self.count = UNKNOWN
            CursorFetchStrategy.yield_per(self, *arguments, **options)

        def fetchone(self, *arguments: Any, **options: Any) -> Any:
            row = CursorFetchStrategy.fetchone(self, *arguments, **options)
            if row is not None:
                self.count += 1
            return row

        def fetchmany(self, *arguments: Any, **options: Any) -> Any:
            rows = CursorFetchStrategy.fetchmany(self, *arguments, **options)
            self.count += len(rows)
            return rows

        def fetchall(self, *arguments: Any, **options: Any) -> Any:
            rows = CursorFetchStrategy.fetchall(self, *arguments, **options)
            self.count += len(rows)
            return rows

    class Sampled(Sampling, CursorFetchStrategy):
        __slots__ = ("count", "found", "keys", "sampled")

        def yield_per(self, *arguments: Any, **options: Any) -> None:
            self.count = UNKNOWN
            CursorFetchStrategy.yield_per(self, *arguments, **options)

        def fetchone(self, *arguments: Any, **options: Any) -> Any:
            row = CursorFetchStrategy.fetchone(self, *arguments, **options)
            if row is not None:
                _look_at(self, (row,))
            return row

        def fetchmany(self, *arguments: Any, **options: Any) -> Any:
            rows = CursorFetchStrategy.fetchmany(self, *arguments, **options)
            _look_at(self, rows)
            return rows

        def fetchall(self, *arguments: Any, **options: Any) -> Any:
            rows = CursorFetchStrategy.fetchall(self, *arguments, **options)
            _look_at(self, rows)
            return rows

    return Counted, Sampled


def _look_at(strategy: Any, rows: Sequence[Any]) -> None:
    try:
        strategy.count += len(rows)
        seen = rows[: MAX_SAMPLED - strategy.sampled]
        strategy.sampled += len(seen)
        places = (strategy.keys.lead, *(where for _, where in strategy.keys.collections))
        for where, found in zip(places, strategy.found, strict=True):
            if len(where) == 1:
                at = where[0]
                found.update(row[at] for row in seen)
            else:
                found.update(_composite(row, where) for row in seen)
    except Exception as error:  # noqa: BLE001 - a row of a shape we do not know; ours, contained
        FAULTS.note("sql.rows", error)


def _composite(row: Any, where: tuple[int, ...]) -> tuple[Any, ...] | None:
    key = tuple(row[at] for at in where)
    return None if None in key else key
