"""SQL103: one row is looked up per turn of a loop, where one query could fetch them all."""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Query, RequestRecord
from fastapi_diagnostics.rules.sql._chains import (
    chain,
    loop_mark,
    looping,
    of_one_message,
    over_items,
    owner,
    paced,
    place,
    short,
    spent_ms,
)
from fastapi_diagnostics.rules.sql._conditions import Keys, keys_of

MIN_DISTINCT = 3
"""Two turns may be a pair of named things, such as sender and receiver; three are a list."""

RULE = Rule(
    code="SQL103",
    name="n-plus-one-lookup",
    family="sql",
    severity="error",
    title="One row is looked up per turn of a loop (N+1)",
    what=(
        "Reports a lookup by key, a count or an existence check that ran at least three times "
        "with different values, from the same line of a for loop or from concurrent tasks, where "
        "one query for all the values would do."
    ),
    why=(
        "Each turn waits for a round trip to the database, so the time grows with the number of "
        "items. One query with IN, or one with GROUP BY, costs a single round trip."
    ),
    example=(
        "for order in orders:\n"
        "    customer = session.get(Customer, order.customer_id)\n"
        "    print(order.id, customer.name)"
    ),
    instead=(
        "ids = {order.customer_id for order in orders}\n"
        "found = session.scalars(select(Customer).where(Customer.id.in_(ids)))\n"
        "customers = {customer.id: customer for customer in found}\n"
        "for order in orders:\n"
        "    print(order.id, customers[order.customer_id].name)"
    ),
    limits=(
        "Loops of while are passed over: their next item may depend on the last.",
        "So are those of async for unless they go over the rows of a query that streams them.",
        "A for loop that tries values until one is free looks the same; it is marked as likely.",
        "Where only the last lookup found something, the loop is taken for a search.",
        "Ranges, pages, patterns (LIKE) and locking reads are passed over.",
        "Lookups that map() or another function written in C repeats are passed over.",
        "Lookups that gathered tasks hand to threads are told where three threads ran them.",
    ),
)

_KINDS = frozenset({"get", "query", "core"})
_PLACE = re.compile(
    r"(?P<before><>|!=|[<>]=|[=<>]|\bIN\s*\(|\b\w++|[^\s\w])\s*(?:\w++\s*\(\s*)*\?(?P<after>\s*\)?\s*=)?",
    re.IGNORECASE,
)
"""A placeholder, the function around it, and what stands before that."""
_COLUMN = re.compile(
    r'"?(?P<left>\w+)"?\s*(?:=|IN \()\s*\?|\?\s*=\s*(?:"?\w+"?\.)*"?(?P<right>\w+)"?',
    re.IGNORECASE,
)
_WHERE = re.compile(r"\bWHERE\b", re.IGNORECASE)
_FROM = re.compile(r'\bFROM\s+"?(\w+(?:"?\."?\w+)?)"?', re.IGNORECASE)
_ELSEWHERE = re.compile(
    r"\bFOR (?:NO KEY )?(?:UPDATE|SHARE)\b|\bFOR KEY SHARE\b|\bpg_catalog\b|\binformation_schema\b"
    r"|\bsqlite_master\b",
    re.IGNORECASE,
)
_FIRST = re.compile(r"\bORDER BY\b.*\b(?:LIMIT|FETCH FIRST)\b", re.IGNORECASE)
_RANGE = re.compile(r"[<>]=?\s*\?|\b(?:LIKE|ILIKE|BETWEEN|OFFSET)\b", re.IGNORECASE)
_AGGREGATE = re.compile(
    r"^SELECT\s+(?P<name>count|sum|min|max|avg|total)\s*\("
    r"\s*(?:(?:\"?\w+\"?\.)*\"?(?P<column>\w+)\"?\s*\))?",
    re.IGNORECASE,
)
_EXISTS = re.compile(r"^SELECT\s+(?:\?|EXISTS\b|NOT\s*\(?EXISTS\b|\(?EXISTS\b)", re.IGNORECASE)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find lookups that ran once per item."""
    for queries in lookups(record):
        yield _finding(record, queries, concurrent=looping(queries[0]) is None)


def lookups(record: RequestRecord) -> Iterator[list[Query]]:
    """Group what was looked up once per item, the repetitions of a value included."""
    groups: dict[tuple[object, ...], list[Query]] = defaultdict(list)
    for query in record.queries:
        if _is_lookup(query):
            groups[query.sql, query.engine, query.kind, chain(query)].append(query)
    for alike in groups.values():
        if len(alike) < MIN_DISTINCT:
            continue
        queries = of_one_message(alike)
        distinct = len({query.values_digest for query in queries})
        if distinct < MIN_DISTINCT or not _asks(queries[0].sql):
            continue
        in_loop = over_items(queries[0], record) and not ends_with(queries, found=True)
        tasks = len({query.task for query in queries})
        together = looping(queries[0]) is None and tasks >= MIN_DISTINCT
        if (in_loop or together) and not paced(queries) and by_key(queries):
            yield queries


def ends_with(queries: list[Query], *, found: bool) -> bool:
    """Tell whether the last answer differs from all others: the first row, or the first miss.

    So ends a loop that tries one value after the other.
    """
    rows = [query.rows for query in queries]
    return (
        None not in rows
        and all(bool(count) != found for count in rows[:-1])
        and (bool(rows[-1]) == found)
    )


def _is_lookup(query: Query) -> bool:
    return (
        query.kind in _KINDS
        and query.verb == "SELECT"
        and query.flush is None
        and query.error is None
        and query.location is not None
        and not query.locking
        and not (query.batch or query.executemany)
    )


@lru_cache(maxsize=128)
def _asks(sql: str) -> bool:
    """Tell whether a text has a condition, and asks a table of the user's without locking it."""
    return _WHERE.search(sql) is not None and _ELSEWHERE.search(sql) is None


def by_key(queries: list[Query]) -> bool:
    """Tell whether what changes is compared for equality: a page or a range is no lookup."""
    sql = queries[0].sql
    before = _before_places(sql)
    rows = [query.values for query in queries]
    hidden = len(set(rows)) == 1  # what changes is redacted, or was cut
    if not before or hidden or any(len(row) != len(before) for row in rows):
        return _COLUMN.search(sql) is not None and _RANGE.search(sql) is None
    changing = {
        word
        for word, column in zip(before, zip(*rows, strict=True), strict=True)
        if len(set(column)) > 1
    }
    return bool(changing) and all(word == "=" or word.endswith("(") for word in changing)


@lru_cache(maxsize=128)
def _before_places(sql: str) -> tuple[str, ...]:
    """Give what stands before each placeholder, upper case; an equality behind it counts alike."""
    return tuple(
        "=" if match["after"] else match["before"].upper() for match in _PLACE.finditer(sql)
    )


def _finding(record: RequestRecord, queries: list[Query], *, concurrent: bool) -> Finding:
    first = queries[0]
    distinct = len({query.values_digest for query in queries})
    proven = first.kind == "get" and not concurrent and not ends_with(queries, found=False)
    where = owner(first)
    keys = keys_of(queries)
    return RULE.finding(
        _message(record, queries, distinct, concurrent=concurrent),
        title=f"{_what(first)} is queried once per item (N+1)",
        location=where,
        confidence="proven" if proven else "likely",
        severity="error" if proven else "warning",
        fix=Fix(
            summary=_summary(queries, keys, concurrent=concurrent),
            code=_code(queries[0], keys),
            location=where,
        ),
        evidence={
            "sql": first.sql,
            "count": len(queries),
            "distinct": distinct,
            "phase": first.phase,
            "kind": first.kind,
            "concurrent": concurrent,
            "values": [query.values for query in queries[:5]],
            "duration_ms": spent_ms(queries),
            "call_chain": [frame.location for frame in first.stack],
            "queries": [query.index for query in queries[:50]],
        },
        cause=(first.attribute or "" if first.kind == "get" else _after_from(first.sql))
        + loop_mark(first),
    )


def _message(
    record: RequestRecord, queries: list[Query], distinct: int, *, concurrent: bool
) -> str:
    first = queries[0]
    at_least = "at least " if "queries" in record.truncated else ""
    done = {"get": "was fetched by its primary key"}.get(first.kind, "was queried")
    if _AGGREGATE.match(first.sql):
        done = "was counted or added up"
    elif _EXISTS.match(first.sql):
        done = "was checked for a row"
    how = "from concurrent tasks" if concurrent else "in the loop"
    return (
        f"{_what(first)} {done} {at_least}{len(queries)} times {how} at {place(owner(first))}, "
        f"with {distinct} different values: {short(first.sql, 200)}. One query can answer for "
        "all of them."
    )


def _what(query: Query) -> str:
    return query.attribute or _table(query.sql)


def _table(sql: str) -> str:
    match = _FROM.search(sql)
    return match[1].replace('"', "") if match else "A table"


def _after_from(sql: str) -> str:
    match = _FROM.search(sql)
    return sql[match.start() :][:300] if match else sql[:300]


def _summary(queries: list[Query], keys: Keys | None, *, concurrent: bool) -> str:
    """Say what to do; whose values the keys are, and what becomes of the rows, is up to a hand."""
    sql = queries[0].sql
    before = "instead of one query in each task" if concurrent else "before the loop"
    whose = "of all tasks" if concurrent else "of the loop"
    if _AGGREGATE.match(sql):
        do = f"Ask for all of them at once with GROUP BY, {before}; a key without rows is left out"
    elif _EXISTS.match(sql):
        do = f"Ask once, {before}, which of them there are, and look them up in a set"
    elif _FIRST.search(sql):
        do = (
            f"Fetch the first row of each with one IN query {before}: numbered by "
            "row_number() over (partition_by=…, order_by=…), number one is kept"
        )
    elif any((query.rows or 0) > 1 for query in queries):
        do = f"Fetch all the rows with one IN query {before}, and put them in a dict of lists"
    else:
        do = f"Fetch all the rows with one IN query {before}, and look them up in a dict"
    rest = " The other conditions stay as they are." if keys is None or keys.more else ""
    return f"{do}. To be written by hand: `keys` stands for the values {whose}.{rest}"


def _code(first: Query, keys: Keys | None) -> str:
    """Write the query for all of them; `""` where the columns cannot be told."""
    if keys is None:
        return ""
    sql = first.sql
    name = first.attribute or _table(sql).rpartition(".")[2]
    of = name if first.attribute else f"{name}.c"
    paths = ", ".join(f"{of}.{column}" for column in keys.changing)
    one_of = f"{paths}.in_(keys)" if len(keys.changing) == 1 else f"tuple_({paths}).in_(keys)"
    conditions = ", ".join([*(f"{of}.{column} == {column}" for column in keys.same), one_of])
    aggregate = _AGGREGATE.match(sql)
    if aggregate is not None:
        argument = f"{of}.{aggregate['column']}" if aggregate["column"] else ""
        call = f"func.{aggregate['name'].lower()}({argument})"
        return f"select({paths}, {call}).where({conditions}).group_by({paths})"
    if _EXISTS.match(sql):
        return f"select({paths}).where({conditions}).distinct()"
    return f"select({name}).where({conditions})"
