"""SQL109: very many rows were put into memory by a query without a LIMIT."""

import re
from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, Query, RequestRecord
from fastapi_diagnostics.rules.sql._chains import place, short

MANY_ROWS = 1000
"""No page of a list shows more: public APIs answer at most 100 (GitHub) to 999 (Microsoft Graph)
entries at once. A thousand objects of five columns took 2.4 ms of CPU to build (measured with
SQLAlchemy 2.1 on SQLite), ten thousand hold up an event loop for longer than a block may last."""

RULE = Rule(
    code="SQL109",
    name="unbounded-select",
    family="sql",
    severity="info",
    title="Very many rows were loaded without LIMIT",
    what=(
        "Notes a SELECT of a request that brought 1,000 rows or more into memory at once, and that "
        "has no LIMIT, so that it grows with the table."
    ),
    why=(
        "Time and memory of the request grow with the table. In async code all other requests wait "
        "while the objects are built."
    ),
    example=(
        '@app.get("/events")\n'
        "def events(session: Session):\n"
        "    return session.scalars(select(Event)).all()"
    ),
    instead=(
        '@app.get("/events")\n'
        "def events(session: Session, after: int = 0):\n"
        "    page = select(Event).where(Event.id > after).order_by(Event.id).limit(100)\n"
        "    return session.scalars(page).all()"
    ),
    limits=(
        "Whether all rows are needed at once, as for an export, cannot be told; so it is a note.",
        "Streamed results, and drivers that do not tell their number of rows, are passed over.",
        "Scripts (`capture`) and background tasks are passed over.",
    ),
)

_KINDS = frozenset({"query", "core"})
_UNFELT = frozenset({"background", "teardown", "startup", "outside"})
_LIMITED = re.compile(r"\bLIMIT\b|\bFETCH (?:FIRST|NEXT)\b|\bTOP\b|\bROWNUM\b", re.IGNORECASE)
_ORDER = re.compile(r"\bORDER BY\b", re.IGNORECASE)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find large results, once for each line and statement."""
    if record.kind not in {"http", "websocket"}:
        return
    largest: dict[tuple[str, Location | None], Query] = {}
    for query in record.queries:
        if _is_unbounded(query):
            key = (query.sql, query.location)
            known = largest.get(key)
            if known is None or (query.rows or 0) > (known.rows or 0):
                largest[key] = query
    for query in largest.values():
        yield _finding(record, query)


def _is_unbounded(query: Query) -> bool:
    return (
        query.rows is not None
        and query.rows >= MANY_ROWS
        and query.verb == "SELECT"
        and query.kind in _KINDS
        and query.phase not in _UNFELT
        and not query.batch
        and query.error is None
        and _LIMITED.search(query.sql) is None
    )


def _finding(record: RequestRecord, query: Query) -> Finding:
    what = f"{query.attribute} rows" if query.attribute else "rows"
    where = query.location or record.endpoint
    return RULE.finding(
        f"The query at {place(where)} loaded {query.rows} {what} into memory and has no LIMIT: "
        f"{short(query.sql, 200)}.",
        title=f"{query.rows} {what} were loaded without LIMIT",
        location=where,
        fix=_fix(query),
        evidence={
            "sql": query.sql,
            "rows": query.rows,
            "threshold": MANY_ROWS,
            "duration_ms": query.duration_ms,
            "phase": query.phase,
            "queries": [query.index],
        },
        cause=query.sql[:300],
    )


def _fix(query: Query) -> Fix:
    ordered = _ORDER.search(query.sql) is not None
    order = "" if ordered else ", in the order of a key so that no row is missed"
    return Fix(
        summary=f"Load one page at a time{order}; where all rows are needed, stream them with "
        "yield_per.",
        code=".limit(100)",
        location=query.location,
    )
