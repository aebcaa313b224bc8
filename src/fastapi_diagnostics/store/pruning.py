"""Keeps the tables within their limits; runs inside a transaction that the caller opened."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime

from fastapi_diagnostics.store.limits import Limits

_MOST_SAVES = 500
_AGE_PART = 20
_LEAST_PAUSE_S = 1.0
_ROUNDS = 20  # each takes a tenth of what is left: an eighth remains after twenty
_PART = 10
_UNUSED_PART = 4  # more than a round of pruning frees of a full store

# Only what arrived before every fresh record goes by age: records whose clock was wrong for a
# while stay until their neighbours go.
_AGED = """
SELECT coalesce(
    (SELECT min(created_seq) FROM records WHERE started_at >= ?),
    (SELECT max(created_seq) + 1 FROM records)
)
"""
_SURPLUS = "SELECT created_seq + 1 FROM records ORDER BY created_seq DESC LIMIT 1 OFFSET ?"
_OLDEST = "SELECT created_seq + 1 FROM records ORDER BY created_seq LIMIT 1 OFFSET ?"
_OLDEST_GROUPS = """
DELETE FROM groups WHERE created_seq IN (
    SELECT created_seq FROM groups ORDER BY state = 'ignored', last_seen, created_seq LIMIT ?
)
"""


class Pruner:
    """Tells when it is time to prune, and by which time records age."""

    def __init__(
        self, limits: Limits, clock: Callable[[], float], steady: Callable[[], float]
    ) -> None:
        """Be due at the first save; *clock* and *steady* as for the store."""
        self._limits = limits
        self._clock = clock
        self._steady = steady
        self._opened = (clock(), steady())
        self._saves = _MOST_SAVES
        self._bytes = 0
        self._pruned = steady()
        self._pause_s = max(_LEAST_PAUSE_S, limits.max_age_hours * 3600 / _AGE_PART)

    @property
    def due(self) -> bool:
        """Whether a tenth of the records, a twentieth of the bytes or of the age came since."""
        often = min(_MOST_SAVES, self._limits.max_requests // 10)
        return (
            self._saves >= often
            or self._bytes >= self._limits.max_bytes // 20
            or self._steady() - self._pruned >= self._pause_s
        )

    def saved(self, count: int, size: int) -> None:
        """Note that *count* records of *size* bytes came."""
        self._saves += count
        self._bytes += size

    def prune(self, connection: sqlite3.Connection) -> None:
        """Prune; a clock that is set forward makes no record old."""
        self._saves = self._bytes = 0
        self._pruned = self._steady()
        opened, opened_steady = self._opened
        now = min(self._clock(), opened + self._steady() - opened_steady)
        prune(connection, self._limits, now)


def prune(connection: sqlite3.Connection, limits: Limits, now: float) -> None:
    """Delete the oldest records and groups beyond *limits*.

    Args:
        connection: Inside a transaction.
        limits: What may stay.
        now: Seconds since the epoch.
    """
    _delete_before(connection, connection.execute(_AGED, (_cutoff(limits, now),)).fetchone())
    _delete_before(connection, connection.execute(_SURPLUS, (limits.max_requests,)).fetchone())
    groups = _count(connection, "SELECT count(*) FROM groups")
    if groups > limits.max_groups:
        _delete_groups(connection, groups - limits.max_groups)
    if used_bytes(connection) > limits.max_bytes:
        _prune_bytes(connection, limits.max_bytes)


def give_back_much(connection: sqlite3.Connection) -> None:
    """Shrink the database where much of it is unused; outside a transaction.

    What the next records will fill stays: to give it back would move pages for nothing, and was
    measured to take as long as all other work of a save.
    """
    unused = _count(connection, "PRAGMA freelist_count")
    if unused > _count(connection, "PRAGMA page_count") // _UNUSED_PART:
        give_back(connection)


def give_back(connection: sqlite3.Connection) -> None:
    """Shrink the database by all that is unused; outside a transaction."""
    # `execute` would stop after one page: the pragma takes a step for each and has no columns.
    connection.executescript("PRAGMA incremental_vacuum")


def wipe_log(connection: sqlite3.Connection) -> None:
    """Empty the write-ahead log as well, so that what was deleted leaves the disk."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def used_bytes(connection: sqlite3.Connection) -> int:
    """Give the size of the database without its unused pages."""
    pages = _count(connection, "PRAGMA page_count") - _count(connection, "PRAGMA freelist_count")
    return pages * _count(connection, "PRAGMA page_size")


def _prune_bytes(connection: sqlite3.Connection, max_bytes: int) -> None:
    target = max_bytes * 9 // 10  # so that the next save does not start over
    for _ in range(_ROUNDS):
        records = _count(connection, "SELECT count(*) FROM records")
        if records > 1:
            part = max(1, records // _PART)
            _delete_before(connection, connection.execute(_OLDEST, (part - 1,)).fetchone())
        else:
            groups = _count(connection, "SELECT count(*) FROM groups")
            _delete_groups(connection, max(1, groups // _PART))
        if used_bytes(connection) <= target:
            return


def _cutoff(limits: Limits, now: float) -> str:
    # A limit of thousands of years means "never" and must not overflow.
    oldest = max(0.0, now - limits.max_age_hours * 3600)
    return datetime.fromtimestamp(oldest, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _delete_before(connection: sqlite3.Connection, found: tuple[int | None] | None) -> None:
    """Delete records that arrived before *found* with their occurrences; groups keep counts."""
    if found is None or found[0] is None:
        return
    connection.execute(
        "DELETE FROM occurrences WHERE record_id IN (SELECT id FROM records WHERE created_seq < ?)",
        found,
    )
    connection.execute("DELETE FROM records WHERE created_seq < ?", found)


def _delete_groups(connection: sqlite3.Connection, count: int) -> None:
    connection.execute(_OLDEST_GROUPS, (count,))
    for table in ("group_routes", "occurrences"):
        connection.execute(
            f"DELETE FROM {table} WHERE fingerprint NOT IN (SELECT fingerprint FROM groups)"  # noqa: S608  # our own names
        )


def _count(connection: sqlite3.Connection, sql: str) -> int:
    found: int = connection.execute(sql).fetchone()[0]
    return found
