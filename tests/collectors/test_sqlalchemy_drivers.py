"""What is noted of each statement, the same through every driver: on SQLite and PostgreSQL."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from fastapi_diagnostics.collectors import sqlalchemy as collector
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.recorder import CURRENT
from tests.installed import installed
from tests.rules.sql.served import SERVED, postgres, prepare, serve
from tests.rules.sql.shop import (
    BOOKS_EACH,
    Author,
    Note,
    Recording,
    Shelf,
    in_own_session,
    line_of,
    recorded,
    recorder,
    sealed,
)

SECRET = "hunter2"  # noqa: S105 - of the test
DRIVERS = {
    "sqlite3": "sqlite",
    "aiosqlite": "sqlite+aiosqlite",
    "psycopg": "postgresql+psycopg",
    "psycopg-async": "postgresql+psycopg",
    "asyncpg": "postgresql+asyncpg",
}
ASYNCHRONOUS = frozenset({"aiosqlite", "psycopg-async", "asyncpg"})


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(collector, root=Path(__file__).parent) as hooks:
        yield hooks


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("pg")) as url:
        yield url


class Database:
    """A filled database, and how its driver is used."""

    def __init__(self, driver: str, url: str) -> None:
        self.driver = driver
        self.url = url

    def record(self, use: Callable[[Session], object], **options: Any) -> Recording:
        """Record what *use* does; with an asynchronous driver through ``run_sync``."""
        if self.driver not in ASYNCHRONOUS:
            engine = create_engine(self.url, **options)
            try:
                return recorded(engine, use)
            finally:
                engine.dispose()
        return self.record_async(lambda session: session.run_sync(use), **options)

    def record_async(self, use: Callable[[AsyncSession], Any], **options: Any) -> Recording:
        async def main() -> Recording:
            engine = create_async_engine(self.url, **options)
            run = recorder()
            CURRENT.set(run)
            await in_own_session(engine, use)
            recording = sealed(run)
            await engine.dispose()
            return recording

        return asyncio.run(main())


def database_of(request: pytest.FixtureRequest, driver: str, tmp_path: Path) -> Database:
    path = f":///{tmp_path}/shop.db"
    if "sqlite" in driver:
        prepare(f"sqlite+aiosqlite{path}")
        return Database(driver, DRIVERS[driver] + path)
    url = request.getfixturevalue("server")
    prepare(url)
    return Database(driver, DRIVERS[driver] + url[url.index(":") :])


@pytest.fixture(params=list(DRIVERS))
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return database_of(request, request.param, tmp_path)


@pytest.fixture(params=sorted(ASYNCHRONOUS))
def asynchronous(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return database_of(request, request.param, tmp_path)


def first_three(session: Session) -> None:
    names = ["a1", "a2", "a3"]
    query = select(Author).where(Author.name.in_(names)).order_by(Author.id)
    for author in session.scalars(query).all():  # authors
        len(author.books)  # books


def test_a_loop_of_lazy_loads_is_the_same_record(database: Database) -> None:
    recording = database.record(first_three)

    parents, *loads = recording.record.queries
    assert parents.sql.endswith("WHERE author.name IN (?) ORDER BY author.id")
    assert (parents.kind, parents.attribute, parents.verb) == ("query", "Author", "SELECT")
    assert (len(parents.values), parents.batch) == (3, True)
    assert parents.rows == 3
    assert parents.location.line == line_of("authors", __file__)
    assert [query.kind for query in loads] == ["lazy"] * 3
    assert {query.sql for query in loads} == {loads[0].sql}
    assert loads[0].sql.endswith("FROM book WHERE ? = book.author_id ORDER BY book.id")
    assert {query.rows for query in loads} == {BOOKS_EACH}
    assert {(query.attribute, query.path, query.root) for query in loads} == {
        ("Author.books", ("Author.books",), "Author")
    }
    assert {query.parent_query for query in loads} == {0}
    assert len({query.parent_key for query in loads}) == 3
    assert {query.location.line for query in loads} == {line_of("books", __file__)}
    assert all(query.duration_ms > 0 for query in recording.record.queries)
    assert recording.record.query_count == 4


def test_the_defect_is_found_at_the_same_line(database: Database) -> None:
    (finding,) = database.record(first_three).findings()

    assert finding.rule == "SQL101"
    assert finding.location.line == line_of("books", __file__)
    assert finding.evidence["parents"] == 3
    assert finding.fix.code.endswith(".options(selectinload(Author.books))")


def test_secrets_are_not_in_the_record(database: Database) -> None:
    query = text("SELECT name FROM author WHERE password = :password AND id = :id")

    recording = database.record(
        lambda session: session.execute(query, {"password": SECRET, "id": 3}).all()
    )

    (found,) = recording.record.queries
    assert found.sql == "SELECT name FROM author WHERE password = ? AND id = ?"
    assert found.values[1] == "3"
    assert SECRET not in str(recording.record)


def test_transactions_and_written_rows_are_counted(database: Database) -> None:
    def use(session: Session) -> None:
        session.add(Shelf(id=50))
        session.commit()
        session.execute(text("UPDATE author SET name = 'x' WHERE id <= 2"))
        session.rollback()
        session.scalars(select(Shelf.id)).all()

    insert, update, read = database.record(use).record.queries

    assert (insert.verb, insert.flush, insert.transaction) == ("INSERT", 1, 0)
    assert (update.verb, update.rows, update.transaction) == ("UPDATE", 2, 1)
    assert (read.verb, read.transaction, read.rows) == ("SELECT", 2, 5)


def test_an_error_is_noted_and_reaches_the_application(database: Database) -> None:
    seen: list[Exception] = []

    def use(session: Session) -> None:
        try:
            session.execute(text("SELECT * FROM nowhere"))  # fails
        except DBAPIError as error:
            seen.append(error)

    (query,) = database.record(use).record.queries

    assert "nowhere" in str(seen[0])
    assert query.error == type(seen[0].orig).__name__
    assert query.location.line == line_of("fails", __file__)
    assert query.duration_ms > 0


def test_connections_are_told_apart(database: Database) -> None:
    def use(session: Session) -> None:
        session.scalars(select(Author.id)).all()
        with Session(session.get_bind()) as other:
            other.scalars(select(Author.id)).all()
            session.scalars(select(Note.id)).all()

    first, second, third = database.record(use).record.queries

    assert first.connection == third.connection != second.connection
    assert first.engine == second.engine == third.engine == 0


# Where it was called.


def test_a_line_that_awaits_is_found_through_the_greenlet(asynchronous: Database) -> None:
    async def use(session: AsyncSession) -> None:
        author = (await session.scalars(select(Author).order_by(Author.id))).first()  # awaits
        await author.awaitable_attrs.books  # awaits an attribute

    parents, books = asynchronous.record_async(use).record.queries

    assert parents.location.line == line_of("awaits", __file__)
    assert books.location.line == line_of("awaits an attribute", __file__)


def test_gathered_tasks_are_told_apart_with_their_lines(asynchronous: Database) -> None:
    async def one(session: AsyncSession, number: int) -> None:
        async with AsyncSession(session.bind) as own:
            await own.get(Author, number)  # in a task

    async def use(session: AsyncSession) -> None:
        await asyncio.gather(*(one(session, number) for number in (1, 2, 3)))

    recording = asynchronous.record_async(use)

    assert {query.task for query in recording.record.queries} == {0, 1, 2}
    assert {query.location.line for query in recording.record.queries} == {
        line_of("in a task", __file__)
    }
    (finding,) = recording.findings()
    assert finding.rule == "SQL103"
    assert finding.evidence["concurrent"] is True


@pytest.mark.parametrize("driver", ["sqlite3", "psycopg"])
def test_a_thread_is_followed(request: pytest.FixtureRequest, driver: str, tmp_path: Path) -> None:
    engine = create_engine(database_of(request, driver, tmp_path).url)

    def in_thread() -> None:
        with Session(engine) as session:
            session.get(Author, 1)  # in a thread

    async def main() -> Recording:
        run = recorder()
        CURRENT.set(run)
        await asyncio.gather(asyncio.to_thread(in_thread), asyncio.to_thread(in_thread))
        return sealed(run)

    recording = asyncio.run(main())
    engine.dispose()

    assert {query.location.line for query in recording.record.queries} == {
        line_of("in a thread", __file__)
    }
    assert recording.record.query_count == 2


@pytest.mark.parametrize("driver", ["sqlite3", "psycopg"])
def test_the_wait_for_a_connection_is_timed_in_threads_too(
    request: pytest.FixtureRequest, driver: str, tmp_path: Path, hooks: Hooks
) -> None:
    for served_by in SERVED:
        served_by.install(hooks)
    url = database_of(request, driver, tmp_path).url
    engine = create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=0)
    app = FastAPI()

    @app.get("/hold")
    def hold() -> None:
        with Session(engine) as session:
            session.scalar(select(Author.id))  # taken
            until = time.perf_counter() + 5  # until the other one waits
            while not engine.pool._pool.not_empty._waiters and time.perf_counter() < until:
                time.sleep(0.01)
            time.sleep(0.15)

    @app.get("/want")
    def want() -> None:
        until = time.perf_counter() + 5
        while not engine.pool.checkedout() and time.perf_counter() < until:
            time.sleep(0.01)
        with Session(engine) as session:
            session.scalar(select(Author.id))  # wanted

    try:
        _, waited = serve(app, "GET /hold", "GET /want")
    finally:
        engine.dispose()

    (wait,) = waited.record.pool_waits
    assert wait.waited_ms >= 100
    assert wait.capacity == 1
    assert wait.location.line == line_of("wanted", __file__)
    assert wait.holders[0].location.line == line_of("taken", __file__)
