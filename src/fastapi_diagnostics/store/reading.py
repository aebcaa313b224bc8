"""Lists and looks up what is kept."""

import sqlite3
from collections.abc import Sequence
from typing import Literal, TypeVar

from fastapi_diagnostics.finding import Group, Occurrence
from fastapi_diagnostics.store.cursors import decode_cursor, encode_cursor
from fastapi_diagnostics.store.protocol import (
    Changes,
    FindingQuery,
    Page,
    RequestQuery,
    RequestSummary,
    ScanQuery,
    StoredRequest,
    Totals,
)
from fastapi_diagnostics.store.rows import RowReader

T = TypeVar("T")

_MAX_LIMIT = 500
_SCAN_BYTES = 4 * 1024 * 1024  # some 10 ms, for which a save may have to wait
_END = 2**63 - 1
_AFTER_ALL_TIMES = "~"  # sorts behind every RFC 3339 time

_GROUP_COLUMNS = """
g.fingerprint, g.state, g.reason, g.occurrences, g.first_seen, g.last_seen, g.created_seq
"""
_FILTER = """
(:rule IS NULL OR g.rule = :rule) AND (:state IS NULL OR g.state = :state)
AND (:route IS NULL OR EXISTS (
    SELECT 1 FROM group_routes r WHERE r.fingerprint = g.fingerprint AND r.route = :route
))
"""
_GROUPS = f"""
SELECT {_GROUP_COLUMNS}, g.finding FROM groups g
WHERE {_FILTER} AND (:severity IS NULL OR g.severity = :severity)
AND (g.last_seen, g.created_seq) < (:last_seen, :seq)
ORDER BY g.last_seen DESC, g.created_seq DESC LIMIT :count
"""  # noqa: S608  # our own text; values are bound
_OF_REQUEST = f"""
SELECT {_GROUP_COLUMNS}, o.finding, o.created_seq AS position
FROM occurrences o JOIN groups g ON g.fingerprint = o.fingerprint
WHERE o.record_id = :request_id AND {_FILTER} AND (:severity IS NULL OR o.severity = :severity)
AND o.created_seq > :seq
ORDER BY o.created_seq LIMIT :count
"""  # noqa: S608  # our own text; values are bound
_GROUP = f"SELECT {_GROUP_COLUMNS}, g.finding FROM groups g WHERE g.fingerprint = ?"  # noqa: S608  # our own text
_OCCURRENCES = """
SELECT created_seq, at, finding FROM occurrences WHERE fingerprint = ? AND created_seq < ?
ORDER BY created_seq DESC LIMIT ?
"""
_REQUESTS = """
SELECT created_seq, id, kind, state, name, method, path, route, status, started_at, duration_ms,
    query_count, query_ms, codes, failed_tasks, worker
FROM records
WHERE created_seq < :seq AND kind != 'process'
AND (:method IS NULL OR method = :method) AND (:route IS NULL OR route = :route)
AND (:status IS NULL OR status = :status) AND (:min_ms IS NULL OR duration_ms >= :min_ms)
ORDER BY created_seq DESC LIMIT :count
"""
# The record stands last in its row: passing one over does not read it.
_SCAN = """
SELECT created_seq, length(record) AS size, record FROM records
WHERE created_seq < :seq AND (:route IS NULL OR route = :route)
AND (:since IS NULL OR started_at >= :since) AND (NOT :with_queries OR query_count > 0)
ORDER BY created_seq DESC
"""
_CHANGES = """
SELECT
    (SELECT count(*) FROM records WHERE seq > ? AND kind != 'process'),
    (SELECT count(*) FROM occurrences WHERE created_seq > ?),
    (SELECT count(*) FROM groups WHERE created_seq > ?)
"""
_TOTALS = """
SELECT count(*), coalesce(sum(query_count), 0) FROM records WHERE kind != 'process'
"""


def list_findings(
    connection: sqlite3.Connection, query: FindingQuery, reader: RowReader
) -> Page[Group]:
    """List groups, or the findings of one request."""
    values = {
        "rule": query.rule,
        "route": query.route,
        "severity": query.severity,
        "state": query.state,
        "count": _limit(query.limit) + 1,
    }
    if query.request_id is not None:
        _, seq = decode_cursor(query.cursor, tuple[Literal["f"], int], ("f", 0))
        sql = _OF_REQUEST
        values |= {"request_id": query.request_id, "seq": seq}
    else:
        first = ("g", _AFTER_ALL_TIMES, _END)
        _, last_seen, seq = decode_cursor(query.cursor, tuple[Literal["g"], str, int], first)
        sql = _GROUPS
        values |= {"last_seen": last_seen, "seq": seq}
    rows, more = _page(connection.execute(sql, values).fetchall(), query.limit)
    groups = reader.groups(rows, _routes(connection, rows))
    if not more:
        return Page(items=groups)
    last = rows[-1]
    if query.request_id is not None:
        return Page(items=groups, next=encode_cursor("f", last["position"]))
    return Page(items=groups, next=encode_cursor("g", last["last_seen"], last["created_seq"]))


def find_group(connection: sqlite3.Connection, fingerprint: str, reader: RowReader) -> Group | None:
    """Give one group."""
    rows = connection.execute(_GROUP, (fingerprint,)).fetchall()
    return next(iter(reader.groups(rows, _routes(connection, rows))), None)


def list_occurrences(
    connection: sqlite3.Connection,
    fingerprint: str,
    limit: int,
    cursor: str | None,
    reader: RowReader,
) -> Page[Occurrence]:
    """List the requests of one group."""
    _, seq = decode_cursor(cursor, tuple[Literal["o"], int], ("o", _END))
    found = connection.execute(_OCCURRENCES, (fingerprint, seq, _limit(limit) + 1)).fetchall()
    rows, more = _page(found, limit)
    following = encode_cursor("o", rows[-1]["created_seq"]) if more else None
    return Page(items=reader.occurrences(rows), next=following)


def list_requests(
    connection: sqlite3.Connection, query: RequestQuery, reader: RowReader
) -> Page[RequestSummary]:
    """List records, without those of the process itself."""
    _, seq = decode_cursor(query.cursor, tuple[Literal["r"], int], ("r", _END))
    values = {
        "method": query.method,
        "route": query.route,
        "status": query.status,
        "min_ms": query.min_ms,
        "seq": seq,
        "count": _limit(query.limit) + 1,
    }
    rows, more = _page(connection.execute(_REQUESTS, values).fetchall(), query.limit)
    following = encode_cursor("r", rows[-1]["created_seq"]) if more else None
    return Page(items=reader.summaries(rows), next=following)


def find_request(
    connection: sqlite3.Connection, record_id: str, reader: RowReader
) -> StoredRequest | None:
    """Give one record and all its findings."""
    row = connection.execute("SELECT record FROM records WHERE id = ?", (record_id,)).fetchone()
    record = reader.record(row["record"]) if row is not None else None
    if record is None:
        return None
    query = FindingQuery(request_id=record_id, limit=_MAX_LIMIT)
    return StoredRequest(record=record, findings=list_findings(connection, query, reader).items)


def scan_records(
    connection: sqlite3.Connection, query: ScanQuery, facts: type[T], reader: RowReader
) -> Page[T]:
    """Read some fields of a page of records."""
    _, seq = decode_cursor(query.cursor, tuple[Literal["s"], int], ("s", _END))
    values = {
        "seq": seq,
        "route": query.route,
        "since": query.since,
        "with_queries": query.with_queries,
    }
    rows: list[sqlite3.Row] = []
    size = 0
    more = False
    for row in connection.execute(_SCAN, values):
        more = len(rows) == _limit(query.limit) or (bool(rows) and size >= _SCAN_BYTES)
        if more:
            break
        rows.append(row)
        size += row["size"] or 0
    following = encode_cursor("s", rows[-1]["created_seq"]) if more else None
    return Page(items=reader.facts(rows, facts), next=following)


def count_changes(connection: sqlite3.Connection, since: str | None) -> Changes:
    """Count what came after a token; the token is the epoch of the database and its counter."""
    epoch, seq = connection.execute("SELECT epoch, seq FROM meta").fetchone()
    token = f"{epoch}-{seq}"
    known = _position(since, epoch)
    if known is None or known >= seq:
        return Changes(token=token, requests=0, findings=0, groups=0)
    requests, findings, groups = connection.execute(_CHANGES, (known, known, known)).fetchone()
    return Changes(token=token, requests=requests, findings=findings, groups=groups)


def count_totals(connection: sqlite3.Connection) -> Totals:
    """Count what is kept, from indexes alone."""
    requests, queries = connection.execute(_TOTALS).fetchone()
    states = dict(connection.execute("SELECT state, count(*) FROM groups GROUP BY state"))
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    page_size = connection.execute("PRAGMA page_size").fetchone()[0]
    return Totals(
        requests=requests,
        queries=int(queries),
        groups_open=states.get("open", 0),
        groups_resolved=states.get("resolved", 0),
        groups_ignored=states.get("ignored", 0),
        bytes=pages * page_size,
    )


def _limit(wanted: int) -> int:
    return max(1, min(wanted, _MAX_LIMIT))


def _page(rows: list[sqlite3.Row], limit: int) -> tuple[list[sqlite3.Row], bool]:
    """Cut the row that was read to see whether there is more."""
    return rows[: _limit(limit)], len(rows) > _limit(limit)


def _routes(connection: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> dict[str, list[str]]:
    routes: dict[str, list[str]] = {}
    for row in rows:
        found = connection.execute(
            "SELECT route FROM group_routes WHERE fingerprint = ? ORDER BY position",
            (row["fingerprint"],),
        )
        routes[row["fingerprint"]] = [route for (route,) in found]
    return routes


def _position(token: str | None, epoch: str) -> int | None:
    """Read a token; `None` if it is not of this database."""
    known, _, digits = (token or "").partition("-")
    if known != epoch or not digits.isascii() or not digits.isdigit() or len(digits) > 18:  # noqa: PLR2004  # 64 bits
        return None
    return int(digits)
