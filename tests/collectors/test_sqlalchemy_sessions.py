"""Sessions and transactions: closed, shared, used again, rolled back unnoticed, failing late."""

import asyncio
import gc
import inspect
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, joinedload, raiseload, selectinload, sessionmaker
from sqlalchemy.pool import NullPool

from fastapi_diagnostics.collectors import sqlalchemy as collector
from fastapi_diagnostics.collectors.hooks import Hooks
from tests.installed import installed
from tests.rules.sql.served import SERVED, Served, postgres, prepare, serve, sync_file
from tests.rules.sql.shop import Author, Book, line_of

ROW = {"id": 90, "name": "new", "password": "secret"}
SLOW = text(
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1200000) "
    "SELECT count(*) FROM c"
)


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(collector, *SERVED, root=Path(__file__).parent) as hooks:
        yield hooks


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("pg")) as url:
        yield url


@pytest.fixture(params=["aiosqlite", "asyncpg"])
def shop(request, tmp_path: Path) -> "Shop":
    url = f"sqlite+aiosqlite:///{tmp_path}/shop.db"
    if request.param == "asyncpg":
        url = request.getfixturevalue("server")
    prepare(url)
    return Shop(url)


class Shop:
    """An application with the usual dependencies."""

    def __init__(self, url: str) -> None:
        self.engine = create_async_engine(url)
        self.new = async_sessionmaker(self.engine)
        self.app = FastAPI()
        self.kept: list[Any] = []

    async def session(self) -> Any:
        async with self.new() as session:  # closed
            yield session

    async def committing(self) -> Any:
        async with self.new() as session:
            yield session
            await session.commit()  # commits late

    async def close(self) -> None:
        for one in self.kept:
            await one.close()
        await self.engine.dispose()

    def serve(self, *requests: str) -> list[Served]:
        return serve(self.app, *requests, close=self.close)


# SQL202: objects without a session.


class BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    title: str


class AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    books: list[BookOut]


def with_detached(shop: Shop) -> None:
    app, new = shop.app, shop.new

    async def fetched(*options: Any) -> Author:
        async with new() as db:  # its session
            return await db.scalar(select(Author).options(*options))  # fetched

    @app.get("/never")
    async def never() -> int:
        author = await fetched()
        return len(author.books)  # read detached

    @app.get("/never-v2")
    async def never_v2() -> int:
        author = await fetched(selectinload(Author.books))
        return len(author.books)

    @app.get("/expired")
    async def expired() -> str:
        async with new() as db:
            author = await db.get(Author, 1)
            await db.commit()  # expires it
        return author.name

    @app.get("/nested")
    async def nested() -> str:
        async with new() as db:
            query = select(Author).options(joinedload(Author.books))
            author = (await db.scalars(query)).unique().first()  # two levels
        return author.books[0].publisher.name

    @app.get("/refused")
    async def refused() -> int:
        async with new() as db:
            author = await db.scalar(select(Author).options(raiseload(Author.books)))
            return len(author.books)  # may not load

    @app.get("/served", response_model=AuthorOut)
    async def served() -> Any:
        return await fetched()

    @app.get("/caught")
    async def caught() -> str:
        try:
            return str((await fetched()).books)
        except Exception:  # noqa: BLE001 - as people do
            return "none"


def test_a_detached_read_names_the_query_and_who_closed_the_session(shop) -> None:
    with_detached(shop)

    guilty, mended = shop.serve("GET /never", "GET /never-v2")

    finding = guilty.only
    assert (finding.rule, finding.severity, finding.confidence) == ("SQL202", "error", "proven")
    assert finding.location.line == line_of("read detached", __file__)
    assert finding.evidence["attribute"] == "Author.books"
    assert finding.evidence["cause"] == "never-loaded"
    assert finding.evidence["closed_at"]["line"] == line_of("its session", __file__)
    assert finding.fix.code == "select(Author).options(selectinload(Author.books))"
    assert finding.fix.location.line == line_of("fetched", __file__)
    assert finding.fix.mechanical
    assert mended.codes == []


def test_the_commit_that_expired_a_detached_object_is_named(shop) -> None:
    with_detached(shop)

    finding = shop.serve("GET /expired")[0].only

    assert finding.evidence["cause"] == "expired-by-commit"
    assert finding.evidence["cause_location"]["line"] == line_of("expires it", __file__)
    assert finding.fix.code == "async_sessionmaker(engine, expire_on_commit=False)"


def test_the_option_for_a_deeper_object_leads_from_the_first_class(shop) -> None:
    with_detached(shop)

    finding = shop.serve("GET /nested")[0].only

    assert finding.evidence["attribute"] == "Book.publisher"
    assert finding.fix.code == (
        "select(Author).options(defaultload(Author.books).joinedload(Book.publisher))"
    )
    assert finding.fix.location.line == line_of("two levels", __file__)


def test_a_load_that_the_application_forbids_is_explained_likewise(shop) -> None:
    with_detached(shop)

    finding = shop.serve("GET /refused")[0].only

    assert finding.rule == "SQL202"
    assert finding.evidence["cause"] == "raise-strategy"
    assert finding.location.line == line_of("may not load", __file__)
    assert "selectinload(Author.books)" in finding.fix.code


def test_a_detached_object_in_a_response_is_one_finding(shop) -> None:
    with_detached(shop)

    finding = shop.serve("GET /served")[0].only

    assert finding.rule == "SQL202"
    assert finding.evidence["response_field"] == "books"
    assert finding.location.line == line_of("fetched", __file__)


def test_a_detached_read_that_somebody_expects_is_a_note(shop) -> None:
    with_detached(shop)

    assert shop.serve("GET /caught")[0].only.severity == "info"


def test_a_commit_of_another_session_expired_nothing(shop) -> None:
    @shop.app.get("/two")
    async def two() -> str:
        async with shop.new() as db, shop.new() as other:
            author = await db.get(Author, 1)
            await db.commit()  # the right one
            await other.get(Author, 2)
            await other.commit()
        return author.name

    finding = shop.serve("GET /two")[0].only

    assert finding.evidence["cause_location"]["line"] == line_of("the right one", __file__)


# SQL203: one session, several tasks.


def with_sharing(shop: Shop) -> None:
    Db = Annotated[AsyncSession, Depends(shop.session)]  # noqa: N806

    async def count(db: AsyncSession, table: Any) -> Any:
        return await db.scalar(select(table.id))  # counted

    @shop.app.get("/warm")
    async def warm(db: Db) -> None:
        await db.scalar(select(Author.name))
        await asyncio.gather(count(db, Author), count(db, Book))

    @shop.app.get("/bare")
    async def bare(db: Db) -> None:
        await db.scalar(select(Author.name))
        await asyncio.gather(db.scalar(select(Author.id)), db.scalar(select(Book.id)))  # gathers

    @shop.app.get("/grouped")
    async def grouped(db: Db) -> None:
        await db.scalar(select(Author.name))
        async with asyncio.TaskGroup() as group:  # groups
            group.create_task(db.scalar(select(Author.id)))
            group.create_task(db.scalar(select(Book.id)))

    @shop.app.get("/apart")
    async def apart() -> None:
        async def own(table: Any) -> Any:
            async with shop.new() as db:
                return await count(db, table)

        await asyncio.gather(own(Author), own(Book))

    @shop.app.get("/in-turn")
    async def in_turn(db: Db) -> None:
        await count(db, Author)
        await asyncio.create_task(count(db, Book))
        await asyncio.wait_for(count(db, Book), 5)


def test_a_session_in_two_tasks_is_found_although_nothing_failed(shop) -> None:
    with_sharing(shop)

    finding = shop.serve("GET /warm")[0].only

    assert (finding.rule, finding.confidence) == ("SQL203", "proven")
    assert finding.location.line == line_of("counted", __file__)
    assert finding.evidence["tasks"] == 2


def test_tasks_without_a_line_of_their_own_are_found_where_they_are_gathered(shop) -> None:
    with_sharing(shop)

    assert shop.serve("GET /bare")[0].only.location.line == line_of("gathers", __file__)
    assert shop.serve("GET /grouped")[0].only.location.line == line_of("groups", __file__)


def test_sessions_of_their_own_and_tasks_in_turn_are_in_order(shop) -> None:
    with_sharing(shop)

    assert [one.codes for one in shop.serve("GET /apart", "GET /in-turn")] == [[], []]


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_a_session_that_refuses_the_second_task_is_one_finding(shop) -> None:
    new = async_sessionmaker(create_async_engine(shop.engine.url, poolclass=NullPool))

    @shop.app.get("/fresh")
    async def fresh() -> None:
        async with new() as db:
            calls = (db.scalar(select(Author.id)), db.scalar(select(Book.id)))
            answers = await asyncio.gather(*calls, return_exceptions=True)  # fresh gathers
            raise next(one for one in answers if isinstance(one, Exception))

    served = shop.serve("GET /fresh")[0]

    assert served.status == 500
    assert served.only.rule == "SQL203"
    assert served.only.location.line == line_of("fresh gathers", __file__)


# SQL304: after the session was closed.


needs_scopes = pytest.mark.skipif(
    "scope" not in inspect.signature(Depends).parameters,
    reason="FastAPI before 0.121 closes dependencies ahead of the response",
)


def with_tasks(shop: Shop) -> None:  # noqa: C901 - one route each
    app = shop.app
    Early = Annotated[AsyncSession, Depends(shop.session, scope="function")]  # noqa: N806

    async def rename(db: AsyncSession) -> None:
        author = await db.get(Author, 1)  # used again
        author.name += "!"
        await db.flush()
        shop.kept.append(db)

    async def rename_v2() -> None:
        async with shop.new() as db:
            author = await db.get(Author, 1)
            author.name += "!"
            await db.commit()

    async def tidy(db: AsyncSession) -> None:
        await db.scalar(select(Author.name))
        await db.close()

    async def titles(author: Author) -> list[str]:
        return [book.title for book in author.books]  # read too late

    @app.post("/rename")
    async def post_rename(tasks: BackgroundTasks, db: Early) -> None:
        await db.scalar(select(Author.id))
        tasks.add_task(rename, db)

    @app.post("/rename-v2")
    async def post_rename_v2(tasks: BackgroundTasks, db: Early) -> None:
        await db.scalar(select(Author.id))
        tasks.add_task(rename_v2)

    @app.post("/tidy")
    async def post_tidy(tasks: BackgroundTasks, db: Early) -> None:
        await db.scalar(select(Author.id))
        tasks.add_task(tidy, db)

    @app.post("/titles")
    async def post_titles(tasks: BackgroundTasks, db: Early) -> None:
        tasks.add_task(titles, await db.get(Author, 1))

    @app.post("/reused")
    async def reused() -> None:
        db = shop.new()
        for table in (Author, Book):
            await db.scalar(select(table.id))
            await db.close()


@needs_scopes
def test_a_task_with_the_closed_session_of_its_request_is_one_finding(shop) -> None:
    with_tasks(shop)

    finding = shop.serve("POST /rename")[0].only

    assert (finding.rule, finding.severity) == ("SQL304", "error")
    assert finding.location.line == line_of("used again", __file__)
    assert finding.evidence["closed_at"]["line"] == line_of("closed", __file__)
    assert (finding.evidence["connections_left"], finding.evidence["writes"]) == (1, 1)


@needs_scopes
def test_a_task_that_reads_a_detached_object_is_one_finding(shop) -> None:
    with_tasks(shop)

    finding = shop.serve("POST /titles")[0].only

    assert finding.rule == "SQL304"
    assert finding.location.line == line_of("read too late", __file__)
    assert finding.evidence["exception"]["type"].endswith("DetachedInstanceError")


@needs_scopes
def test_own_sessions_and_sessions_that_are_closed_again_are_in_order(shop) -> None:
    with_tasks(shop)

    served = shop.serve("POST /rename-v2", "POST /tidy", "POST /reused")

    assert [one.codes for one in served] == [[], [], []]


# SQL305: a synchronous driver on the loop.


def test_a_sync_session_on_the_loop_and_its_block_are_one_finding(tmp_path: Path) -> None:
    app = FastAPI()
    with sync_file(tmp_path / "sync.db") as engine:

        @app.get("/quick")
        async def quick() -> None:
            with Session(engine) as session:
                session.scalar(select(Author.name))  # quick

        @app.get("/slow")
        async def slow() -> None:
            with Session(engine) as session:
                session.scalar(select(Author.name))
                session.scalar(SLOW)  # slow

        @app.get("/thread")
        def thread() -> None:
            with Session(engine) as session:
                session.scalar(SLOW)

        answers = [serve(app, f"GET /{name}")[0] for name in ("quick", "slow", "thread")]

    quick_one, slow_one, thread_one = answers
    assert (quick_one.only.rule, quick_one.only.severity) == ("SQL305", "warning")
    assert quick_one.only.location.line == line_of("quick", __file__)
    assert (slow_one.only.rule, slow_one.only.severity) == ("SQL305", "error")
    assert slow_one.only.location.line == line_of("slow", __file__)
    assert slow_one.only.evidence["statements"] == 2
    assert slow_one.only.evidence["hot_lines"]
    assert slow_one.record.blocks
    lines = {(f.rule, f.location.line) for f in slow_one.all_findings if f.location}
    assert ("LOOP101", line_of("slow", __file__)) not in lines
    assert thread_one.codes == []


def test_run_sync_of_an_asynchronous_session_is_in_order(shop) -> None:
    @shop.app.get("/run")
    async def run() -> None:
        async with shop.new() as db:
            await db.run_sync(lambda session: session.scalar(select(Author.id)))

    assert shop.serve("GET /run")[0].codes == []


# SQL306: rolled back unnoticed.


def with_writes(shop: Shop) -> None:  # noqa: C901, PLR0915 - one route each
    app = shop.app
    Db = Annotated[AsyncSession, Depends(shop.session)]  # noqa: N806

    @app.post("/flushed")
    async def flushed(db: Db) -> int:
        author = Author(id=90, name="new")
        db.add(author)
        await db.flush()  # flushed
        return author.id

    @app.post("/added")
    async def added(db: Db) -> None:
        db.add(Author(id=90, name="new"))  # added

    @app.post("/core")
    async def core() -> None:
        async with shop.engine.connect() as connection:
            await connection.execute(insert(Author).values(ROW))  # core write

    @app.post("/committed")
    async def committed(db: Db) -> None:
        db.add(Author(id=90, name="new"))
        await db.commit()

    @app.post("/begun")
    async def begun() -> None:
        async with shop.engine.begin() as connection:
            await connection.execute(insert(Author).values(ROW))

    @app.post("/undone")
    async def undone(db: Db) -> None:
        db.add(Author(id=90, name="new"))
        await db.flush()
        await db.rollback()

    @app.post("/read")
    async def read(db: Db) -> None:
        await db.scalar(select(Author.id))

    @app.post("/nobody")
    async def nobody(db: Db) -> None:
        await db.execute(delete(Author).where(Author.id == 99_999))

    @app.post("/savepoint")
    async def savepoint(db: Db) -> None:
        inner = await db.begin_nested()
        db.add(Author(id=90, name="new"))
        await db.flush()
        await inner.rollback()

    @app.post("/autocommit")
    async def autocommit() -> None:
        engine = shop.engine.execution_options(isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(insert(Author).values(ROW))

    @app.post("/refused")
    async def refused(db: Db) -> None:
        db.add(Author(id=90, name="new"))
        await db.flush()
        raise HTTPException(409)

    @app.post("/given-up")
    async def given_up() -> str:
        try:
            async with shop.new() as db:
                db.add(Author(id=90, name="new"))
                await db.flush()
                raise KeyError("no")  # noqa: TRY301 - as people do
        except KeyError:
            return "not stored"


@pytest.mark.parametrize(
    ("name", "mark", "confidence"),
    [
        ("flushed", "flushed", "proven"),
        ("added", "added", "likely"),
        ("core", "core write", "proven"),
    ],
)
def test_changes_that_nobody_commits_are_found(shop, name, mark, confidence) -> None:
    with_writes(shop)

    finding = shop.serve(f"POST /{name}")[0].only

    assert (finding.rule, finding.confidence) == ("SQL306", confidence)
    assert finding.location.line == line_of(mark, __file__)
    assert finding.fix.code.startswith("await ")
    assert finding.fix.code.endswith(".commit()")


@pytest.mark.parametrize(
    "name",
    [
        *("committed", "begun", "undone", "read", "nobody", "savepoint"),
        *("autocommit", "refused", "given-up"),
    ],
)
def test_what_is_committed_or_meant_to_be_undone_is_in_order(shop, name) -> None:
    with_writes(shop)

    assert shop.serve(f"POST /{name}")[0].codes == []


def test_a_fixture_that_rolls_back_what_a_test_wrote_is_in_order(tmp_path: Path) -> None:
    app = FastAPI()
    with sync_file(tmp_path / "sync.db") as engine:
        connection = engine.connect()
        outer = connection.begin()
        new = sessionmaker(connection, join_transaction_mode="create_savepoint")

        @app.post("/add")
        def add() -> None:
            with new() as session:
                session.add(Author(id=90, name="new"))
                session.commit()

        (served,) = serve(app, "POST /add")
        outer.rollback()
        connection.close()

    assert served.codes == []


# SQL307: too late to fail.


def with_late_commits(shop: Shop) -> None:
    app = shop.app

    async def swallowing() -> Any:
        async with shop.new() as session:
            yield session
            try:
                await session.commit()  # swallowed
            except Exception:  # noqa: BLE001 - as people do
                await session.rollback()

    Late = Annotated[AsyncSession, Depends(shop.committing)]  # noqa: N806
    Early = Annotated[AsyncSession, Depends(shop.committing, scope="function")]  # noqa: N806

    @app.post("/late")
    async def late(db: Late) -> None:
        db.add(Author(id=1, name="again"))

    @app.post("/swallowed")
    async def swallowed(db: Annotated[AsyncSession, Depends(swallowing)]) -> None:
        db.add(Author(id=1, name="again"))

    @app.post("/early")
    async def early(db: Early) -> None:
        db.add(Author(id=1, name="again"))

    @app.post("/good")
    async def good(db: Late) -> None:
        db.add(Author(id=90, name="new"))

    @app.post("/handled")
    async def handled(db: Annotated[AsyncSession, Depends(shop.session)]) -> str:
        db.add(Author(id=1, name="again"))
        try:
            await db.commit()
        except Exception:  # noqa: BLE001 - as people do
            return "exists"
        return "new"


@needs_scopes
@pytest.mark.parametrize(("name", "mark"), [("late", "commits late"), ("swallowed", "swallowed")])
def test_a_commit_that_fails_after_the_answer_is_one_finding(shop, name, mark) -> None:
    with_late_commits(shop)

    served = shop.serve(f"POST /{name}")[0]

    finding = served.only
    assert served.record.status == 200
    assert (finding.rule, finding.severity) == ("SQL307", "error")
    assert finding.location.line == line_of(mark, __file__)
    assert "IntegrityError" in finding.evidence["error"]


@needs_scopes
def test_the_fix_makes_the_failure_an_error_that_the_client_sees(shop) -> None:
    with_late_commits(shop)

    served = shop.serve("POST /early")[0]

    assert served.status == 500
    assert served.codes == ["EXC101"]


@needs_scopes
def test_commits_that_succeed_or_are_handled_in_time_are_in_order(shop) -> None:
    with_late_commits(shop)

    served = shop.serve("POST /good", "POST /handled")

    assert [one.codes for one in served] == [[], []]


# Guests.


def test_asynchronous_sessions_are_watched_once_the_application_imports_them() -> None:
    code = (
        "import sys, sqlalchemy\n"
        "from fastapi_diagnostics.collectors import sqlalchemy as collector\n"
        "from fastapi_diagnostics.collectors.hooks import Hooks\n"
        "hooks = Hooks(); collector.install(hooks)\n"
        "assert 'sqlalchemy.ext.asyncio' not in sys.modules and not collector.wanted()\n"
        "from sqlalchemy.ext.asyncio import AsyncSession\n"
        "before = AsyncSession.close\n"
        "assert collector.wanted()\n"
        "collector.install(hooks)\n"
        "assert AsyncSession.close is not before and not collector.wanted()\n"
        "hooks.undo()\n"
        "assert AsyncSession.close is before and collector.wanted()\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603


def test_nothing_of_a_session_outlives_its_request(tmp_path: Path) -> None:
    app = FastAPI()
    seen: list[weakref.ref[Any]] = []
    with sync_file(tmp_path / "sync.db") as engine:

        @app.get("/authors")
        def authors() -> None:
            session = Session(engine)
            seen.append(weakref.ref(session))
            seen.extend(map(weakref.ref, session.scalars(select(Author)).all()))
            session.close()

        served = serve(app, "GET /authors")[0]
        gc.collect()

    assert served.record.query_count == 1
    assert [one() for one in seen] == [None] * 5


def test_a_session_closed_for_good_refuses_a_task_and_is_one_finding(tmp_path: Path) -> None:
    app = FastAPI()
    with sync_file(tmp_path / "sync.db") as engine:
        new = sessionmaker(engine, close_resets_only=False)

        def task(session: Session) -> None:
            session.get(Author, 1)  # refused for good

        @app.post("/authors")
        def authors(tasks: BackgroundTasks) -> None:
            with new() as session:
                session.get(Author, 1)
            tasks.add_task(task, session)

        (served,) = serve(app, "POST /authors")

    assert served.only.rule == "SQL304"
    assert served.only.location.line == line_of("refused for good", __file__)
    assert "permanently closed" in served.only.evidence["exception"]["message"]
