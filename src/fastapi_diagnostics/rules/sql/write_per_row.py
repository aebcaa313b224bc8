"""SQL104: rows are written one by one in a loop, where one statement or one flush would do."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Literal

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Query, RequestRecord
from fastapi_diagnostics.rules.sql._chains import (
    Chain,
    chain,
    loop_mark,
    of_one_message,
    over_items,
    owner,
    paced,
    place,
    short,
    spent_ms,
)

MIN_WRITES = 5
"""Fewer rows are often different things (an order, its invoice, its log entry) that a loop happens
to hold. Five was also the bound with which the labelled cases had no wrong accusation."""
MAX_PER_FLUSH = 4
"""A flush with more statements, or with one for many rows, is a chunk: somebody thought of it."""

RULE = Rule(
    code="SQL104",
    name="write-per-row",
    family="sql",
    severity="warning",
    title="Rows are written one by one in a loop",
    what=(
        "Reports at least five flushes (or commits) of one line in a for loop that wrote a row or "
        "two each, and at least five INSERT, UPDATE or DELETE statements for one row each with "
        "different values from such a line, where one flush or one statement could write all."
    ),
    why=(
        "Each row waits for a round trip, and with a commit for the disk as well. A bulk statement "
        "costs about as much as one of them."
    ),
    example=(
        "for name in names:\n"
        "    session.add(Tag(name=name))\n"
        "    session.commit()  # one transaction for each row"
    ),
    instead="session.add_all([Tag(name=name) for name in names])\nsession.commit()",
    limits=(
        "A commit or savepoint per item, so that a failure leaves the others, looks the same.",
        "One row that is changed again and again, as to show progress, is passed over.",
        "So are loops where most rounds wait for more than 100 ms for something else.",
        "So are transactions that lock the row they write: a worker takes one job after another.",
        "So are loops of while, and of async for unless they go over rows of a streaming query.",
        "Where a key that the database makes is needed at once, let relationships carry it.",
    ),
)

_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
_TABLE = re.compile(
    r'^(?:INSERT (?:OR \w+ )?INTO|UPDATE|DELETE FROM|MERGE INTO)\s+((?:"?\w+"?\.)?"?\w+"?)',
    re.IGNORECASE,
)
_UPSERT = re.compile(r"\bON (?:CONFLICT|DUPLICATE KEY)\b", re.IGNORECASE)
_KEY = re.compile(r'\bWHERE\b.*?"?(\w+)"?\s*=\s*\?', re.IGNORECASE)

Way = Literal["flush", "statement"]


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find writes that ran once per turn of a loop."""
    told: set[int] = set()
    for queries in _flushes(record):
        told.update(query.index for query in queries)
        yield _finding(record, queries, "flush")
    for queries in _statements(record):
        if not any(query.index in told for query in queries):
            yield _finding(record, queries, "statement")


def _flushes(record: RequestRecord) -> Iterator[list[Query]]:
    """Group the statements of flushes by their loop; keep those that wrote little each time."""
    found: dict[tuple[int, Chain], list[Query]] = defaultdict(list)
    for query in record.queries:
        if query.flush is not None and query.verb in _WRITES and query.error is None:
            found[query.engine, chain(query)].append(query)
    # What a read flushed before it ran (autoflush) is told with the read, if it is to blame.
    reading = {(query.engine, chain(query)) for query in record.queries if _reads(query)}
    for way, flushed in found.items():
        if way in reading:
            continue
        queries = of_one_message(flushed)
        if not over_items(queries[0], record) or paced(queries) or one_row(queries):
            continue
        if claimed(queries, record):
            continue
        turns: dict[int | None, list[Query]] = defaultdict(list)
        for query in queries:
            turns[query.flush].append(query)
        if len(turns) >= MIN_WRITES and all(_few(turn) for turn in turns.values()):
            yield queries


def one_row(queries: list[Query]) -> bool:
    """Tell whether it is one row that is changed again and again, as to show progress."""
    found = {_row_of(query) for query in queries if query.values}
    return len(found) == 1 and None not in found


def _row_of(query: Query) -> tuple[str, ...] | None:
    """Give the values of an UPDATE's condition."""
    where = query.sql.rfind(" WHERE ")
    keys = query.sql.count("?", where) if where > 0 else 0
    if query.verb != "UPDATE" or not keys or len(query.values) != query.sql.count("?"):
        return None
    return (query.sql[where:], *query.values[-keys:])


def claimed(queries: list[Query], record: RequestRecord) -> bool:
    """Tell whether each turn is a transaction of its own that locks what it writes: a worker."""
    own = {query.transaction for query in queries}
    locked = {query.transaction for query in record.queries if query.locking}
    return len(own) > 1 and own <= locked


def _reads(query: Query) -> bool:
    return query.flush is None and query.kind in {"query", "core"} and query.verb == "SELECT"


def _few(turn: list[Query]) -> bool:
    return len(turn) <= MAX_PER_FLUSH and not any(query.executemany for query in turn)


def _statements(record: RequestRecord) -> Iterator[list[Query]]:
    found: dict[tuple[object, ...], list[Query]] = defaultdict(list)
    for query in record.queries:
        if _is_single(query):
            found[query.sql, query.engine, chain(query)].append(query)
    for alike in found.values():
        queries = of_one_message(alike)
        distinct = len({query.values_digest for query in queries})
        if (
            distinct >= MIN_WRITES
            and over_items(queries[0], record)
            and not (paced(queries) or one_row(queries))
        ):
            yield queries


def _is_single(query: Query) -> bool:
    return (
        query.flush is None
        and query.verb in _WRITES
        and query.error is None
        and not query.executemany
        and not query.batch
        and (query.rows is None or query.rows <= 1)
        and " SELECT " not in query.sql
        and (query.verb == "INSERT" or _KEY.search(query.sql) is not None)
    )


def _finding(record: RequestRecord, queries: list[Query], way: Way) -> Finding:
    first = queries[0]
    where = owner(first)
    turns = len({query.flush for query in queries}) if way == "flush" else len(queries)
    commits = len({query.transaction for query in queries})
    tables = list(dict.fromkeys(_table(query.sql) for query in queries))
    return RULE.finding(
        _message(record, queries, way, turns=turns, commits=commits),
        title=f"{' and '.join(tables[:2])}: rows are written one by one",
        location=where,
        confidence="likely",
        fix=_fix(first, way, commits=commits),
        evidence={
            "sql": first.sql,
            "count": len(queries),
            "distinct": len({query.values_digest for query in queries}),
            "phase": first.phase,
            "way": way,
            "flushes": turns if way == "flush" else 0,
            "transactions": commits,
            "duration_ms": spent_ms(queries),
            "call_chain": [frame.location for frame in first.stack],
            "queries": [query.index for query in queries[:50]],
        },
        cause=f"{way} {first.verb} {tables[0]}{loop_mark(first)}",
    )


def _message(
    record: RequestRecord, queries: list[Query], way: Way, *, turns: int, commits: int
) -> str:
    first = queries[0]
    at_least = "at least " if "queries" in record.truncated else ""
    ends = f", in {commits} transactions" if commits > 1 else ""
    if way == "flush":
        return (
            f"{at_least.capitalize()}{turns} flushes in the loop at {place(owner(first))} wrote "
            f"{len(queries)} rows one by one{ends}: {short(first.sql, 200)}. One flush after the "
            "loop can write them all."
        )
    return (
        f"{first.verb} of one row ran {at_least}{len(queries)} times in the loop at "
        f"{place(owner(first))}, with different values{ends}: {short(first.sql, 200)}. One "
        "statement can take all the rows."
    )


def _table(sql: str) -> str:
    match = _TABLE.match(sql)
    return match[1].replace('"', "") if match else "A table"


def _fix(query: Query, way: Way, *, commits: int) -> Fix:
    where = owner(query)
    wait = "await " if query.is_async else ""
    if way == "flush":
        end = "commit" if commits > 1 else "flush"
        return Fix(
            summary=f"Call {end}() once, after the loop: the unit of work then writes all rows "
            "together. Rows that refer to one another get their keys through relationships.",
            code=f"{wait}session.{end}()  # after the loop",
            location=where,
        )
    name = query.attribute or _table(query.sql).rpartition(".")[2]
    key = _KEY.search(query.sql)
    column = key[1] if key else "id"
    path = f"{name}.{column}" if query.attribute else f"{name}.c.{column}"
    code = {
        "INSERT": f"session.execute(insert({name}), rows)  # rows: a list of dicts",
        "DELETE": f"session.execute(delete({name}).where({path}.in_(keys)))",
    }.get(query.verb, f"session.execute(update({name}), rows)  # dicts with {column} and the rest")
    if query.verb == "INSERT" and _UPSERT.search(query.sql):
        code = "session.execute(upsert, rows)  # the same one without values(); rows: dicts"
    return Fix(
        summary="Collect the values in the loop, and write them with one statement after it.",
        code=f"{wait}{code}",
        location=where,
    )
