"""The tables, and the marks by which we know a database as ours."""

import sqlite3

APPLICATION_ID = 0x46444941  # "FDIA" at offset 68 of the file
SCHEMA_VERSION = 1

# ``created_seq`` and ``seq`` come from one counter that only grows, whichever process writes:
# `created_seq` is the order of arrival, `seq` moves when a record is replaced.
# Nothing is NOT NULL: a strange value must not stop the batch it travels in.
_TABLES = """
CREATE TABLE meta (epoch TEXT, seq INTEGER);
INSERT INTO meta VALUES (lower(hex(randomblob(4))), 0);

CREATE TABLE records (
    created_seq INTEGER PRIMARY KEY, seq INTEGER, id TEXT UNIQUE, kind TEXT, state TEXT, name TEXT,
    method TEXT, path TEXT, route TEXT, status INTEGER, started_at TEXT, duration_ms REAL,
    query_count INTEGER, query_ms REAL, codes TEXT, failed_tasks INTEGER, worker INTEGER,
    record BLOB
);
CREATE INDEX records_by_seq ON records (seq, kind);
CREATE INDEX records_by_kind ON records (kind, query_count);

CREATE TABLE groups (
    created_seq INTEGER PRIMARY KEY, fingerprint TEXT UNIQUE, rule TEXT, severity TEXT, state TEXT,
    reason TEXT, occurrences INTEGER, first_seen TEXT, last_seen TEXT, last_record TEXT,
    finding BLOB
);
CREATE INDEX groups_by_last_seen ON groups (last_seen, created_seq);
CREATE INDEX groups_by_state ON groups (state);

CREATE TABLE group_routes (
    position INTEGER PRIMARY KEY, fingerprint TEXT, route TEXT, UNIQUE (fingerprint, route)
);

CREATE TABLE occurrences (
    created_seq INTEGER PRIMARY KEY, record_id TEXT, fingerprint TEXT, severity TEXT, at TEXT,
    finding BLOB, UNIQUE (record_id, fingerprint)
);
CREATE INDEX occurrences_by_group ON occurrences (fingerprint, created_seq);
"""
_TABLE_NAMES = frozenset({"meta", "records", "groups", "group_routes", "occurrences"})


def create(connection: sqlite3.Connection) -> None:
    """Write the tables into an empty database."""
    connection.executescript(
        "PRAGMA auto_vacuum = INCREMENTAL;"  # before the first table; lets `clear` give space back
        f"BEGIN; {_TABLES}"
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )


def tune(connection: sqlite3.Connection, *, busy_ms: int) -> None:
    """Set what belongs to the connection, not to the file.

    Args:
        connection: A new connection.
        busy_ms: How long a statement waits for another process before it gives up.
    """
    connection.execute(f"PRAGMA busy_timeout = {busy_ms}")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_size_limit = 4194304")
    connection.execute("PRAGMA trusted_schema = OFF")
    # Text that is not UTF-8 must not break the page it stands on.
    connection.text_factory = _text


def is_whole(connection: sqlite3.Connection) -> bool:
    """Tell whether the tables are there; reads only."""
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    return names >= _TABLE_NAMES and _has_counter(connection)


def _has_counter(connection: sqlite3.Connection) -> bool:
    sql = "SELECT 1 FROM meta WHERE typeof(seq) = 'integer'"
    return connection.execute(sql).fetchone() is not None


def version(connection: sqlite3.Connection) -> int:
    """Read the version of the tables."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
