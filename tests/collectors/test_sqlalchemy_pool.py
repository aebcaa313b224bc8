"""Connections out of their pool: waits, holders, idle transactions, forgotten ones."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from sqlalchemy import event, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, Pool, StaticPool

from fastapi_diagnostics.collectors import sqlalchemy as collector
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.sqlalchemy.holds import HELD, Hold
from fastapi_diagnostics.collectors.sqlalchemy.waiting import cpu_of, look_at
from fastapi_diagnostics.collectors.sqlalchemy.watch import WATCH
from fastapi_diagnostics.recorder import CURRENT
from tests.installed import installed
from tests.rules.sql.served import (
    SERVED,
    Served,
    postgres,
    prepare,
    serve,
    serve_websocket,
    sync_file,
)
from tests.rules.sql.shop import Author, Book, line_of, recorder, sealed

SLOW = (
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1500000) "
    "SELECT count(*) FROM c"
)


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(collector, *SERVED, root=Path(__file__).parent) as hooks:
        yield hooks


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("pg")) as url:
        prepare(url)
        yield url


@pytest.fixture(params=["aiosqlite", "asyncpg"])
def url(request, tmp_path: Path) -> str:
    if request.param == "asyncpg":
        return request.getfixturevalue("server")
    url = f"sqlite+aiosqlite:///{tmp_path}/shop.db"
    prepare(url)
    return url


class Shop:
    """An application over a small pool."""

    def __init__(self, url: str, **options: Any) -> None:
        if "poolclass" not in options:
            limits = {"pool_size": 1, "max_overflow": 0, "poolclass": AsyncAdaptedQueuePool}
            options = limits | options
        self.engine = create_async_engine(url, **options)
        self.new = async_sessionmaker(self.engine)
        self.app = FastAPI()
        self.kept: list[Any] = []

    async def session(self) -> Any:
        async with self.new() as session:
            yield session

    async def close(self) -> None:
        for one in self.kept:
            await one.close()
        await self.engine.dispose()

    def serve(self, *requests: str) -> list[Served]:
        return serve(self.app, *requests, close=self.close)


def with_waiting(shop: Shop) -> None:
    Db = Annotated[AsyncSession, Depends(shop.session)]  # noqa: N806

    @shop.app.get("/held")
    async def held(db: Db) -> None:
        await db.scalar(select(Author.name))  # taken
        await asyncio.sleep(0.3)  # waited

    @shop.app.get("/committed")
    async def committed(db: Db) -> None:
        await db.scalar(select(Author.name))
        await db.commit()
        await asyncio.sleep(0.3)

    @shop.app.get("/other")
    async def other(db: Db) -> None:
        await db.scalar(select(Author.name))  # wanted


# Waiting for a connection.


def test_a_wait_names_who_held_the_connection_and_what_it_did(url) -> None:
    shop = Shop(url)
    with_waiting(shop)

    _, waited = shop.serve("GET /held", "GET /other")

    finding = waited.only
    assert finding.rule == "SQL301"
    assert finding.location.line == line_of("wanted", __file__)
    (holder,) = finding.evidence["holders"]
    assert holder["request_id"] == "GET /held"
    assert holder["location"]["line"] == line_of("taken", __file__)
    assert holder["held_ms"] >= holder["idle_ms"] >= 280
    assert finding.evidence["waited_ms"] >= 250
    assert finding.fix.location.line == line_of("taken", __file__)


def test_with_a_second_connection_or_an_early_commit_nobody_waits(url) -> None:
    roomy, early = Shop(url, pool_size=2), Shop(url)
    with_waiting(roomy)
    with_waiting(early)

    assert roomy.serve("GET /held", "GET /other")[1].codes == []
    first, second = early.serve("GET /committed", "GET /other")
    assert (first.codes, second.codes) == ([], [])


def test_a_pool_that_gives_up_is_one_finding_that_names_the_request_itself(url) -> None:
    shop = Shop(url, pool_timeout=0.1)

    @shop.app.get("/nested")
    async def nested(db: Annotated[AsyncSession, Depends(shop.session)]) -> None:
        await db.scalar(select(Author.id))
        async with shop.new() as second:
            await second.scalar(select(Author.id))  # second connection

    (served,) = shop.serve("GET /nested")

    finding = served.only
    assert served.status == 500
    assert (finding.rule, finding.severity) == ("SQL301", "error")
    assert finding.evidence["timed_out"]
    assert finding.evidence["holders"][0]["own"]
    assert finding.location.line == line_of("second connection", __file__)


def test_opening_a_slow_connection_is_no_wait(url) -> None:
    shop = Shop(url)
    with_waiting(shop)

    @event.listens_for(shop.engine.sync_engine, "connect")
    def slow(*_: Any) -> None:
        time.sleep(0.08)

    (served,) = shop.serve("GET /other")

    assert served.record.pool_waits == ()


# Holding a connection while waiting for something else.


def test_a_sleep_with_an_open_transaction_is_found_at_its_line(url) -> None:
    shop = Shop(url)
    with_waiting(shop)

    (served,) = shop.serve("GET /held")

    finding = served.only
    assert (finding.rule, finding.severity) == ("SQL302", "warning")
    assert finding.location.line == line_of("waited", __file__)
    assert finding.evidence["call"].endswith("sleep")
    assert finding.evidence["took_at"]["line"] == line_of("taken", __file__)
    assert 250 <= finding.evidence["idle_ms"] <= 2000


def test_a_websocket_that_waits_for_its_client_is_found(url) -> None:
    shop = Shop(url)

    @shop.app.websocket("/talk")
    async def talk(socket: WebSocket, db: Annotated[AsyncSession, Depends(shop.session)]) -> None:
        await socket.accept()
        await db.scalar(select(Author.name))
        await socket.receive_text()  # the client
        await socket.close()

    served = serve_websocket(shop.app, "/talk", 0.3, shop.close)

    assert served.only.rule == "SQL302"
    assert served.only.location.line == line_of("the client", __file__)


def test_a_client_of_the_users_own_is_found_where_the_session_is(url) -> None:
    shop = Shop(url)

    async def partner() -> None:
        await asyncio.sleep(0.3)

    @shop.app.get("/label")
    async def label(db: Annotated[AsyncSession, Depends(shop.session)]) -> None:
        await db.scalar(select(Author.name))
        await partner()  # asks a partner

    (served,) = shop.serve("GET /label")

    assert served.only.location.line == line_of("asks a partner", __file__)


def test_changes_that_wait_for_their_commit_make_it_an_error(url) -> None:
    shop = Shop(url)

    @shop.app.post("/change")
    async def change(db: Annotated[AsyncSession, Depends(shop.session)]) -> None:
        author = await db.get(Author, 1)
        author.name += "!"
        await db.flush()
        await asyncio.sleep(0.3)
        await db.commit()

    (served,) = shop.serve("POST /change")

    assert (served.only.rule, served.only.severity) == ("SQL302", "error")
    assert served.only.evidence["writes"] == 1


def with_look_alikes(shop: Shop) -> None:
    Db = Annotated[AsyncSession, Depends(shop.session)]  # noqa: N806

    @shop.app.get("/short")
    async def short(db: Db) -> None:
        await db.scalar(select(Author.name))
        await asyncio.sleep(0.1)

    @shop.app.get("/before")
    async def before(db: Db) -> None:
        await asyncio.sleep(0.3)
        await db.scalar(select(Author.name))

    @shop.app.get("/computing")
    async def computing(db: Db) -> None:
        await db.scalar(select(Author.name))
        until = time.perf_counter() + 0.3
        while time.perf_counter() < until:  # noqa: ASYNC110 - it is busy
            await asyncio.sleep(0)

    @shop.app.get("/streaming")
    async def streaming() -> StreamingResponse:
        async def names() -> Any:
            async with shop.new() as db:
                async for name in await db.stream_scalars(select(Author.name)):
                    yield name
                    await asyncio.sleep(0.11)

        return StreamingResponse(names())

    @shop.app.get("/slow-query")
    async def slow_query(db: Db) -> None:
        await db.scalar(select(Author.name))
        async with shop.new() as other:
            await other.scalar(text(SLOW))


@pytest.mark.parametrize("name", ["short", "before", "computing", "streaming", "slow-query"])
def test_look_alikes_of_holding_are_silent(url, name: str) -> None:
    shop = Shop(url, pool_size=2)
    with_look_alikes(shop)

    served = shop.serve(f"GET /{name}")[0]
    assert [code for code in served.codes if code == "SQL302"] == []


def test_a_connection_with_an_advisory_lock_is_held_on_purpose(server) -> None:
    shop = Shop(server)

    @shop.app.get("/locked")
    async def locked(db: Annotated[AsyncSession, Depends(shop.session)]) -> None:
        await db.execute(text("SELECT pg_advisory_xact_lock(7)"))
        await asyncio.sleep(0.3)

    assert shop.serve("GET /locked")[0].codes == []


def test_a_thread_that_sleeps_is_told_from_one_that_computes(tmp_path: Path) -> None:
    app = FastAPI()
    with sync_file(tmp_path / "sync.db") as engine:

        @app.get("/sleeping")
        def sleeping() -> None:
            with Session(engine) as session:
                session.scalar(select(Author.name))
                time.sleep(0.35)  # asleep

        @app.get("/computing")
        def computing() -> None:
            with Session(engine) as session:
                session.scalar(select(Author.name))
                until = time.thread_time() + 0.3
                while time.thread_time() < until:
                    sum(range(1000))

        (asleep,) = serve(app, "GET /sleeping")
        (busy,) = serve(app, "GET /computing")

    assert asleep.only.rule == "SQL302"
    assert asleep.only.location.line == line_of("asleep", __file__)
    assert [code for code in busy.codes if code == "SQL302"] == []


@pytest.mark.parametrize(
    ("module", "is_seen"),
    [("carrier.client", True), ("sqlalchemy.engine.cursor", False), ("argon2.low_level", False)],
)
def test_what_waits_for_rows_or_computes_is_no_wait(module: str, is_seen: bool) -> None:  # noqa: FBT001
    waits, goes_on = threading.Event(), threading.Event()
    library: dict[str, Any] = {"__name__": module, "waits": waits, "goes_on": goes_on}
    source = compile("def call():\n waits.set()\n goes_on.wait(10)", "/lib/client.py", "exec")
    exec(source, library)  # noqa: S102 - our own text
    holds: list[Hold] = []

    def use() -> None:
        holds.append(Hold(recorder(), 1, 0.0, scarce=True))
        library["call"]()

    thread = threading.Thread(target=use)
    thread.start()
    assert waits.wait(10)
    holds[0].cpu = cpu_of(holds[0].native)
    look = look_at(holds[0], database=False)
    goes_on.set()
    thread.join()

    assert (look.site is not None) is is_seen


@pytest.mark.parametrize(
    ("module", "is_seen"), [("carrier.client", True), ("sqlalchemy.ext.asyncio.session", False)]
)
async def test_a_session_that_is_closed_at_the_end_of_a_context_waits_for_nothing_else(
    module: str,
    is_seen: bool,  # noqa: FBT001
) -> None:
    library: dict[str, Any] = {"__name__": module}
    source = compile("async def close(done):\n await done.wait()", "/lib/session.py", "exec")
    exec(source, library)  # noqa: S102 - our own text
    done = asyncio.Event()
    holds: list[Hold] = []

    @asynccontextmanager
    async def context() -> AsyncIterator[None]:
        yield
        await library["close"](done)

    async def use() -> None:
        holds.append(Hold(recorder(), 1, 0.0, scarce=True))
        async with context():
            pass

    task = asyncio.create_task(use())
    await asyncio.sleep(0)
    look = look_at(holds[0], database=False)
    done.set()
    await task

    assert (look.site is not None) is is_seen


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what threads do")
def test_a_thread_that_queues_for_a_processor_is_not_waiting() -> None:
    def share() -> float:
        native = threading.get_native_id()
        began, before = cpu_of(native)
        until = began + 0.3
        while time.perf_counter() < until:
            sum(range(1000))
        ended, after = cpu_of(native)
        return (after - before) / (ended - began)

    spin = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(spin) for _ in range(4 * (os.cpu_count() or 1))]  # noqa: S603
    try:
        # What the host of a virtual machine takes away shows nowhere; then once more.
        shares = (share() for _ in range(10))
        assert any(found > 0.7 for found in shares)
    finally:
        for other in others:
            other.kill()
            other.wait()


# Connections that were forgotten.


def with_leaks(shop: Shop) -> None:
    def forgotten() -> AsyncSession:
        return shop.new()  # never closed

    @shop.app.get("/forgotten")
    async def endpoint(db: Annotated[AsyncSession, Depends(forgotten)]) -> None:
        await db.scalar(select(Author.id))
        shop.kept.append(db)

    @shop.app.get("/closed")
    async def closed(db: Annotated[AsyncSession, Depends(forgotten)]) -> None:
        await db.scalar(select(Author.id))
        await db.close()

    @shop.app.get("/core")
    async def core() -> None:
        connection = await shop.engine.connect()
        shop.kept.append(connection)
        await connection.execute(select(Author.id))  # core, never closed


def test_a_session_that_was_not_closed_is_found_where_it_was_made(url) -> None:
    shop = Shop(url)
    with_leaks(shop)

    (served,) = shop.serve("GET /forgotten")

    finding = served.only
    assert (finding.rule, finding.confidence) == ("SQL303", "proven")
    assert finding.location.line == line_of("never closed", __file__)


def test_a_connection_without_a_session_is_found_at_its_statement(url) -> None:
    shop = Shop(url)
    with_leaks(shop)

    (served,) = shop.serve("GET /core")

    assert (served.only.rule, served.only.confidence) == ("SQL303", "likely")
    assert served.only.location.line == line_of("core, never closed", __file__)


def test_sessions_that_are_closed_kept_or_still_at_work_are_in_order(url) -> None:
    shop = Shop(url, pool_size=5)
    with_leaks(shop)
    fixture = shop.new()
    shop.kept.append(fixture)

    @shop.app.get("/fixture")
    async def of_a_fixture() -> None:
        await fixture.scalar(select(Author.id))

    tasks = []

    @shop.app.get("/fired")
    async def fired() -> None:
        started = asyncio.Event()

        async def job() -> None:
            async with shop.new() as db:
                await db.scalar(select(Author.id))
                started.set()
                await asyncio.sleep(0.02)

        tasks.append(asyncio.create_task(job()))
        await started.wait()

    async def close() -> None:
        await asyncio.gather(*tasks)
        await shop.close()

    served = serve(shop.app, "GET /closed", "GET /fixture", "GET /fired", close=close)

    assert [one.codes for one in served] == [[], [], []]
    assert [one.record.open_connections for one in served] == [(), (), ()]


def test_a_pool_without_a_limit_makes_nobody_wait_and_still_holds(url) -> None:
    shop = Shop(url, poolclass=NullPool)
    with_waiting(shop)

    first, second = shop.serve("GET /held", "GET /other")

    assert first.codes == ["SQL302"]
    assert second.codes == []


def test_a_connection_that_all_share_is_held_from_nobody(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/shop.db"
    prepare(url)
    shop = Shop(url, poolclass=StaticPool)
    with_waiting(shop)

    assert shop.serve("GET /held")[0].codes == []


# Guests.


def test_holds_go_with_their_connections_and_keep_nothing_alive(tmp_path: Path) -> None:
    with sync_file(tmp_path / "sync.db") as engine:
        run = recorder()
        token = CURRENT.set(run)
        with Session(engine) as session:
            session.scalar(select(Author.id))
            assert len(HELD) == 1
        assert HELD == {}
        forgotten = Session(engine)
        forgotten.scalar(select(Author.id))
        assert len(HELD) == 1
        sealed(run)
        CURRENT.reset(token)
        assert {hold.recorder for hold in HELD.values()} == {None}
        del forgotten
        gc.collect()  # SQLAlchemy gives it back
        assert HELD == {}


def test_undo_puts_everything_back_and_ends_the_watch(hooks, tmp_path: Path) -> None:
    before = vars(Pool)["connect"]
    with sync_file(tmp_path / "sync.db") as engine:
        run = recorder()
        token = CURRENT.set(run)
        with Session(engine) as session:
            session.scalar(select(Book.id))
        CURRENT.reset(token)
        hooks.undo()
        sealed(run)

    assert vars(Pool)["connect"] is not before
    assert not hasattr(vars(Pool)["connect"], "__wrapped__")
    assert not hasattr(vars(Session)["close"], "__wrapped__")
    assert WATCH.asleep
    collector.install(hooks)


def test_outside_of_a_request_nothing_is_held(tmp_path: Path) -> None:
    with sync_file(tmp_path / "sync.db") as engine, Session(engine) as session:
        session.scalar(select(Author.id))

        assert HELD == {}


def test_rows_come_back_as_without_us(engine_rows: list[str]) -> None:
    assert engine_rows == ["a1", "a2", "a3", "a4"]


@pytest.fixture
def engine_rows(tmp_path: Path) -> list[str]:
    with sync_file(tmp_path / "rows.db") as engine:
        return _names(engine)


def _names(engine: Engine) -> list[str]:
    run = recorder()
    token = CURRENT.set(run)
    try:
        with Session(engine) as session:
            return list(session.scalars(select(Author.name).order_by(Author.id)))
    finally:
        sealed(run)
        CURRENT.reset(token)
