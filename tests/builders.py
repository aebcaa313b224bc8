"""Facts and findings with sensible defaults: a test says only what matters to it."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.record import Location, Query, RequestRecord
from fastapi_diagnostics.store.protocol import Report

NOW_S: Final = datetime(2026, 11, 22, 11, tzinfo=UTC).timestamp()
"""An hour after the records: what looks at them must not go by the day on which tests run."""


def a_location(**changes: Any) -> Location:
    """A line of user code."""
    defaults: dict[str, Any] = {
        "file": "app/services.py",
        "line": 12,
        "function": "list_books",
        "code": "return [book.author.name for book in books]",
    }
    return Location(**defaults | changes)


def a_query(**changes: Any) -> Query:
    """A select of one row, from the line of `a_location`."""
    defaults: dict[str, Any] = {
        "index": 0,
        "sql": "SELECT author.id, author.name FROM author WHERE author.id = ?",
        "kind": "query",
        "verb": "SELECT",
        "started_ms": 2.0,
        "duration_ms": 0.5,
        "phase": "endpoint",
        "rows": 1,
        "values": ("1",),
        "values_digest": "d1",
        "location": a_location(),
        "dialect": "sqlite",
    }
    return Query(**defaults | changes)


def a_record(**changes: Any) -> RequestRecord:
    """A closed ``GET /books`` without findings; `query_count` follows `queries`."""
    defaults: dict[str, Any] = {
        "id": "r1",
        "kind": "http",
        "state": "closed",
        "started_at": "2026-11-22T10:00:00.000000Z",
        "duration_ms": 12.5,
        "method": "GET",
        "path": "/books",
        "route": "GET /books",
        "status": 200,
        "query_count": len(changes.get("queries", ())),
        "worker": 1,
    }
    return RequestRecord(**defaults | changes)


def a_finding(**changes: Any) -> Finding:
    """A complete SQL101 in the request of `a_record`."""
    defaults: dict[str, Any] = {
        "rule": "SQL101",
        "name": "n-plus-one-relationship",
        "severity": "warning",
        "confidence": "proven",
        "title": "A relationship is loaded once per parent",
        "message": "Book.author was loaded 20 times, once for each of 20 books.",
        "location": a_location(),
        "evidence": {"attribute": "Book.author", "count": 20, "parents": 20},
        "cause": "Book.author",
        "request_id": "r1",
        "route": "GET /books",
        "fingerprint": "f1",
    }
    return Finding(**defaults | changes)


def a_report(*findings: Finding, **changes: Any) -> Report:
    """A record (*changes* are its fields) with *findings*, moved into that request."""
    record = a_record(**changes)
    moved = tuple(
        msgspec.structs.replace(finding, request_id=record.id, route=record.route)
        for finding in findings
    )
    return Report(record=record, findings=moved)
