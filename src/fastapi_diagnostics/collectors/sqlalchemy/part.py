"""What is noted of a request's statements, and what of it outlives the request."""

from array import array
from collections import Counter
from typing import Any, Final

import msgspec

from fastapi_diagnostics.callsite import Site
from fastapi_diagnostics.collectors.sqlalchemy.eager import Noted, sealed_load, sealed_rows
from fastapi_diagnostics.collectors.sqlalchemy.failures import Failure, sealed_failure
from fastapi_diagnostics.collectors.sqlalchemy.fetching import Sampling
from fastapi_diagnostics.collectors.sqlalchemy.lineage import Ending, Lineage, Sealed
from fastapi_diagnostics.collectors.sqlalchemy.normalise import normalise
from fastapi_diagnostics.collectors.sqlalchemy.sealing import Raw, sealed_query, stack_of
from fastapi_diagnostics.record import Frame, JoinedRows
from fastapi_diagnostics.recorder import Recorder

MAX_KEPT: Final = 1000
"""Statements of one record that are kept in detail; all are counted."""
MAX_ALIKE: Final = 500
"""Of these, statements of one text: a single loop leaves room for what follows it."""
MAX_SHOWN: Final = 20
"""Executions of one text whose values are shown; the digest is made for all."""
MAX_DROPPED: Final = 100_000
"""Numbers of statements beyond these that are remembered, eight bytes each."""
MAX_STATEMENT: Final = 64 * 1024
MAX_TEXT: Final = 4 * 1024 * 1024
"""Characters of distinct statement texts that are held until the end of the request."""


class SqlPart:
    """The statements of one request.

    Attributes:
        count: All statements, also those that are not kept.
        seen: How often each kept text ran, as it was handed to the driver.
        normal: The same for normalised texts; known once sealed.
        shown: How often the values of each normalised text were shown.
        engines: Numbers of engines, by the identity of their dialect; likewise `tasks` and
            `connections`.
        moved: Whether statements of another record came in, and have to be numbered anew.
        dropped_marks: The ORM's numbers after the statements that were not kept: an object that
            one of them loaded must not be taken for another one's.
        transactions: Commits and rollbacks so far.
        eager: What was loaded along with its parents; holds no object of the application.
    """

    def __init__(self) -> None:
        self.count = 0
        self.kept = 0
        self.flushes = 0
        self.transactions = 0
        self.room = MAX_TEXT
        self.seen: dict[str, int] = {}
        self.normal: Counter[str] = Counter()
        self.shown: dict[str, int] = {}
        self.engines: dict[int, int] = {}
        self.tasks: dict[int, int] = {}
        self.connections: dict[int, int] = {}
        self.moved = False
        self.raws: list[tuple[Any, ...]] = []
        self.sealed: list[Sealed] = []
        self.endings: list[Ending] = []
        self.failures: list[Failure] = []
        self.dropped_marks = array("q")
        self.eager: list[Noted] = []
        self.joined_rows: list[JoinedRows] = []

    def seal(self, recorder: Recorder) -> dict[str, Any]:
        """Turn references into redacted values; what was sealed before stays as it was."""
        raws = [Raw(*entry) for entry in self.raws]
        del self.raws[: len(raws)]
        if self.moved:
            self.sealed = [self._numbered(entry, recorder) for entry in self.sealed]
            self.moved = False
        lineage = Lineage(self.sealed, raws, self.endings, self.dropped_marks)
        self._seal(raws, lineage, recorder)
        fields: dict[str, Any] = {
            "queries": tuple(entry.query for entry in self.sealed),
            "query_count": self.count,
        }
        if self.failures:
            fields["lazy_failures"] = tuple(
                sealed_failure(failure, lineage, recorder) for failure in self.failures
            )
        if self.eager:
            by_index = {entry.query.index: entry.query for entry in self.sealed}
            fields["eager_loads"] = tuple(sealed_load(noted, by_index) for noted in self.eager)
        if self.joined_rows:
            fields["joined_rows"] = tuple(self.joined_rows)
        if self.count > self.kept:
            fields["truncated"] = ("queries",)
        return fields

    def absorb(self, other: "SqlPart", *, exceptions: int) -> None:  # noqa: ARG002
        """Take over the statements of a record inside this one."""
        room = max(0, MAX_KEPT - self.kept)
        self.sealed += (shifted(entry, self) for entry in other.sealed[:room])
        self.kept = min(MAX_KEPT, self.kept + other.kept)
        moved = self.count
        self.count += other.count
        self.flushes += other.flushes
        self.transactions += other.transactions
        self.endings += other.endings
        self.failures += other.failures
        self.dropped_marks += other.dropped_marks
        self.eager += (noted._replace(number=noted.number + moved) for noted in other.eager)
        self.joined_rows += (
            msgspec.structs.replace(rows, query=rows.query + moved) for rows in other.joined_rows
        )
        self.moved = True

    def _seal(self, raws: list[Raw], lineage: Lineage, recorder: Recorder) -> None:
        normals = [normalise(raw.statement, raw.dialect.name) for raw in raws]
        self.normal.update(normal.sql for normal in normals)
        sites: tuple[Site, ...] = ()
        stack: tuple[Frame, ...] = ()
        for raw, normal in zip(raws, normals, strict=True):
            if raw.sites != sites:  # a loop's statements follow one another
                sites, stack = raw.sites, stack_of(raw.sites)
            shown = self.shown.get(normal.sql, 0)
            self.shown[normal.sql] = shown + 1
            query = sealed_query(
                raw,
                normal,
                recorder,
                location=stack[0].location if stack else None,
                stack=stack if self.normal[normal.sql] > 1 or raw.facts[0] == "lazy" else (),
                mode=recorder.values if shown < MAX_SHOWN else "none",
                engine=self.engines.setdefault(id(raw.dialect), len(self.engines)),
                task=self.tasks.setdefault(raw.task, len(self.tasks)),
                connection=self.connections.setdefault(raw.connection, len(self.connections)),
                parent=lineage.loader(raw.run),
                expired_at=lineage.expiry(raw) if raw.facts[0] == "expired" else None,
            )
            if raw.rows.__class__ is not int and isinstance(raw.rows, Sampling):
                self.joined_rows.append(sealed_rows(raw.number, raw.rows))
            engine = id(raw.dialect)
            self.sealed.append(
                Sealed(query, raw.started, raw.mark, engine, raw.task, raw.run, raw.connection)
            )
        self.sealed.sort(key=lambda entry: entry.query.index)

    def _numbered(self, entry: Sealed, recorder: Recorder) -> Sealed:
        """Number a statement that came from another record as one of this one."""
        query = msgspec.structs.replace(
            entry.query,
            started_ms=recorder.ms(entry.moment),
            engine=self.engines.setdefault(entry.engine, len(self.engines)),
            task=self.tasks.setdefault(entry.task, len(self.tasks)),
            connection=self.connections.setdefault(entry.connection, len(self.connections)),
        )
        return entry._replace(query=query)


def shifted(entry: Sealed, outer: SqlPart) -> Sealed:
    """Move a statement behind those of the record around it."""
    query = entry.query
    parent = query.parent_query
    moved = msgspec.structs.replace(
        query,
        index=query.index + outer.count,
        flush=None if query.flush is None else query.flush + outer.flushes,
        transaction=query.transaction + outer.transactions,
        parent_query=None if parent is None else parent + outer.count,
    )
    return entry._replace(query=moved)
