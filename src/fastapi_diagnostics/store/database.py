"""One SQLite connection, made anew after a fork, when its file is gone, and after damage."""

import contextlib
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from fastapi_diagnostics.store import files, schema

_BUSY_MS = 250
_PATIENT_BUSY_MS = 1_000
_PRIMARY_CODE = 0xFF
_INCOMPLETE = "tables are missing"

# Connections that were open when the process was forked. SQLite forbids to use or to close them
# in the child, so they are kept from the garbage collector.
_inherited: list[sqlite3.Connection] = []


class Source(Protocol):
    """Where a database is."""

    def connect(self, *, damaged: files.FileId | None) -> sqlite3.Connection:
        """Open it; make it first where needed. *damaged* is the file not to use any more."""
        ...

    def identity(self) -> files.FileId | None:
        """Tell which file stands there now; `None` if there is none."""
        ...


class MemorySource:
    """A database without a file; it is gone with its connection."""

    def connect(self, *, damaged: files.FileId | None) -> sqlite3.Connection:
        """Open an empty one."""
        del damaged  # there is nothing to set aside
        connection = _connect(":memory:")
        schema.create(connection)
        return connection

    def identity(self) -> files.FileId | None:
        """Tell that there is no file."""
        return None


class FileSource:
    """A database in a file.

    Attributes:
        notice: What had to be done to the file that was found; ``""`` when nothing.
    """

    def __init__(self, path: Path, *, own_folder: bool, clock: Callable[[], float]) -> None:
        self.path = path
        self.notice = ""
        self._own_folder = own_folder
        self._clock = clock

    def identity(self) -> files.FileId | None:
        """Tell which file stands at the path now."""
        return files.file_id(self.path)

    def connect(self, *, damaged: files.FileId | None) -> sqlite3.Connection:
        """Open the file; make it where there is none; replace it where it is ours and damaged.

        Raises:
            UnusableFileError: It must not be used.
            OSError: The system does not let us.
            sqlite3.Error: SQLite does not let us.
        """
        if self._own_folder:
            files.prepare_own_folder(self.path.parent)
        files.check_folder(self.path.parent)
        with files.folder_lock(self.path.parent):
            if damaged is not None and self.identity() == damaged:
                self._replace_damaged()
            elif files.examine(self.path) == "missing":
                self._create()
            try:
                return self._open()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
            # The header says that it is ours, the rest cannot be read.
            self._replace_damaged()
            return self._open()

    def _open(self) -> sqlite3.Connection:
        connection = _connect(str(self.path))
        try:
            self._check(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            _refuse_read_only(connection)
            schema.tune(connection, busy_ms=_BUSY_MS)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        if schema.version(connection) > schema.SCHEMA_VERSION:  # its header is still in the WAL
            raise files.UnusableFileError(
                f"{self.path} was written by a newer version; it was left alone."
            )
        if not schema.is_whole(connection):
            raise sqlite3.DatabaseError(_INCOMPLETE)

    def _create(self) -> None:
        """Make it under another name first: whoever finds the file finds it complete."""
        fresh = self.path.with_name(f"{self.path.name}-new")
        fresh.unlink(missing_ok=True)
        files.remove_side_files(fresh)
        os.close(files.create_private(fresh))
        try:
            connection = _connect(str(fresh))
            with contextlib.closing(connection):
                schema.create(connection)
                connection.execute("PRAGMA journal_mode = WAL")
            files.remove_side_files(self.path)
            fresh.replace(self.path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise

    def _replace_damaged(self) -> None:
        if files.belongs_to_others(self.path):
            raise files.UnusableFileError(f"{self.path} is not ours any more; it was left alone.")
        aside = files.set_aside(self.path, str(int(self._clock())))
        self.notice = f"The store was damaged; it was set aside as {aside.name}."
        self._create()


class Database:
    """Holds the connection; its user sees to it that one thread at a time is inside.

    Whoever drops it without closing it leaves nothing open: Python 3.13 and later warn of that.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._connection: sqlite3.Connection | None = None
        self._dropped: weakref.finalize[[sqlite3.Connection, int], Database] | None = None
        self._file: files.FileId | None = None
        self._damaged: files.FileId | None = None

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Give the connection.

        Raises:
            UnusableFileError: It must not be used.
            OSError: The system does not let us.
            sqlite3.Error: Likewise SQLite, or the statements of the block failed.
        """
        try:
            yield self._current()
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                self._damaged = self._file
                self.close()
            raise

    @contextlib.contextmanager
    def transaction(self, *, patient: bool = False) -> Iterator[sqlite3.Connection]:
        """Write all of the block or nothing.

        Args:
            patient: Wait a second for another process instead of a quarter of one.

        Raises:
            UnusableFileError: As `connection` does; likewise `OSError` and `sqlite3.Error`.
        """
        with self.connection() as connection:
            if patient:
                connection.execute(f"PRAGMA busy_timeout = {_PATIENT_BUSY_MS}")
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            finally:
                if patient:
                    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")

    def abandon(self) -> None:
        """Forget the connection without closing it: it is the parent's."""
        if self._connection is not None:
            _inherited.append(self._connection)
        self._forget()

    def close(self) -> None:
        """Close the connection; the next use opens another one."""
        if self._connection is not None:
            _let_go(self._connection, id(self))
        self._forget()

    def _current(self) -> sqlite3.Connection:
        if self._connection is not None and self._source.identity() != self._file:
            self.close()  # somebody removed or replaced the file
        if self._connection is None:
            self._connection = self._source.connect(damaged=self._damaged)
            self._dropped = weakref.finalize(self, _let_go, self._connection, id(self))
            # Not at exit, when a thread may still be inside.
            self._dropped.atexit = False
            self._file = self._source.identity()
            self._damaged = None
            if self._file is not None:
                files.held[id(self)] = self._file
        return self._connection

    def _forget(self) -> None:
        self._connection = None
        if self._dropped is not None:
            self._dropped.detach()
            self._dropped = None
        files.held.pop(id(self), None)


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Tell whether the file itself is broken."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return str(error) == _INCOMPLETE
    return code & _PRIMARY_CODE in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _connect(name: str) -> sqlite3.Connection:
    # Transactions are begun by hand; the store's lock keeps threads apart.
    connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        schema.tune(connection, busy_ms=_PATIENT_BUSY_MS)
    except BaseException:
        connection.close()
        raise
    return connection


def _let_go(connection: sqlite3.Connection, holder: int) -> None:
    with contextlib.suppress(sqlite3.Error):
        connection.close()
    files.held.pop(holder, None)


def _refuse_read_only(connection: sqlite3.Connection) -> None:
    """Find out now that nothing can be written; a lock of another process will pass."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("BEGIN IMMEDIATE")  # is a mere read where nothing can be written
        connection.execute("UPDATE meta SET seq = seq")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY:
            raise
    else:
        connection.execute("ROLLBACK")
