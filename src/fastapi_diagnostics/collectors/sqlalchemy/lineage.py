"""Which statement loaded an object: told by the numbers that the ORM gives to its passes."""

import re
from array import array
from bisect import bisect_left
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol

from fastapi_diagnostics.callsite import Site, frames
from fastapi_diagnostics.collectors.sqlalchemy.normalise import Normal
from fastapi_diagnostics.collectors.sqlalchemy.private import tables_of
from fastapi_diagnostics.collectors.sqlalchemy.sealing import Common, Raw, Row
from fastapi_diagnostics.record import Frame, Location

_RELOADS: Final = frozenset({"expired", "refresh", "column"})
_MAX_RELOADS: Final = 20
_WRITTEN: Final = re.compile(r"(?:UPDATE|INSERT INTO) (\S+)")


class Ending(NamedTuple):
    """A commit or rollback of a session that expires its objects; `session` is its number."""

    moment: float
    sites: tuple[Site, ...]
    session: int | None = None


class Statements(Protocol):
    """What `SqlPart` has of the statements of a record."""

    rows: list[Row]
    commons: list[Common]
    texts: list[Normal]
    places: list[tuple[Frame, ...]]
    endings: list[Ending]
    dropped_marks: "array[int]"


class Lineage:
    """The statements of a record in the order of the ORM's numbers.

    Args:
        part: Those that are plain values already, in the order of their execution.
        raws: Those that are about to be.
    """

    def __init__(self, part: Statements, raws: list[Raw]) -> None:
        self.rows = part.rows
        self.endings = part.endings
        self._part = part
        self._raws = raws

    @cached_property
    def _by_mark(self) -> dict[int, tuple[int, str, int | None]]:
        known = [(row.run, self.common(row).kind) for row in self.rows]
        known += [(raw.run, raw.facts[0]) for raw in self._raws]
        return {run.mark: (run.number, kind, run.loaded) for run, kind in known}

    @cached_property
    def _marks(self) -> list[int]:
        return sorted([*self._by_mark, *self._part.dropped_marks])

    def common(self, row: Row) -> Common:
        """Give what a statement has in common with others."""
        return self._part.commons[row.common]

    def location(self, row: Row) -> Location | None:
        """Give the user's line that ran a statement."""
        stack = self._part.places[row.place]
        return stack[0].location if stack else None

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
        runs = [row.run for row in self.rows] + [raw.run for raw in self._raws]
        return {run.number: run.started for run in runs}

    def written(self, cls: Any, before: float) -> Location | None:
        """Find the last flush that wrote to a table of a class before a moment."""
        tables = tables_of(cls)
        return next(
            (
                self.location(row)
                for row in reversed(self.rows)
                if row.run.started < before
                and row.run.flush is not None
                and (match := _WRITTEN.match(self._sql(row))) is not None
                and match[1].replace('"', "").replace("`", "") in tables
            ),
            None,
        )

    def _sql(self, row: Row) -> str:
        return self._part.texts[self.common(row).text].sql

    def expiry(self, raw: Raw) -> Location | None:
        """Find what made it necessary to load an object again: a commit, a rollback, a write."""
        if "." in (raw.facts[1] or ""):
            return None if raw.identity is None else self.written(raw.identity[0], raw.run.started)
        loader = self.loader(raw.run.loaded)
        loaded = 0.0 if loader is None else self._moments[loader]
        ending = next(
            (
                ending
                for ending in reversed(self.endings)
                if loaded <= ending.moment < raw.run.started and ending.session == raw.session
            ),
            None,
        )
        places = frames(ending.sites) if ending is not None else ()
        return places[0].location if places else None
