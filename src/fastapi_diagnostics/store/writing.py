"""Writes reports into the tables; runs inside a transaction that the caller opened."""

import itertools
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from fastapi_diagnostics.finding import FindingState
from fastapi_diagnostics.store.entries import Entry, FindingEntry

_MAX_ROUTES = 50

# Placeholders have no numbers: Python 3.12.0 to 3.12.3 warns of them.
# A replaced record keeps `created_seq`, its place in the list.
_RECORD = """
INSERT INTO records (
    created_seq, seq, id, kind, state, name, method, path, route, status, started_at, duration_ms,
    query_count, query_ms, codes, failed_tasks, worker, record
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    seq = excluded.seq, kind = excluded.kind, state = excluded.state, name = excluded.name,
    method = excluded.method, path = excluded.path, route = excluded.route,
    status = excluded.status, started_at = excluded.started_at,
    duration_ms = excluded.duration_ms, query_count = excluded.query_count,
    query_ms = excluded.query_ms, codes = excluded.codes, failed_tasks = excluded.failed_tasks,
    worker = excluded.worker, record = excluded.record
"""
_KNOWN = """
SELECT record_id, fingerprint FROM occurrences WHERE record_id IN (SELECT value FROM json_each(?))
"""
_OCCURRENCE = """
INSERT INTO occurrences (created_seq, record_id, fingerprint, severity, at, finding)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (record_id, fingerprint) DO UPDATE SET
    severity = excluded.severity, at = excluded.at, finding = excluded.finding
"""
_NEW_GROUP = """
INSERT INTO groups (
    created_seq, fingerprint, rule, severity, state, reason, occurrences, first_seen, last_seen,
    last_record, finding
) VALUES (?, ?, ?, ?, 'open', '', 1, ?, ?, ?, ?)
"""
_SEEN_AGAIN = """
UPDATE groups SET
    occurrences = occurrences + :fresh,
    state = iif(:reopened, 'open', state),
    reason = iif(:reopened, '', reason),
    first_seen = min(first_seen, :at)
WHERE fingerprint = :fingerprint
"""
# The amendment of an old record does not hide a newer one.
_LATEST = """
UPDATE groups SET rule = ?, severity = ?, last_seen = ?, last_record = ?, finding = ?
WHERE fingerprint = ? AND coalesce(last_seen <= ?, 1)
"""
_ROUTE = """
INSERT OR IGNORE INTO group_routes (fingerprint, route)
SELECT ?, ? WHERE (SELECT count(*) FROM group_routes WHERE fingerprint = ?) < ?
"""
# What the user ignored stays ignored, even if its only request turned out not to have it.
_EMPTY_GROUP = """
DELETE FROM groups WHERE fingerprint = ? AND occurrences <= 0 AND state != 'ignored'
"""
_NEWEST_LEFT = """
SELECT severity, at, record_id, finding FROM occurrences WHERE fingerprint = ?
ORDER BY at DESC, created_seq DESC LIMIT 1
"""


def write_entries(connection: sqlite3.Connection, entries: Iterable[Entry]) -> set[str]:
    """Keep *entries*; give the fingerprints that are new, or were resolved and came back."""
    latest = {entry.id: entry for entry in entries}
    start: int = connection.execute("SELECT seq FROM meta").fetchone()[0]
    numbers = itertools.count(start + 1)
    connection.executemany(
        _RECORD, [(number := next(numbers), number, *entry.columns) for entry in latest.values()]
    )
    known = _known(connection, latest)
    news: set[str] = set()
    for entry in latest.values():
        if entry.findings or entry.id in known:
            news |= _write_findings(connection, entry, known.get(entry.id, set()), numbers)
    connection.execute("UPDATE meta SET seq = ?", (next(numbers),))
    return news


def write_state(
    connection: sqlite3.Connection, fingerprint: str, state: FindingState, reason: str
) -> bool:
    """Mark a group; `False` if there is none."""
    found = connection.execute(
        "UPDATE groups SET state = ?, reason = ? WHERE fingerprint = ?",
        (state, reason, fingerprint),
    )
    return found.rowcount > 0


def delete_all(connection: sqlite3.Connection) -> None:
    """Forget everything but the counter: tokens given out stay behind what comes."""
    for table in ("records", "groups", "group_routes", "occurrences"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608  # our own names


def _known(
    connection: sqlite3.Connection, latest: Mapping[str, Entry]
) -> defaultdict[str, set[str]]:
    known: defaultdict[str, set[str]] = defaultdict(set)
    ids = msgspec.json.encode(list(latest)).decode()
    for record_id, fingerprint in connection.execute(_KNOWN, (ids,)):
        known[record_id].add(fingerprint)
    return known


def _write_findings(
    connection: sqlite3.Connection, entry: Entry, known: set[str], numbers: Iterator[int]
) -> set[str]:
    for fingerprint in known - entry.findings.keys():
        _withdraw(connection, entry.id, fingerprint)
    news = set()
    for fingerprint, finding in entry.findings.items():
        fresh = fingerprint not in known
        connection.execute(
            _OCCURRENCE,
            (next(numbers), entry.id, fingerprint, finding.severity, entry.at, finding.data),
        )
        if _write_group(connection, entry, finding, next(numbers), fresh=fresh):
            news.add(fingerprint)
        if finding.route:
            connection.execute(_ROUTE, (fingerprint, finding.route, fingerprint, _MAX_ROUTES))
    return news


def _write_group(
    connection: sqlite3.Connection,
    entry: Entry,
    finding: FindingEntry,
    number: int,
    *,
    fresh: bool,
) -> bool:
    """Tell whether it is news: a new group, or a resolved one that came back."""
    group = connection.execute(
        "SELECT state FROM groups WHERE fingerprint = ?", (finding.fingerprint,)
    ).fetchone()
    head = (finding.rule, finding.severity)
    if group is None:
        connection.execute(
            _NEW_GROUP,
            (number, finding.fingerprint, *head, entry.at, entry.at, entry.id, finding.data),
        )
        return True
    reopened = fresh and group["state"] == "resolved"
    connection.execute(
        _SEEN_AGAIN,
        {
            "fresh": fresh,
            "reopened": reopened,
            "at": entry.at,
            "fingerprint": finding.fingerprint,
        },
    )
    connection.execute(
        _LATEST, (*head, entry.at, entry.id, finding.data, finding.fingerprint, entry.at)
    )
    return reopened


def _withdraw(connection: sqlite3.Connection, record_id: str, fingerprint: str) -> None:
    """Take back what a record said before and no longer says."""
    connection.execute(
        "DELETE FROM occurrences WHERE record_id = ? AND fingerprint = ?", (record_id, fingerprint)
    )
    connection.execute(
        "UPDATE groups SET occurrences = occurrences - 1 WHERE fingerprint = ?", (fingerprint,)
    )
    if connection.execute(_EMPTY_GROUP, (fingerprint,)).rowcount:
        connection.execute("DELETE FROM group_routes WHERE fingerprint = ?", (fingerprint,))
        return
    newest = connection.execute(_NEWEST_LEFT, (fingerprint,)).fetchone()
    if newest is not None:
        connection.execute(
            "UPDATE groups SET severity = ?, last_seen = ?, last_record = ?, finding = ? "
            "WHERE fingerprint = ? AND last_record = ?",
            (*newest, fingerprint, record_id),
        )
