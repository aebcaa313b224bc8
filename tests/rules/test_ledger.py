"""The ledger: what was considered and cleared, with the reason that holds."""

import msgspec
import pytest

from fastapi_diagnostics.record import Cleared, Frame, Query
from fastapi_diagnostics.rules.ledger import cleared, with_ledger
from tests.builders import a_finding, a_location, a_query, a_record


def repeated(count: int, **changes: object) -> tuple[Query, ...]:
    """The same statement with different values."""
    return tuple(
        a_query(**{"index": n, "values_digest": f"d{n}", "started_ms": float(n)} | changes)
        for n in range(count)
    )


def frame(loop: str = "") -> Frame:
    return Frame(location=a_location(), in_loop=bool(loop), loop=loop)


IN_FOR = (frame("for"),)


def reasons(queries: tuple[Query, ...]) -> list[str]:
    return [item.reason for item in cleared(a_record(queries=queries), ())]


@pytest.mark.parametrize(
    ("queries", "reason"),
    [
        (repeated(1, kind="eager"), "eager batch: one statement for all parents"),
        (repeated(3, kind="eager"), "eager batch in 3 statements, up to 500 parents each"),
        (repeated(1, verb="INSERT", executemany=True), "executemany: many rows in one statement"),
        (repeated(50, verb="INSERT", flush=1), "one flush, 50 rows"),
        (
            repeated(3, verb="UPDATE", flush=1) + repeated(3, verb="UPDATE", flush=2),
            "2 flushes with 6 rows",
        ),
        (repeated(4, batch=True), "chunked IN: 4 statements for many keys each"),
        (
            repeated(5, stack=(frame("while"),)),
            "in a while or async for loop: its next item may depend on the last",
        ),
        (
            repeated(4, sql="SELECT id FROM a WHERE lower(a.name) LIKE lower(?)", stack=IN_FOR),
            "no key is looked up: ranges, pages or patterns",
        ),
        (
            (*repeated(3, rows=0, stack=IN_FOR), a_query(index=3, values_digest="d", stack=IN_FOR)),
            "a search: only the last one found something",
        ),
        (
            repeated(6, sql="UPDATE a SET n = ? WHERE a.id = ?", verb="UPDATE", values=("1", "7")),
            "one row that is changed again and again, as to show progress",
        ),
        (
            repeated(2, values_digest="same", fresh=True),
            "read again over what the session holds, as asked for (populate_existing)",
        ),
        (repeated(3, locking=True), "rows are locked one by one, in an order that is meant"),
        (repeated(2, stack=(frame("for"),)), "2 different values: too few for a loop over rows"),
        (repeated(3, stack=(frame(),)), "no loop was seen around them"),
    ],
)
def test_each_reason_is_told(queries, reason):
    assert reasons(queries) == [reason]


def test_statements_that_wait_are_no_loop_over_rows():
    queries = tuple(
        msgspec.structs.replace(query, started_ms=query.index * 300.0)
        for query in repeated(4, stack=(frame("for"),))
    )

    assert reasons(queries) == ["most waited over 100 ms for something else before they ran"]


def test_jobs_that_are_locked_and_written_one_after_another_are_a_workers():
    queries = tuple(
        query
        for turn in range(6)
        for query in (
            a_query(index=2 * turn, values_digest=f"r{turn}", transaction=turn, locking=True),
            a_query(
                index=2 * turn + 1,
                sql="UPDATE job SET state = ? WHERE job.id = ?",
                verb="UPDATE",
                values=("done", str(turn)),
                values_digest=f"w{turn}",
                flush=turn,
                transaction=turn,
            ),
        )
    )

    assert "each in a transaction that locked its row: a worker takes one after another" in (
        reasons(queries)
    )


def test_a_read_after_a_write_is_told_as_such():
    read = a_query(values_digest="same")
    queries = (
        read,
        a_query(index=1, sql="UPDATE author SET name = ?", verb="UPDATE"),
        msgspec.structs.replace(read, index=2),
    )

    assert reasons(queries) == ["read again after a write or in another transaction"]


@pytest.mark.parametrize(
    "queries",
    [
        repeated(1),
        repeated(1, verb="INSERT", flush=1),
        repeated(4, kind="lazy", attribute="Author.books"),
        repeated(4, stack=(frame("for"),)),
        repeated(2, error="IntegrityError"),
        repeated(3, sql="SAVEPOINT sp", verb="SAVEPOINT"),
    ],
    ids=["single", "single write", "lazy", "a loop", "failed", "no statement"],
)
def test_nothing_is_cleared_without_a_reason(queries):
    assert reasons(queries) == []


def test_what_a_rule_reports_is_not_cleared():
    queries = repeated(60, stack=(frame(),))
    finding = a_finding(rule="SQL103", evidence={"queries": list(range(50))})

    assert cleared(a_record(queries=queries), (finding,)) == ()


def test_an_entry_names_its_statements_within_bounds():
    queries = repeated(60, kind="eager", attribute="Author.books")

    (item,) = cleared(a_record(queries=queries), ())

    assert (item.what, item.count) == ("Author.books", 60)
    assert item.queries == tuple(range(50))


def test_the_record_keeps_what_others_cleared_and_its_own_once():
    theirs = Cleared(what="password", reason="protected")
    record = a_record(queries=repeated(2, batch=True), cleared=(theirs,))

    once = with_ledger(record, ())
    twice = with_ledger(once, ())

    assert once.cleared[0] == theirs
    assert len(once.cleared) == 2
    assert twice == once
