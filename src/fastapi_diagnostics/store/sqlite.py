"""The store over SQLite, in a file or in memory."""

import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TypeVar

from fastapi_diagnostics.finding import FindingState, Group, Occurrence
from fastapi_diagnostics.locks import Lock
from fastapi_diagnostics.store import pruning, reading, writing
from fastapi_diagnostics.store.backlog import Backlog
from fastapi_diagnostics.store.database import Database, MemorySource, Source
from fastapi_diagnostics.store.entries import Entry, encode_report
from fastapi_diagnostics.store.files import UnusableFileError
from fastapi_diagnostics.store.limits import Limits
from fastapi_diagnostics.store.protocol import (
    Changes,
    FindingQuery,
    Page,
    Report,
    RequestQuery,
    RequestSummary,
    ScanQuery,
    StoredRequest,
    StoreStatus,
    Totals,
)
from fastapi_diagnostics.store.rows import RowReader

T = TypeVar("T")

# What the world may do to a store; such writes are tried again.
_FAULTS = (sqlite3.OperationalError, sqlite3.DatabaseError, OSError, UnusableFileError)
# What a single report may do to a write; such a report is dropped.
_POISON = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)
# What a visitor may ask for that SQLite cannot even be asked.
_ODD_QUESTIONS = (UnicodeError, OverflowError)

_NO_TOTALS = Totals(
    requests=0, queries=0, groups_open=0, groups_resolved=0, groups_ignored=0, bytes=0
)


class SqliteStore:
    """Keeps reports in SQLite; see `fastapi_diagnostics.store.protocol.Store`.

    One connection and one lock for each process; after a fork the child makes its own.
    Requests are listed in the order of their arrival; records of kind ``process`` are kept and
    found by id, but are no requests: lists, totals and changes leave them out.
    """

    def __init__(
        self,
        source: Source,
        *,
        limits: Limits,
        clock: Callable[[], float],
        kind: str,
        wanted: str,
        where: str = "",
        problem: str = "",
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is opened before the first use.

        Args:
            source: Where the database is.
            limits: How much is kept.
            clock: Seconds since the epoch.
            kind: For the status, as are *wanted*, *where* and *problem*.
            wanted: The URL without secrets.
            where: The file.
            problem: Why this is not what was asked for.
            steady: Seconds from anywhere that no one sets; a jump of *clock* ages no record.
        """
        self._source = source
        self._limits = limits
        self._about = {"kind": kind, "wanted": wanted, "where": where}
        self._problem = problem
        self._lock = Lock()
        self._database = Database(source)
        self._backlog = Backlog(clock)
        self._reader = RowReader()
        self._unannounced: set[str] = set()
        self._pruner = pruning.Pruner(limits, clock, steady)
        self._read_errors = 0
        _stores.add(self)

    def open(self) -> None:
        """Open the database now, to learn whether it can be.

        Raises:
            UnusableFileError: It must not be used.
            OSError: The system does not let us.
            sqlite3.Error: SQLite does not let us.
        """
        with self._lock, self._database.connection() as connection:
            reading.count_totals(connection)

    def save(self, reports: Sequence[Report]) -> frozenset[str]:
        """Keep *reports*, or hold them back while the database cannot be written."""
        with self._lock:
            entries = self._encode(reports)
            if self._backlog.due:
                self._write(entries)
            else:
                self._backlog.keep(entries)
            news = frozenset(self._unannounced)
            self._unannounced.clear()
            return news

    def findings(self, query: FindingQuery) -> Page[Group]:
        """List groups, last seen first, or the findings of one request as the rules gave them."""
        return self._read(
            lambda connection: reading.list_findings(connection, query, self._reader),
            Page[Group](items=()),
        )

    def finding(self, fingerprint: str) -> Group | None:
        """Give one group, `None` if there is none."""
        return self._read(
            lambda connection: reading.find_group(connection, fingerprint, self._reader), None
        )

    def occurrences(
        self, fingerprint: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Occurrence]:
        """List the requests of one group that are still kept, newest first."""
        return self._read(
            lambda connection: reading.list_occurrences(
                connection, fingerprint, limit, cursor, self._reader
            ),
            Page[Occurrence](items=()),
        )

    def requests(self, query: RequestQuery) -> Page[RequestSummary]:
        """List requests and captures, newest first."""
        return self._read(
            lambda connection: reading.list_requests(connection, query, self._reader),
            Page[RequestSummary](items=()),
        )

    def request(self, record_id: str) -> StoredRequest | None:
        """Give one record of any kind, `None` if it is not (or no longer) kept."""

        def find(connection: sqlite3.Connection) -> StoredRequest | None:
            return reading.find_request(connection, record_id, self._reader)

        found = self._read(find, None)
        with self._lock:
            waiting = self._backlog.of(record_id)
            return self._read_waiting(waiting, find, found) if waiting else found

    def scan(self, query: ScanQuery, facts: type[T]) -> Page[T]:
        """Read some fields of many records of any kind, newest first."""
        return self._read(
            lambda connection: reading.scan_records(connection, query, facts, self._reader),
            Page[T](items=()),
        )

    def changes(self, since: str | None) -> Changes:
        """Count what is new since a token, whichever process wrote it."""
        nothing = Changes(token=since or "", requests=0, findings=0, groups=0)
        return self._read(lambda connection: reading.count_changes(connection, since), nothing)

    def set_state(self, fingerprint: str, state: FindingState, reason: str = "") -> bool:
        """Mark a group; `False` if there is none or the database cannot be written."""
        with self._lock:
            try:
                with self._database.transaction(patient=True) as connection:
                    return writing.write_state(connection, fingerprint, state, reason)
            except (*_FAULTS, *_ODD_QUESTIONS) as error:
                self._backlog.failed(str(error))
                return False

    def clear(self) -> None:
        """Forget everything, also what waits to be written."""
        with self._lock:
            self._backlog.clear()
            self._unannounced.clear()
            try:
                with self._database.transaction(patient=True) as connection:
                    writing.delete_all(connection)
                with self._database.connection() as connection:
                    pruning.give_back(connection)
                    pruning.wipe_log(connection)
            except _FAULTS as error:
                self._backlog.failed(str(error))

    def status(self) -> StoreStatus:
        """Tell how the store is."""
        with self._lock:
            totals = self._read(reading.count_totals, _NO_TOTALS)
            return StoreStatus(
                **self._about,
                problem=self._present_problem(),
                errors=self._backlog.errors,
                max_requests=self._limits.max_requests,
                max_age_hours=self._limits.max_age_hours,
                max_bytes=self._limits.max_bytes,
                totals=totals,
                waiting=len(self._backlog),
                dropped=self._backlog.dropped,
                unreadable=self._reader.unreadable + self._read_errors,
            )

    def close(self) -> None:
        """Write what waits and let go of the file; a later use opens it again."""
        with self._lock:
            if len(self._backlog):
                self._write([])
            self._database.close()

    def forget_parent(self) -> None:
        """Start over in a forked child: the connection is the parent's."""
        self._database.abandon()
        self._backlog.clear()
        self._unannounced.clear()

    def _encode(self, reports: Sequence[Report]) -> list[Entry]:
        entries = []
        for report in reports:
            try:
                entries.append(encode_report(report))
            except Exception as error:  # noqa: BLE001  # evidence may hold anything; drop, count
                self._drop(error)
        return entries

    def _write(self, entries: list[Entry]) -> None:
        """Write *entries* after those that wait; keep all of them if that fails."""
        pending = [*self._backlog.take(), *entries]
        try:
            self._write_all(pending)
        except _POISON:
            self._write_singly(pending)
        except _FAULTS as error:
            self._backlog.failed(str(error))
            self._backlog.keep(pending)
        except Exception:  # noqa: BLE001  # a value that cannot be bound; find out which
            self._write_singly(pending)

    def _write_all(self, entries: list[Entry]) -> None:
        with self._database.transaction() as connection:
            news = writing.write_entries(connection, entries)
        self._unannounced |= news
        self._backlog.succeeded()
        self._pruner.saved(len(entries), sum(entry.size for entry in entries))
        if self._pruner.due:
            self._prune()

    def _write_singly(self, entries: list[Entry]) -> None:
        for position, entry in enumerate(entries):
            try:
                self._write_all([entry])
            except _POISON as error:
                self._drop(error)
            except _FAULTS as error:
                self._backlog.failed(str(error))
                self._backlog.keep(entries[position:])
                return
            except Exception as error:  # noqa: BLE001  # this is the one; drop, count
                self._drop(error)

    def _prune(self) -> None:
        try:
            with self._database.transaction() as connection:
                self._pruner.prune(connection)
            with self._database.connection() as connection:
                pruning.give_back_much(connection)
        except _FAULTS as error:
            self._backlog.failed(str(error))

    def _read(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        with self._lock:
            if len(self._backlog) and self._backlog.due:
                self._write([])
            try:
                with self._database.connection() as connection:
                    return work(connection)
            except (*_FAULTS, TypeError):  # a `TypeError` comes of a row that was tampered with
                self._read_errors += 1
                return self._read_waiting(self._backlog.all(), work, otherwise)
            except _ODD_QUESTIONS:
                return otherwise

    def _read_waiting(
        self, entries: list[Entry], work: Callable[[sqlite3.Connection], T], otherwise: T
    ) -> T:
        """Read what could not be written yet, as if it were all there is."""
        database = Database(MemorySource())
        try:
            with database.transaction() as connection:
                writing.write_entries(connection, entries)
                return work(connection)
        except (*_FAULTS, *_POISON, *_ODD_QUESTIONS, TypeError):
            return otherwise
        finally:
            database.close()

    def _drop(self, error: Exception) -> None:
        self._backlog.errors += 1
        self._backlog.dropped += 1
        self._backlog.cause = f"A report could not be kept: {type(error).__name__}"

    def _present_problem(self) -> str:
        if self._problem:
            return self._problem
        waiting = len(self._backlog)
        if waiting:
            return f"Writing fails ({self._backlog.cause}); reports held in memory: {waiting}."
        return self._backlog.cause or getattr(self._source, "notice", "")


_stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()


def _forget_parents() -> None:
    for store in _stores:
        store.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)
