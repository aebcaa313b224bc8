"""Which statement loaded an object: told by the numbers that the ORM gives to its passes."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from fastapi_diagnostics.callsite import Site, frames
from fastapi_diagnostics.collectors.sqlalchemy.private import tables_of
from fastapi_diagnostics.collectors.sqlalchemy.sealing import Raw
from fastapi_diagnostics.record import Location, Query

_RELOADS: Final = frozenset({"expired", "refresh", "column"})
_MAX_RELOADS: Final = 20
_WRITTEN: Final = re.compile(r"(?:UPDATE|INSERT INTO) (\S+)")


class Sealed(NamedTuple):
    """A statement as plain values.

    Attributes:
        moment: Reading of the clock at its start.
        mark: The ORM's number right after it.
        engine: Identity of its dialect, of which each engine has one of its own.
        run: The number that the ORM had given to the state whose attribute was loaded.
        connection: Identity of SQLAlchemy's connection.
    """

    query: Query
    moment: float
    mark: int
    engine: int
    task: int
    run: int | None
    connection: int = 0


class Ending(NamedTuple):
    """A commit or rollback of a session that expires its objects; `session` is its number."""

    moment: float
    sites: tuple[Site, ...]
    session: int | None = None


class Lineage:
    """The statements of a record in the order of the ORM's numbers.

    Args:
        sealed: Those that are plain values already, in the order of their execution.
        raws: Those that are about to be.
        endings: Commits and rollbacks.
        dropped_marks: Numbers after the statements that were not kept.
    """

    def __init__(
        self,
        sealed: list[Sealed],
        raws: list[Raw],
        endings: list[Ending],
        dropped_marks: Sequence[int],
    ) -> None:
        self.sealed = sealed
        self.endings = endings
        self._by_mark = {
            entry.mark: (entry.query.index, entry.query.kind, entry.run) for entry in sealed
        } | {raw.mark: (raw.number, raw.facts[0], raw.run) for raw in raws}
        self._raws = raws
        self._marks = sorted([*self._by_mark, *dropped_marks])

    def loader(self, run: int | None) -> int | None:
        """Find the statement that loaded the state with this number, past mere reloads of it.

        Returns:
            Its `Query.index`; `None` if it was loaded outside of this record, or by a statement
            that was not kept.
        """
        for _ in range(_MAX_RELOADS):
            if run is None:
                return None
            position = bisect_left(self._marks, run)
            entry = self._by_mark.get(self._marks[position - 1]) if position else None
            if entry is None:
                return None
            number, kind, before = entry
            if kind not in _RELOADS or before is None:
                return None if kind == "core" else number
            run = before
        return None

    @cached_property
    def _moments(self) -> dict[int, float]:
        sealed = {entry.query.index: entry.moment for entry in self.sealed}
        return sealed | {raw.number: raw.started for raw in self._raws}

    def written(self, cls: Any, before: float) -> Location | None:
        """Find the last flush that wrote to a table of a class before a moment."""
        tables = tables_of(cls)
        return next(
            (
                entry.query.location
                for entry in reversed(self.sealed)
                if entry.moment < before
                and entry.query.flush is not None
                and (match := _WRITTEN.match(entry.query.sql)) is not None
                and match[1].replace('"', "").replace("`", "") in tables
            ),
            None,
        )

    def expiry(self, raw: Raw) -> Location | None:
        """Find what made it necessary to load an object again: a commit, a rollback, a write."""
        if "." in (raw.facts[1] or ""):
            return None if raw.identity is None else self.written(raw.identity[0], raw.started)
        loader = self.loader(raw.run)
        loaded = 0.0 if loader is None else self._moments[loader]
        ending = next(
            (
                ending
                for ending in reversed(self.endings)
                if loaded <= ending.moment < raw.started and ending.session == raw.session
            ),
            None,
        )
        places = frames(ending.sites) if ending is not None else ()
        return places[0].location if places else None
