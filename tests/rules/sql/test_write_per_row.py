"""SQL104 through the real library."""

import msgspec
import pytest
from sqlalchemy import bindparam, delete, insert, select, update

from fastapi_diagnostics.record import Frame
from fastapi_diagnostics.rules.sql.write_per_row import check
from tests.builders import a_location, a_query, a_record
from tests.rules.sql.shop import Author, Book, Node, Publisher, line_of, recorded, recorded_async

NAMES = [f"n{number}" for number in range(6)]


def test_a_commit_for_each_row_is_found(engine):
    def use(s):
        for name in NAMES:
            s.add(Publisher(name=name))
            s.commit()  # commits

    (finding,) = recorded(engine, use).findings("SQL104")

    assert (finding.severity, finding.confidence) == ("warning", "likely")
    assert finding.location.line == line_of("commits", __file__)
    assert finding.evidence["count"] == finding.evidence["distinct"] == len(NAMES)
    assert finding.evidence["transactions"] == len(NAMES)
    assert finding.evidence["sql"].startswith("INSERT INTO publisher")
    assert finding.evidence["phase"] == "endpoint"
    assert finding.fix.code.startswith("session.commit()")


def test_one_commit_for_all_rows_is_clean(engine):
    def use(s):
        s.add_all(Publisher(name=name) for name in NAMES)
        s.commit()

    def in_loop(s):
        for name in NAMES:
            s.add(Publisher(name=name))
        s.commit()

    assert recorded(engine, use).findings("SQL104") == []
    assert recorded(engine, in_loop).findings("SQL104") == []


def test_a_flush_for_each_row_is_found_through_a_helper(engine):
    def save(s, name):
        s.add(Publisher(name=name))
        s.flush()

    def use(s):
        for name in NAMES:
            save(s, name)  # saves

    (finding,) = recorded(engine, use).findings("SQL104")

    assert finding.location.line == line_of("saves", __file__)
    assert finding.evidence["flushes"] == len(NAMES)
    assert finding.fix.code.startswith("session.flush()")


def test_a_commit_for_each_chunk_is_clean(engine):
    def use(s):
        for number in range(60):
            s.add(Publisher(name=str(number)))
            if number % 10 == 9:
                s.commit()

    assert recorded(engine, use).findings("SQL104") == []


def test_one_flush_that_writes_many_rows_is_clean(engine):
    def use(s):
        for node in s.scalars(select(Node)).all():
            node.parent_id = None
        s.flush()

    recording = recorded(engine, use)

    assert recording.findings("SQL104") == []


def test_four_rows_may_be_four_different_things(engine):
    def use(s):
        for name in NAMES[:4]:
            s.add(Publisher(name=name))
            s.commit()

    assert recorded(engine, use).findings("SQL104") == []


def test_flushes_from_different_lines_are_clean(engine):
    def save(s, name):
        s.add(Publisher(name=name))
        s.flush()

    def use(s):
        save(s, "1")
        save(s, "2")
        save(s, "3")
        save(s, "4")
        save(s, "5")

    assert recorded(engine, use).findings("SQL104") == []


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (lambda n: insert(Publisher).values(name=f"n{n}"), "insert(Publisher), rows"),
        (
            lambda n: update(Author).where(Author.id == n).values(name=f"n{n}"),
            "update(Author), rows",
        ),
        (
            lambda n: delete(Book).where(Book.id == n),
            "delete(Book).where(Book.id.in_(keys))",
        ),
    ],
    ids=["insert", "update", "delete"],
)
def test_a_statement_for_each_row_is_found(engine, statement, code):
    def use(s):
        for number in range(1, 7):
            s.execute(statement(number))  # one row

    (finding,) = recorded(engine, use).findings("SQL104")

    assert finding.location.line == line_of("one row", __file__)
    assert finding.evidence["way"] == "statement"
    assert code in finding.fix.code


def test_the_bulk_statements_are_clean(engine):
    def use(s):
        s.execute(insert(Publisher), [{"name": name} for name in NAMES])
        s.execute(update(Author), [{"id": number, "name": "n"} for number in range(1, 5)])
        s.execute(delete(Book).where(Book.id.in_(range(1, 7))))
        table = Author.__table__
        by_key = update(table).where(table.c.id == bindparam("key")).values(name=bindparam("n"))
        s.connection().execute(by_key, [{"key": number, "n": "n"} for number in range(1, 7)])

    assert recorded(engine, use).findings("SQL104") == []


def test_an_update_of_a_whole_group_is_no_single_row(engine):
    def use(s):
        for author_id in range(1, 5):
            s.execute(update(Book).where(Book.author_id == author_id).values(title="t"))
        s.execute(update(Book).where(Book.author_id == 4).values(title="u"))

    assert recorded(engine, use).findings("SQL104") == []


def test_async_commits_are_found(database):
    async def use(s):
        for name in NAMES:
            s.add(Publisher(name=name))
            await s.commit()  # async commits

    (finding,) = recorded_async(database, use).findings("SQL104")

    assert finding.location.line == line_of("async commits", __file__)


def _writes(*, loop: str = "for", gap_ms: float = 1.0) -> tuple:
    frame = Frame(location=a_location(), in_loop=True, loop=loop)
    return tuple(
        a_query(
            index=number,
            sql="INSERT INTO tag (name) VALUES (?)",
            verb="INSERT",
            kind="core",
            flush=number,
            started_ms=number * gap_ms,
            duration_ms=0.1,
            values_digest=str(number),
            stack=(frame,),
        )
        for number in range(6)
    )


def test_loops_that_wait_and_while_loops_are_passed_over():
    assert len(list(check(a_record(queries=_writes())))) == 1
    assert list(check(a_record(queries=_writes(gap_ms=300.0)))) == []
    assert list(check(a_record(queries=_writes(loop="while")))) == []


def test_a_failed_write_is_no_write():
    failed = tuple(msgspec.structs.replace(query, error="E") for query in _writes())

    assert list(check(a_record(queries=failed))) == []
