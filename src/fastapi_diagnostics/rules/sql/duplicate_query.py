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
    of_one_message,
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
    groups = map(of_one_message, _repeated(record))
    repeated = [queries for queries in groups if len(queries) >= MIN_REPEATS]
    if not repeated:
        return
    # A loop that looks rows up one by one meets some of them again: that is SQL103.
    told = {query.index for found in n_plus_one_lookup.lookups(record) for query in found}
    for queries in repeated:
        lookup = all(query.index in told for query in queries)
        if not lookup and not paced(queries):
            yield _finding(record, queries)


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
        elif _is_plain(query):
            since = (gaps, writes[query.engine], query.transaction)
            groups[query.engine, since, query.sql, query.values_digest].append(query)
    for queries in groups.values():
        if len(queries) >= MIN_REPEATS and _reads(queries[0].sql):
            yield queries


def _is_plain(query: Query) -> bool:
    return query.kind in _KINDS and not (query.executemany or query.locking or query.fresh)


def _reads(sql: str) -> bool:
    """Tell whether a text asks a table for what stays as it is."""
    return _FROM.search(sql) is not None and _ON_PURPOSE.search(sql) is None


def _finding(record: RequestRecord, queries: list[Query]) -> Finding:
    places = _places(queries)
    where, here = _usual_place(places)
    frame = looping(queries[-1])
    polling = frame is not None and frame.loop in {"while", "async for"}
    first = queries[0]
    lines = list(dict.fromkeys(line for line in places if line is not None))
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


def _places(queries: list[Query]) -> list[Location | None]:
    """Give the line of each: that in a loop, else the innermost one at which they differ.

    A helper that several functions call is not to blame; those that call it are.
    """
    places = [owner(query) for query in queries]
    if len(set(places)) > 1 or any(looping(query) is not None for query in queries):
        return places
    stacks = [[frame.location for frame in query.stack] for query in queries]
    for lines in zip(*stacks, strict=False):
        if len(set(lines)) > 1:
            return list(lines)
    return places


def _usual_place(places: list[Location | None]) -> tuple[Location | None, int]:
    """Give the line that repeated it most often, the latest of equals, and how often."""
    counts = Counter(line for line in reversed(places) if line is not None)
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
            summary="Read it once and hand the result on: by hand, for instance in a dependency "
            "that both ask for, as it runs once per request.",
            location=lines[-1],
        )
    if frame is not None and last.location != frame.location:
        return Fix(
            summary="Call it once, before the loop, and keep what it gives: by hand, as this "
            "depends on what the loop does with it.",
            location=frame.location,
        )
    if frame is not None:
        return Fix(
            summary="Run the query once, before the loop, and keep its rows: by hand, and not the "
            "result itself, which can be read only once.",
            location=frame.location,
        )
    return Fix(
        summary="Keep what the first one gave: by hand, and as rows, since a result can be read "
        "only once.",
        location=lines[0] if lines else None,
    )


def _cause(query: Query) -> str:
    match = _FROM.search(query.sql)
    return query.sql[match.start() :][:300] if match else query.sql[:300]
