"""SQL105: the same statement with the same values ran again, and nothing had been written."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, Query, RequestRecord
from fastapi_diagnostics.rules.sql import n_plus_one_lookup
from fastapi_diagnostics.rules.sql._chains import (
    loop_mark,
    looping,
    owner,
    paced,
    place,
    short,
    spent_ms,
)

MIN_REPEATS = 2
WARN_FROM = 3
"""Two dependencies that each read the current user are common and cheap; three times from one
line is a loop or a missing variable."""

RULE = Rule(
    code="SQL105",
    name="duplicate-query",
    family="sql",
    severity="warning",
    title="The same query with the same values ran again",
    what=(
        "Reports a SELECT that ran again in the same request with the same values, on the same "
        "engine, while no statement in between wrote anything and no transaction ended. It is a "
        "warning from three times at one line, else a note."
    ),
    why=(
        "The answer was known already. Each repetition costs a round trip, and in a loop they add "
        "up."
    ),
    example=(
        "for book in books:\n"
        "    rate = session.scalar(select(Rate.per_euro).where(Rate.currency == currency))\n"
        "    print(book.price * rate)"
    ),
    instead=(
        "rate = session.scalar(select(Rate.per_euro).where(Rate.currency == currency))\n"
        "for book in books:\n"
        "    print(book.price * rate)"
    ),
    limits=(
        "Other clients may have written in between; reading again on purpose looks the same.",
        "Polling is passed over when most rounds wait for more than 100 ms.",
        "Repetitions in another transaction are passed over.",
        "So is what a websocket asks again for each message that it receives.",
    ),
)

_KINDS = frozenset({"get", "query", "core"})
_FROM = re.compile(r"\bFROM\b", re.IGNORECASE)
_ON_PURPOSE = re.compile(
    r"\bFOR (?:NO KEY |KEY )?(?:UPDATE|SHARE)\b"
    r"|\b(?:random|rand|nextval|uuid\w*|gen_random_uuid|clock_timestamp|pg_\w+|last_insert_rowid"
    r"|last_insert_id|row_count|found_rows|changes)\s*\(",
    re.IGNORECASE,
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find reads that were answered before."""
    repeated = [queries for queries in _repeated(record) if len(queries) >= MIN_REPEATS]
    if not repeated:
        return
    # A loop that looks rows up one by one meets some of them again: that is SQL103.
    told = {query.index for found in n_plus_one_lookup.lookups(record) for query in found}
    for queries in repeated:
        lookup = all(query.index in told for query in queries)
        if not lookup and not paced(queries) and not _per_message(record, queries):
            yield _finding(record, queries)


def _per_message(record: RequestRecord, queries: list[Query]) -> bool:
    """Tell whether a websocket asks the same for each message that it receives."""
    if record.kind != "websocket":
        return False
    loops = [looping(query) for query in queries]
    return all(frame is not None and frame.loop != "for" for frame in loops)


def _repeated(record: RequestRecord) -> Iterator[list[Query]]:
    """Group equal reads between two writes."""
    groups: dict[tuple[object, ...], list[Query]] = defaultdict(list)
    writes: Counter[int] = Counter()
    gaps = 0
    expected = 0
    for query in record.queries:
        gaps += query.index != expected  # what was not kept may have written
        expected = query.index + 1
        if query.verb != "SELECT" or query.flush is not None or query.error is not None:
            writes[query.engine] += 1
        elif _is_plain_read(query):
            since = (gaps, writes[query.engine], query.transaction)
            groups[query.engine, since, query.sql, query.values_digest].append(query)
    yield from groups.values()


def _is_plain_read(query: Query) -> bool:
    return (
        query.kind in _KINDS
        and not query.executemany
        and not query.locking
        and _FROM.search(query.sql) is not None
        and _ON_PURPOSE.search(query.sql) is None
    )


def _finding(record: RequestRecord, queries: list[Query]) -> Finding:
    where, here = _usual_place(queries)
    frame = looping(queries[-1])
    polling = frame is not None and frame.loop == "while"
    first = queries[0]
    lines = list(dict.fromkeys(line for query in queries if (line := owner(query))))
    return RULE.finding(
        _message(record, queries, lines),
        title=f"The same query with the same values ran {len(queries)} times",
        location=where or record.endpoint,
        severity="warning" if here >= WARN_FROM and not polling else "info",
        fix=_fix(queries, lines),
        evidence={
            "sql": first.sql,
            "count": len(queries),
            "distinct": 1,
            "phase": first.phase,
            "locations": lines[:20],
            "statement_at": first.location,
            "call_chain": [frame.location for frame in queries[-1].stack],
            "values": first.values,
            "duration_ms": spent_ms(queries),
            "queries": [query.index for query in queries[:50]],
        },
        cause=f"{_cause(first)}{loop_mark(queries[-1])}",
    )


def _usual_place(queries: list[Query]) -> tuple[Location | None, int]:
    """Give the line that repeated it most often, the latest of equals, and how often.

    Where a loop calls a helper that reads, it is the line in the loop.
    """
    counts = Counter(line for query in reversed(queries) if (line := owner(query)))
    if not counts:
        return None, 0
    return counts.most_common(1)[0]


def _message(record: RequestRecord, queries: list[Query], lines: list[Location]) -> str:
    at_least = "at least " if "queries" in record.truncated else ""
    where = "from a library" if not lines else f"at {place(lines[0])}"
    if len(lines) > 1:
        where = f"at {', '.join(place(line) for line in lines[:3])}"
    return (
        f"The same query with the same values ran {at_least}{len(queries)} times {where}, and "
        f"nothing was written in between: {short(queries[0].sql, 200)}."
    )


def _fix(queries: list[Query], lines: list[Location]) -> Fix:
    last = queries[-1]
    frame = looping(last)
    if len(lines) > 1:
        return Fix(
            summary="Read it once and hand the result on; a dependency that both ask for runs once "
            "per request.",
            location=lines[-1],
        )
    if frame is not None and last.location != frame.location:
        return Fix(
            summary="Call it once, before the loop, and hand the result on.",
            location=frame.location,
        )
    if frame is not None:
        return Fix(summary="Run the query once, before the loop.", location=frame.location)
    return Fix(summary="Keep the first result.", location=lines[0] if lines else None)


def _cause(query: Query) -> str:
    match = _FROM.search(query.sql)
    return query.sql[match.start() :][:300] if match else query.sql[:300]
