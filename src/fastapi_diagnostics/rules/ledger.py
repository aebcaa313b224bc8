"""The ledger: repeated statements that were looked at and found in order, each with its reason.

What others would call an N+1 and is none is said aloud, so that silence is not taken for
blindness. It is made after the rules have run: what one of them reports is not in it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec

from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.record import Cleared, Location, Query, RequestRecord
from fastapi_diagnostics.rules.sql._chains import looping, of_one_message, paced, short
from fastapi_diagnostics.rules.sql.n_plus_one_lookup import MIN_DISTINCT, by_key, ends_with
from fastapi_diagnostics.rules.sql.write_per_row import MIN_WRITES, claimed, one_row

MAX_ENTRIES = 100
MAX_QUERIES = 50
MIN_REPEATS = 2
"""Of fewer there is only to say that one of them serves many rows."""

_VERBS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"})
_LOOKUPS = frozenset({"get", "query", "core"})
_WRITES = _VERBS - {"SELECT"}

Key = tuple[str, str, int, Location | None]
Reason = Callable[[list[Query], RequestRecord], str]


def cleared(record: RequestRecord, findings: Iterable[Finding]) -> tuple[Cleared, ...]:
    """List the statements that came again, or served many rows at once, and are in order.

    Args:
        record: What happened.
        findings: What the rules concluded from this record.
    """
    accused = _accused(record, findings)
    entries: list[Cleared] = []
    for key, queries in _groups(record).items():
        if key in accused or len(entries) >= MAX_ENTRIES:
            continue
        reason = _reason(queries, record)
        if reason:
            entries.append(
                Cleared(
                    what=queries[0].attribute or short(queries[0].sql, 120),
                    reason=reason,
                    count=len(queries),
                    queries=tuple(query.index for query in queries[:MAX_QUERIES]),
                )
            )
    return tuple(entries)


def _groups(record: RequestRecord) -> dict[Key, list[Query]]:
    groups: dict[Key, list[Query]] = defaultdict(list)
    for query in record.queries:
        if query.verb in _VERBS and query.error is None:
            groups[_key(query)].append(query)
    return groups


def _key(query: Query) -> Key:
    return query.sql, query.kind, query.engine, query.location


def _accused(record: RequestRecord, findings: Iterable[Finding]) -> set[Key]:
    """Give the groups that a finding is about; evidence names the first 50 statements."""
    named = {
        index
        for finding in findings
        for index in finding.evidence.get("queries", ())
        if finding.rule.startswith("SQL")
    }
    return {_key(query) for query in record.queries if query.index in named}


def _reason(queries: list[Query], record: RequestRecord) -> str:
    """Give the first reason that holds; empty where there was nothing to consider."""
    reasons = _MANY_ROWS_AT_ONCE if len(queries) < MIN_REPEATS else _REASONS
    for reason in reasons:
        if text := reason(queries, record):
            return text
    return ""


def _eager(queries: list[Query], _record: RequestRecord) -> str:
    if queries[0].kind != "eager":
        return ""
    if len(queries) == 1:
        return "eager batch: one statement for all parents"
    return f"eager batch in {len(queries)} statements, up to 500 parents each"


def _many_rows(queries: list[Query], _record: RequestRecord) -> str:
    if not all(query.executemany for query in queries):
        return ""
    return "executemany: many rows in one statement"


def _one_flush(queries: list[Query], _record: RequestRecord) -> str:
    flushes = {query.flush for query in queries}
    if None in flushes:
        return ""
    if len(flushes) == 1:
        return f"one flush, {len(queries)} rows"
    if len(flushes) < len(queries):
        return f"{len(flushes)} flushes with {len(queries)} rows"
    few = len(flushes) < MIN_WRITES
    return f"{len(flushes)} flushes: too few to be a write for each row" if few else ""


def _in_list(queries: list[Query], _record: RequestRecord) -> str:
    if not all(query.batch for query in queries):
        return ""
    return f"chunked IN: {len(queries)} statements for many keys each"


def _waiting(queries: list[Query], _record: RequestRecord) -> str:
    if not paced(queries):
        return ""
    return "most waited over 100 ms for something else before they ran"


def _by_message(queries: list[Query], _record: RequestRecord) -> str:
    if len(of_one_message(queries)) == len(queries):
        return ""
    return f"for {len({query.window for query in queries})} messages of the websocket"


def _written_on_purpose(queries: list[Query], record: RequestRecord) -> str:
    if queries[0].verb not in _WRITES:
        return ""
    if one_row(queries):
        return "one row that is changed again and again, as to show progress"
    if claimed(queries, record):
        return "each in a transaction that locked its row: a worker takes one after another"
    return ""


def _read_on_purpose(queries: list[Query], _record: RequestRecord) -> str:
    if queries[0].verb != "SELECT":
        return ""
    if any(query.fresh for query in queries):
        return "read again over what the session holds, as asked for (populate_existing)"
    if all(query.locking for query in queries):
        return "rows are locked one by one, in an order that is meant"
    return ""


def _no_keys(queries: list[Query], _record: RequestRecord) -> str:
    """Different values that are no keys: a query for all of them would be another one."""
    lookups = queries[0].kind in _LOOKUPS and queries[0].verb == "SELECT"
    if not lookups or len({query.values_digest for query in queries}) < MIN_DISTINCT:
        return ""
    if not by_key(queries):
        return "no key is looked up: ranges, pages or patterns"
    if looping(queries[0]) is not None and ends_with(queries, found=True):
        return "a search: only the last one found something"
    return ""


def _again(queries: list[Query], record: RequestRecord) -> str:
    """Equal reads: the rule for duplicates passes them over only after a write."""
    if len({query.values_digest for query in queries}) > 1:
        return ""
    if queries[0].verb in _WRITES:
        return "the same write again; nobody but the application can tell whether it is needed"
    first, last = queries[0].index, queries[-1].index
    wrote = any(first < query.index < last and query.verb in _WRITES for query in record.queries)
    if wrote or queries[0].transaction != queries[-1].transaction:
        return "read again after a write or in another transaction"
    return ""


def _by_while(queries: list[Query], _record: RequestRecord) -> str:
    frame = looping(queries[0])
    if frame is None or frame.loop not in {"while", "async for"}:
        return ""
    return "in a while or async for loop: its next item may depend on the last"


def _few_or_apart(queries: list[Query], _record: RequestRecord) -> str:
    """Two different lookups are a pair; what is behind attributes of objects is left alone."""
    if queries[0].kind not in _LOOKUPS:
        return ""
    distinct = len({query.values_digest for query in queries})
    if distinct < MIN_DISTINCT:
        return f"{distinct} different values: too few for a loop over rows"
    one_task = len({query.task for query in queries}) == 1
    if one_task and all(looping(query) is None for query in queries):
        return "no loop was seen around them"
    return ""


_MANY_ROWS_AT_ONCE: tuple[Reason, ...] = (_eager, _many_rows)
_REASONS: tuple[Reason, ...] = (
    *_MANY_ROWS_AT_ONCE,
    _by_message,
    _one_flush,
    _in_list,
    _waiting,
    _written_on_purpose,
    _read_on_purpose,
    _again,
    _by_while,
    _few_or_apart,
    _no_keys,
)


def with_ledger(record: RequestRecord, findings: Iterable[Finding]) -> RequestRecord:
    """Add the ledger to what was cleared before; a record that has one already keeps it once."""
    ours = cleared(record, findings)
    if not ours:
        return record
    about = {item.queries for item in ours}
    others = (item for item in record.cleared if not item.queries or item.queries not in about)
    return msgspec.structs.replace(record, cleared=(*others, *ours))
