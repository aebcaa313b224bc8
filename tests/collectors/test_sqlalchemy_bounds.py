"""Bounds, threads, captures, and that the application is not disturbed."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, joinedload

from fastapi_diagnostics.collectors import sqlalchemy as collector
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.recorder import CURRENT
from tests.installed import installed
from tests.rules.sql.shop import (
    AUTHORS,
    Author,
    Book,
    Note,
    line_of,
    recorded,
    recorded_async,
    recorder,
    sealed,
    sync_engine,
)

SECRET = "hunter2"  # noqa: S105 - of the test


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(collector, root=Path(__file__).parent) as hooks:
        yield hooks


@pytest.fixture
def engine() -> Iterator[Engine]:
    with sync_engine() as engine:
        yield engine


# Bounds.


def test_all_statements_are_counted_and_a_thousand_are_kept_in_five_megabytes(engine) -> None:
    run = recorder()
    token = CURRENT.set(run)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1")).all()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(3000):
            sql = f"SELECT {number % 700} FROM author WHERE id = ?"  # noqa: S608 - a number
            connection.exec_driver_sql(sql, (number,))
        held = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    CURRENT.reset(token)

    record = sealed(run).record

    assert record.query_count == 3001
    assert len(record.queries) == 1000
    assert record.truncated == ("queries",)
    assert held < 5 * 1024 * 1024


def test_one_loop_leaves_room_for_what_follows(engine) -> None:
    def use(s):
        for number in range(700):
            s.get(Author, number + 100)
        s.scalars(select(Author)).all()

    recording = recorded(engine, use)

    assert len(recording.record.queries) == 501
    assert recording.record.queries[-1].index == 700
    (finding,) = recording.findings()
    assert "at least 500 times" in finding.message


def test_a_parent_loaded_by_a_statement_that_was_not_kept_has_no_query(engine) -> None:
    def use(s):
        for number in range(502):
            author = s.scalars(select(Author).where(Author.id == 1 + number % 2)).one()
            s.expunge(author)
        s.add(author)
        author.books  # noqa: B018

    assert recorded(engine, use).record.queries[-1].parent_query is None


def test_large_values_are_not_held(engine) -> None:
    run = recorder()
    token = CURRENT.set(run)
    with engine.connect() as connection:
        tracemalloc.start()
        for _ in range(100):
            blob = "x" * 100_000
            connection.exec_driver_sql("SELECT id FROM author WHERE name = ?", (blob,)).all()
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    CURRENT.reset(token)

    record = sealed(run).record

    assert held < 1024 * 1024
    assert len({query.values_digest for query in record.queries}) == 1


# The application is not disturbed.


def test_yield_per_and_streams_keep_their_buffering(engine, tmp_path) -> None:
    def use(s):
        result = s.scalars(select(Book).execution_options(yield_per=2))
        return [len(part) for part in result.partitions()]

    async def stream(s):
        result = await s.stream_scalars(select(Book).execution_options(yield_per=5))
        return [len(part) async for part in result.partitions()]

    assert recorded(engine, use).record.queries[0].rows is None
    assert recorded_async(tmp_path / "s.db", stream).record.query_count == 1


def test_rows_are_told_where_the_driver_has_them(tmp_path) -> None:
    async def use(s):
        await s.scalars(select(Author))

    assert recorded_async(tmp_path / "r.db", use).record.queries[0].rows == AUTHORS


def test_a_listener_that_rewrites_statements_still_works(engine) -> None:
    def comment(_conn, _cursor, statement, parameters, _context, _many):
        return f"{statement} /* route='x' */", parameters

    event.listen(engine, "before_cursor_execute", comment, retval=True)

    recording = recorded(engine, lambda s: s.get(Author, 1))

    assert "route" not in recording.record.queries[0].sql


def test_nothing_of_ours_keeps_application_objects_alive(engine) -> None:
    import gc  # noqa: PLC0415
    import weakref  # noqa: PLC0415

    gone = []
    run = recorder()
    token = CURRENT.set(run)
    with Session(engine) as session:
        author = session.get(Author, 1)
        gone.append(weakref.ref(author))
        author.books  # noqa: B018
        del author
    del session
    CURRENT.reset(token)
    sealed(run)
    gc.collect()

    assert gone[0]() is None


# Threads, tasks, sealing twice, captures.


def test_tasks_are_told_apart(tmp_path) -> None:
    async def one(engine):
        async with AsyncSession(engine) as session:
            await session.get(Author, 1)

    async def main():
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/t.db")
        run = recorder()
        CURRENT.set(run)
        await asyncio.gather(one(engine), one(engine))
        await engine.dispose()
        return sealed(run)

    with sync_engine(f"{tmp_path}/t.db"):
        recording = asyncio.run(main())

    assert {query.task for query in recording.record.queries} == {0, 1}
    assert {query.engine for query in recording.record.queries} == {0}


def test_to_thread_is_recorded(engine) -> None:
    async def main():
        run = recorder()
        CURRENT.set(run)
        with Session(engine) as session:
            await asyncio.to_thread(session.get, Author, 1)
        return sealed(run)

    assert asyncio.run(main()).record.query_count == 1


def test_sealing_at_the_response_and_at_the_close_gives_all(engine) -> None:
    run = recorder()
    token = CURRENT.set(run)
    with Session(engine) as session:
        authors = session.scalars(select(Author)).all()
        first = run.seal("open", route="GET /x")
        run.enter("background")
        [len(author.books) for author in authors]
        second = sealed(run)
    CURRENT.reset(token)

    assert len(first.queries) == first.query_count == 1
    assert second.record.queries[0] == first.queries[0]
    assert {query.parent_query for query in second.record.queries[1:]} == {0}
    (finding,) = second.findings()
    assert finding.evidence["phase"] == "background"


def test_a_capture_takes_over_what_ran_inside_it(engine) -> None:
    outer = recorder()
    token = CURRENT.set(outer)
    with Session(engine) as session:
        session.get(Author, 1)
        inner = recorder(outer=outer)
        CURRENT.set(inner)
        for author in session.scalars(select(Author)).all():
            len(author.books)
        alone = sealed(inner)
        CURRENT.set(outer)
        session.get(Note, 1)
    whole = sealed(outer)
    CURRENT.reset(token)

    assert [query.index for query in whole.record.queries] == list(range(whole.record.query_count))
    assert whole.record.query_count == alone.record.query_count + 3
    assert {q.parent_query for q in whole.record.queries if q.attribute == "Author.books"} == {1}
    assert [f.rule for f in alone.findings()] == [f.rule for f in whole.findings()] == ["SQL101"]


def test_call_sites_are_the_users_lines(engine) -> None:
    def use(s):
        for author in s.scalars(select(Author).options(joinedload(Author.books))).unique():  # here
            author.books  # noqa: B018
        s.get(Note, 1)

    first = recorded(engine, use).record.queries[0]

    assert first.location.line == line_of("here", __file__)
    assert first.location.file == Path(__file__).name
    assert first.stack == ()
