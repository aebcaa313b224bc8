"""SQL106: one statement took longer than a whole answer should."""

from collections import defaultdict
from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, Query, RequestRecord
from fastapi_diagnostics.rules.sql._chains import place, short, spent_ms

SLOW_MS = 100.0
"""A tenth of a second is the limit up to which people feel that an answer comes at once
(J. Nielsen, Usability Engineering, 1993): a statement that takes it leaves nothing for the rest."""

RULE = Rule(
    code="SQL106",
    name="slow-query",
    family="sql",
    severity="warning",
    title="A statement took longer than 100 ms",
    what=(
        "Reports a statement that took over 100 ms from the moment it was sent until the driver "
        "gave it back, with its rows and its line. Time in which the event loop ran something "
        "else, or threads of the process kept one another waiting, is taken off first: a fast "
        "statement that waited for a busy process is not slow."
    ),
    why=(
        "The request, and the connection it holds, wait for it. On a development machine with "
        "few rows such a statement is seldom faster in production."
    ),
    example=(
        "class Order(Base):\n"
        '    __tablename__ = "orders"\n'
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    email: Mapped[str]\n\n"
        'session.scalars(select(Order).where(Order.email == "ada@example.org"))'
    ),
    instead=(
        "class Order(Base):\n"
        '    __tablename__ = "orders"\n'
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    email: Mapped[str] = mapped_column(index=True)\n\n"
        'session.scalars(select(Order).where(Order.email == "ada@example.org"))'
    ),
    limits=(
        (
            "It tells that a statement was slow, not why: a cold cache or a lock looks the same, "
            "and so does waiting in the driver for another statement of the same connection."
        ),
        (
            "What cannot be told apart is silent: in a process that others keep busy, a slow "
            "statement is found only if it took much longer than that; and on a loop that cannot "
            "be watched it is not found with an asynchronous driver."
        ),
        "What a driver fetches later than it executes (sqlite3) is not in the time.",
        "A commit is no statement; its time is not measured.",
    ),
)

_VERBS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"})
_UNFELT = frozenset({"background", "teardown", "startup"})


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find slow statements, those of one line and text together."""
    slow: dict[tuple[str, Location | None], list[tuple[float, Query]]] = defaultdict(list)
    for query in record.queries:
        if query.own_ms is not None and query.own_ms >= SLOW_MS and query.verb in _VERBS:
            slow[query.sql, query.location].append((query.own_ms, query))
    for found in slow.values():
        yield _finding(record, found)


def _finding(record: RequestRecord, found: list[tuple[float, Query]]) -> Finding:
    took, query = max(found, key=lambda one: one[0])
    queries = [one for _, one in found]
    times = "" if len(found) == 1 else f", the slowest of {len(found)} such runs"
    rows = "" if query.rows is None else f", {query.rows} row{'' if query.rows == 1 else 's'}"
    failed = f" and failed with {query.error}" if query.error else ""
    unfelt = record.kind == "capture" or query.phase in _UNFELT
    return RULE.finding(
        f"A statement at {place(query.location or record.endpoint)} took {took:.0f} ms{rows}"
        f"{times}{failed}: {short(query.sql, 200)}.",
        title=f"{_what(query)} took {took:.0f} ms",
        location=query.location or record.endpoint,
        severity="info" if unfelt else None,
        fix=_fix(query),
        evidence={
            "sql": query.sql,
            "count": len(queries),
            "duration_ms": spent_ms(queries),
            "slowest_ms": round(took, 3),
            "threshold_ms": SLOW_MS,
            "rows": query.rows,
            "phase": query.phase,
            "values": query.values,
            "queries": [one.index for one in queries[:50]],
        },
        cause=query.sql[:300],
    )


def _what(query: Query) -> str:
    return f"A query for {query.attribute}" if query.attribute else f"{query.verb} statement"


def _fix(query: Query) -> Fix:
    if " FOR UPDATE" in query.sql.upper():
        return Fix(
            summary="It takes locks and may have waited for another transaction: keep those "
            "short, or use SKIP LOCKED or NOWAIT.",
            location=query.location,
        )
    explain = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN (ANALYZE, BUFFERS) "}
    return Fix(
        summary="Look at its plan, with real values for the question marks. A scan of a whole "
        "table under a condition wants an index on that column.",
        code=explain.get(query.dialect, "EXPLAIN ") + short(query.sql, 1000),
        location=query.location,
    )
