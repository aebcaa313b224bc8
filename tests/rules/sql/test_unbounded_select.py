"""SQL109: many rows without LIMIT, counted where the driver does not tell."""

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.orm import selectinload

from fastapi_diagnostics.rules.sql.unbounded_select import MANY_ROWS
from tests.rules.sql.shop import Author, Book, Publisher, line_of, recorded, recorded_async


@pytest.fixture
def full(engine):
    with engine.begin() as connection:
        connection.execute(insert(Publisher), [{"name": "p"} for _ in range(MANY_ROWS)])
    return engine


def test_many_rows_without_a_limit_are_noted(full):
    def use(s):
        return s.scalars(select(Publisher)).all()  # everything

    recording = recorded(full, use)
    (finding,) = recording.findings("SQL109")

    assert finding.severity == "info"
    assert finding.location.line == line_of("everything", __file__)
    assert finding.evidence["rows"] == recording.record.queries[0].rows >= MANY_ROWS
    assert finding.fix.code == ".limit(100)"


@pytest.mark.parametrize(
    "query",
    [
        select(Publisher).limit(MANY_ROWS + 1),
        select(Publisher).where(Publisher.id < 10),
        select(func.count()).select_from(Publisher),
        select(Publisher).execution_options(yield_per=100),
        select(Publisher).where(Publisher.id.in_(range(MANY_ROWS + 100))),
    ],
    ids=["limit", "few", "count", "streamed", "by keys"],
)
def test_bounded_and_streamed_ones_are_clean(full, query):
    assert recorded(full, lambda s: list(s.scalars(query))).findings("SQL109") == []


def test_rows_of_core_are_counted_as_they_are_fetched(full):
    ids = select(Publisher.__table__.c.id)

    def one_by_one(s):
        return sum(1 for _ in s.connection().execute(ids))

    def first_of_many(s):
        return s.connection().execute(ids).fetchmany(5)

    def one(s):
        result = s.connection().execute(ids)
        row = result.fetchone()
        result.close()
        return row

    rows = [recorded(full, use).record.queries[0].rows for use in (one_by_one, first_of_many, one)]

    assert rows[0] >= MANY_ROWS
    assert rows[1:] == [5, 1]


def test_rows_of_a_result_that_becomes_a_stream_are_not_told(full):
    def use(s):
        return sum(1 for _ in s.connection().execute(select(Publisher.__table__.c.id)).yield_per(9))

    recording = recorded(full, use)

    assert recording.record.queries[0].rows is None
    assert recording.findings("SQL109") == []


def test_an_eager_batch_is_no_unbounded_select(engine):
    with engine.begin() as connection:
        book = {"title": "t", "author_id": 1, "publisher_id": 1}
        connection.execute(insert(Book), [book for _ in range(MANY_ROWS)])

    def use(s):
        [len(a.books) for a in s.scalars(select(Author).options(selectinload(Author.books)))]

    assert recorded(engine, use).findings("SQL109") == []


def test_async_drivers_tell_the_number(database):
    async def use(s):
        await s.execute(insert(Publisher), [{"name": "p"} for _ in range(MANY_ROWS)])
        (await s.scalars(select(Publisher))).all()  # async everything

    (finding,) = recorded_async(database, use).findings("SQL109")

    assert finding.location.line == line_of("async everything", __file__)


def test_a_script_may_read_everything(full):
    recording = recorded(full, lambda s: s.scalars(select(Publisher)).all(), kind="capture")

    assert recording.findings("SQL109") == []
