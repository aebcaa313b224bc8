"""What is noted of a request's statements, and what of it outlives the request."""

from array import array
from typing import Any, Final

import msgspec

from fastapi_diagnostics.callsite import Site
from fastapi_diagnostics.collectors.sqlalchemy.eager import Noted, sealed_load, sealed_rows
from fastapi_diagnostics.collectors.sqlalchemy.failures import Failure, sealed_failure
from fastapi_diagnostics.collectors.sqlalchemy.fetching import Sampling
from fastapi_diagnostics.collectors.sqlalchemy.lineage import Ending, Lineage
from fastapi_diagnostics.collectors.sqlalchemy.normalise import Normal, normalise
from fastapi_diagnostics.collectors.sqlalchemy.sealing import (
    MAX_ROWS,
    Common,
    Raw,
    Row,
    common_of,
    parent_key,
    rows_of,
    stack_of,
)
from fastapi_diagnostics.collectors.sqlalchemy.values import described
from fastapi_diagnostics.record import Frame, JoinedRows, Location
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
        rows: Statements as plain values, in the order of their numbers.
        commons: What several of them have in common.
        texts: Their normalised texts; `numbers` tells where each stands.
        places: The user's frames that ran them, innermost first.
        sites: Where the last statement was run.
        shown: How often the values of each normalised text were shown.
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
        self.shown: dict[str, int] = {}
        self.sites: tuple[Site, ...] = ()
        self.raws: list[Raw] = []
        self.rows: list[Row] = []
        self.commons: list[Common] = []
        self.texts: list[Normal] = []
        self.numbers: dict[tuple[str, str], int] = {}
        self.places: list[tuple[Frame, ...]] = []
        self.endings: list[Ending] = []
        self.failures: list[Failure] = []
        self.dropped_marks = array("q")
        self.eager: list[Noted] = []
        self.joined_rows: list[JoinedRows] = []

    def seal(self, recorder: Recorder) -> dict[str, Any]:
        """Turn references into redacted values; what was sealed before stays as it was."""
        raws = self.raws[:]
        del self.raws[: len(raws)]
        lineage = Lineage(self, raws)
        self._seal(raws, lineage, recorder)
        fields: dict[str, Any] = {
            "queries": (recorder.started, self.texts, self.commons, self.places, self.rows),
            "query_count": self.count,
        }
        if self.failures:
            fields["lazy_failures"] = tuple(
                sealed_failure(failure, lineage, recorder) for failure in self.failures
            )
        if self.eager:
            by_number = {row.run.number: row for row in self.rows}
            fields["eager_loads"] = tuple(
                sealed_load(noted, by_number, self.commons, self.texts) for noted in self.eager
            )
        if self.joined_rows:
            fields["joined_rows"] = tuple(self.joined_rows)
        if self.count > self.kept:
            fields["truncated"] = ("queries",)
        return fields

    def absorb(self, other: "SqlPart", *, exceptions: int) -> None:  # noqa: ARG002
        """Take over the statements of a record inside this one."""
        room = max(0, MAX_KEPT - self.kept)
        self.rows += [_moved(row, self) for row in other.rows[:room]]
        texts = len(self.texts)
        self.commons += [common._replace(text=common.text + texts) for common in other.commons]
        self.texts += other.texts
        self.places += other.places
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

    def _seal(self, raws: list[Raw], lineage: Lineage, recorder: Recorder) -> None:
        alike: dict[tuple[int, int, str, int], int] = {}
        sites: tuple[Site, ...] | None = None
        place = 0
        for raw in raws:
            (run, statement, parameters, own, facts, known, identity, dialect, rows, path, *_) = raw
            if own is not sites:  # a loop's statements follow one another
                sites = own
                place = self._place(own)
            expired_at = lineage.expiry(raw) if facts[0] == "expired" else None
            if path is None and not raw.options and facts[0] != "expired":
                key = (id(known), id(facts), statement, id(dialect))  # all held by `raws`
                common = alike.get(key)
                if common is None:
                    common = alike[key] = self._common(raw, None)
            else:
                common = self._common(raw, expired_at)
            normal = self.texts[self.commons[common].text]
            shown = self.shown.get(normal.sql, 0)
            self.shown[normal.sql] = shown + 1
            digest, values = described(
                statement,
                parameters,
                known.names,
                normal.literals,
                recorder.values if shown < MAX_SHOWN else "none",
            )
            row = (
                run,
                common,
                place,
                digest,
                values,
                rows if rows.__class__ is int and 0 < rows < MAX_ROWS else rows_of(raw, normal),
                None if identity is None else parent_key(identity),
                None if run.loaded is None else lineage.loader(run.loaded),
                expired_at,
            )
            self.rows.append(_new(Row, row))
            if rows.__class__ is not int and isinstance(rows, Sampling):
                self.joined_rows.append(sealed_rows(run.number, rows))
        self.rows.sort()  # by number, which comes first

    def _common(self, raw: Raw, expired_at: Location | None) -> int:
        text = self._text(raw.statement, raw.dialect.name)
        self.commons.append(common_of(raw, text, expired_at))
        return len(self.commons) - 1

    def _text(self, statement: str, dialect: str) -> int:
        """Give the position of a normalised text; equal ones of one request share it."""
        number = self.numbers.get((statement, dialect))
        if number is None:
            number = self.numbers[statement, dialect] = len(self.texts)
            self.texts.append(normalise(statement, dialect))
        return number

    def _place(self, sites: tuple[Site, ...]) -> int:
        stack = stack_of(sites)
        if not self.places or self.places[-1] is not stack:
            self.places.append(stack)
        return len(self.places) - 1


_new = tuple.__new__


def _moved(row: Row, outer: SqlPart) -> Row:
    """Move a statement behind those of the record around it, and its tables behind theirs."""
    run = row.run
    return row._replace(
        run=run._replace(
            number=run.number + outer.count,
            flush=None if run.flush is None else run.flush + outer.flushes,
            transaction=run.transaction + outer.transactions,
        ),
        common=row.common + len(outer.commons),
        place=row.place + len(outer.places),
        parent=None if row.parent is None else row.parent + outer.count,
    )
