"""Writes reports into the tables; runs inside a transaction that the caller opened."""

import itertools
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from fastapi_diagnostics.finding import FindingState
from fastapi_diagnostics.store.entries import Entry, FindingEntry

_MAX_ROUTES = 50

# `sqlite3` lets go of the interpreter twice for each statement, and while a request waits for it
# each time is a call of the system, and wakes that request in vain: so rows go in together.
_ROWS_AT_ONCE = (200, 50)
"""Two sizes and what is left, so that few statements have to be prepared. Times the 18 columns of a
record, 50 is below 999, the placeholders that any SQLite takes."""

# Placeholders have no numbers: Python 3.12.0 to 3.12.3 warns of them.
# A replaced record keeps `created_seq`, its place in the list.
_RECORDS = """
INSERT INTO records (
    created_seq, seq, id, kind, state, name, method, path, route, status, started_at, duration_ms,
    query_count, query_ms, codes, failed_tasks, worker, record
) VALUES {rows}
ON CONFLICT (id) DO UPDATE SET
    seq = excluded.seq, kind = excluded.kind, state = excluded.state, name = excluded.name,
    method = excluded.method, path = excluded.path, route = excluded.route,
    status = excluded.status, started_at = excluded.started_at,
    duration_ms = excluded.duration_ms, query_count = excluded.query_count,
    query_ms = excluded.query_ms, codes = excluded.codes, failed_tasks = excluded.failed_tasks,
    worker = excluded.worker, record = excluded.record
"""
# Both in one statement; the row of the counter has no fingerprint.
_COUNTER_AND_KNOWN = """
SELECT seq, NULL FROM meta UNION ALL
SELECT record_id, fingerprint FROM occurrences WHERE record_id IN (SELECT value FROM json_each(?))
"""
_OCCURRENCES = """
INSERT INTO occurrences (created_seq, record_id, fingerprint, severity, at, finding)
VALUES {rows}
ON CONFLICT (record_id, fingerprint) DO UPDATE SET
    severity = excluded.severity, at = excluded.at, finding = excluded.finding
"""
_GROUP_STATES = """
SELECT fingerprint, state FROM groups WHERE fingerprint IN (SELECT value FROM json_each(?))
"""
_NEW_GROUP = """
INSERT INTO groups (
    created_seq, fingerprint, rule, severity, state, reason, occurrences, first_seen, last_seen,
    last_record, finding
) VALUES (?, ?, ?, ?, 'open', '', ?, ?, ?, ?, ?)
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


class _Sighting(NamedTuple):
    """A finding of one record; `fresh` unless the record had it before."""

    entry: Entry
    finding: FindingEntry
    fresh: bool


def write_entries(connection: sqlite3.Connection, entries: Iterable[Entry]) -> set[str]:
    """Keep *entries*; give the fingerprints that are new, or were resolved and came back."""
    latest = {entry.id: entry for entry in entries}
    start, known = _counter_and_known(connection, latest)
    numbers = itertools.count(start + 1)
    records = [(number := next(numbers), number, *entry.columns) for entry in latest.values()]
    _insert(connection, _RECORDS, records)
    news: set[str] = set()
    sightings: list[_Sighting] = []
    for entry in latest.values():
        before = known.get(entry.id, set())
        gone = before - entry.findings.keys()
        if gone:
            news |= _write_findings(connection, sightings, numbers)
            sightings = []
            for fingerprint in gone:
                _withdraw(connection, entry.id, fingerprint)
        sightings += [
            _Sighting(entry, finding, fingerprint not in before)
            for fingerprint, finding in entry.findings.items()
        ]
    news |= _write_findings(connection, sightings, numbers)
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


def _counter_and_known(
    connection: sqlite3.Connection, latest: Mapping[str, Entry]
) -> tuple[int, dict[str, set[str]]]:
    """Give the last number, and what was found before in records that come again."""
    start = 0
    known: defaultdict[str, set[str]] = defaultdict(set)
    ids = msgspec.json.encode(list(latest)).decode()
    for number_or_id, fingerprint in connection.execute(_COUNTER_AND_KNOWN, (ids,)).fetchall():
        if fingerprint is None:
            start = number_or_id
        else:
            known[number_or_id].add(fingerprint)
    return start, known


def _write_findings(
    connection: sqlite3.Connection, sightings: list[_Sighting], numbers: Iterator[int]
) -> set[str]:
    """Write what a batch found, each group once; give the fingerprints that are news."""
    if not sightings:
        return set()
    occurrences = [
        (next(numbers), entry.id, finding.fingerprint, finding.severity, entry.at, finding.data)
        for entry, finding, _ in sightings
    ]
    _insert(connection, _OCCURRENCES, occurrences)
    groups: defaultdict[str, list[_Sighting]] = defaultdict(list)
    for seen in sightings:
        groups[seen.finding.fingerprint].append(seen)
    fingerprints = msgspec.json.encode(list(groups)).decode()
    states = dict(map(tuple, connection.execute(_GROUP_STATES, (fingerprints,)).fetchall()))
    news = set()
    for fingerprint, times in groups.items():
        if fingerprint not in states:
            _write_group(connection, fingerprint, times, next(numbers))
            news.add(fingerprint)
        elif _write_again(connection, fingerprint, times, states[fingerprint]):
            news.add(fingerprint)
        for route in dict.fromkeys(seen.finding.route for seen in times):
            if route:
                connection.execute(_ROUTE, (fingerprint, route, fingerprint, _MAX_ROUTES))
    return news


def _write_group(
    connection: sqlite3.Connection, fingerprint: str, times: Sequence[_Sighting], number: int
) -> None:
    entry, finding, _ = _latest(times)
    count = 1 + sum(seen.fresh for seen in times[1:])
    first = min(seen.entry.at for seen in times)
    connection.execute(
        _NEW_GROUP,
        (
            number,
            fingerprint,
            finding.rule,
            finding.severity,
            count,
            first,
            entry.at,
            entry.id,
            finding.data,
        ),
    )


def _write_again(
    connection: sqlite3.Connection, fingerprint: str, times: Sequence[_Sighting], state: str
) -> bool:
    """Tell whether a resolved group came back."""
    fresh = sum(seen.fresh for seen in times)
    reopened = fresh > 0 and state == "resolved"
    connection.execute(
        _SEEN_AGAIN,
        {
            "fresh": fresh,
            "reopened": reopened,
            "at": min(seen.entry.at for seen in times),
            "fingerprint": fingerprint,
        },
    )
    entry, finding, _ = _latest(times)
    connection.execute(
        _LATEST,
        (
            finding.rule,
            finding.severity,
            entry.at,
            entry.id,
            finding.data,
            fingerprint,
            entry.at,
        ),
    )
    return reopened


def _latest(times: Sequence[_Sighting]) -> _Sighting:
    """Give the sighting that began last; of equals the one that came last."""
    return max(reversed(times), key=lambda seen: seen.entry.at)


def _insert(connection: sqlite3.Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    placeholders = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    start = 0
    while start < len(rows):
        left, columns = len(rows) - start, len(rows[start])
        fitting = (n for n in _ROWS_AT_ONCE if n <= left and n * columns <= placeholders)
        count = next(fitting, left)
        part = rows[start : start + count]
        values = tuple(itertools.chain.from_iterable(part))
        connection.execute(_for_rows(sql, count, columns), values)
        start += count


@lru_cache(maxsize=128)  # as many as a connection keeps prepared
def _for_rows(sql: str, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return sql.format(rows=", ".join([row] * rows))


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
