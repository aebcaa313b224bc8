"""SQL105 through the real library."""

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session, selectinload

from fastapi_diagnostics.rules.sql.duplicate_query import check
from tests.builders import a_query, a_record
from tests.rules.sql.shop import Author, Book, line_of, recorded

NAME = select(Author.name).where(Author.id == 1)


def test_the_same_read_in_a_loop_is_a_warning(engine):
    def use(s):
        for _ in range(6):
            s.scalar(NAME)  # again

    (finding,) = recorded(engine, use).findings()

    assert (finding.rule, finding.severity) == ("SQL105", "warning")
    assert finding.location.line == line_of("again", __file__)
    assert finding.evidence["count"] == 6
    assert finding.evidence["distinct"] == 1


def test_two_lines_are_a_note(engine):
    def use(s):
        s.scalar(NAME)
        s.scalar(NAME)  # second

    (finding,) = recorded(engine, use).findings()

    assert finding.severity == "info"
    assert finding.location.line == line_of("second", __file__)


def test_one_read_is_clean(engine):
    assert recorded(engine, lambda s: s.scalar(NAME)).codes == []


@pytest.mark.parametrize(
    "between",
    [
        lambda s: s.execute(update(Author).where(Author.id == 2).values(name="n")),
        lambda s: s.execute(text("UPDATE author SET name = 'n' WHERE id = 2")),
        lambda s: (s.add(Author(name="new")), s.flush()),
        lambda s: s.commit(),
        lambda s: s.rollback(),
    ],
    ids=["update", "raw", "flush", "commit", "rollback"],
)
def test_a_write_in_between_is_a_reason_to_read_again(engine, between):
    def use(s):
        for _ in range(4):
            s.scalar(NAME)
            between(s)

    assert recorded(engine, use).findings("SQL105") == []


@pytest.mark.parametrize(
    "query",
    [
        text("SELECT 1"),
        text("SELECT random() FROM author"),
        text("SELECT id FROM author ORDER BY random() LIMIT 1"),
    ],
    ids=["ping", "random", "draw"],
)
def test_what_is_not_meant_to_be_kept_is_clean(engine, query):
    def use(s):
        for _ in range(5):
            s.execute(query).first()

    assert recorded(engine, use).codes == []


def test_other_values_are_no_duplicates_even_when_they_are_written_out(engine):
    def use(s):
        s.execute(text("SELECT name FROM author WHERE id = 1")).all()
        s.execute(text("SELECT name FROM author WHERE id = 2")).all()
        s.execute(text("SELECT name FROM author WHERE id = 1 AND name = 'x'")).all()
        s.execute(text("SELECT name FROM author WHERE id = 1 AND name = 'y'")).all()

    assert recorded(engine, use).codes == []


def test_two_sessions_that_each_read_the_user_are_clean(engine):
    def use(_):
        for _ in range(2):
            with Session(engine) as own:
                own.get(Author, 1)

    assert recorded(engine, use).severe == []


def test_eager_batches_are_clean(engine):
    def use(s):
        for page in (0, 1):
            query = select(Author).options(selectinload(Author.books)).limit(2).offset(page * 2)
            s.scalars(query).all()

    assert recorded(engine, use).codes == []


def test_identity_map_makes_no_second_query(engine):
    def use(s):
        kept = s.get(Author, 1)
        return kept, s.get(Author, 1), s.get(Book, 1)

    assert recorded(engine, use).codes == []


def test_polling_with_waits_is_clean_and_without_waits_is_found():
    def at(pause):
        return a_record(queries=tuple(a_query(index=n, started_ms=n * pause) for n in range(5)))

    assert list(check(at(250.0))) == []
    assert len(list(check(at(2.0)))) == 1


def test_a_gap_of_statements_that_were_not_kept_proves_nothing():
    queries = (a_query(index=0), a_query(index=7), a_query(index=9))

    assert list(check(a_record(queries=queries, truncated=("queries",)))) == []


def test_a_helper_is_not_to_blame_for_being_called_twice(engine):
    def helper(s):
        return s.scalar(NAME)

    def use(s):
        first = helper(s)
        return first, helper(s)  # asks again

    (finding,) = recorded(engine, use).findings("SQL105")

    assert finding.severity == "info"
    assert finding.location.line == line_of("asks again", __file__)
    assert len(finding.evidence["locations"]) == 2
