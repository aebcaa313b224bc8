"""Which statements are slow, and which only waited for others: for the loop, or for the GIL."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.collectors import sqlalchemy as collector
from fastapi_diagnostics.collectors.hooks import Hooks
from tests.installed import installed
from tests.rules.sql.served import SERVED, Served, postgres, serve
from tests.rules.sql.shop import line_of, recorded, sync_engine

BUSY_S = 0.4
ATTEMPTS = 4


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(collector, *SERVED, root=Path(__file__).parent) as hooks:
        yield hooks


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("pg")) as url:
        yield url


def sleeping(engine: Engine) -> None:
    """Give SQLite what PostgreSQL has: it lets go of the GIL while it sleeps."""

    @event.listens_for(engine, "connect")
    def add_function(connection: Any, _: Any) -> None:
        connection.create_function("pg_sleep", 1, lambda seconds: time.sleep(seconds) or "")


@pytest.fixture(params=["aiosqlite", "asyncpg", "psycopg"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncEngine:
    if request.param == "aiosqlite":
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/shop.db")
        sleeping(engine.sync_engine)
        return engine
    url = request.getfixturevalue("server")
    return create_async_engine(url.replace("asyncpg", request.param))


def served(engine: AsyncEngine, seconds: float, busy: Callable[[], Any]) -> Served:
    """Run one statement; when it is about to be sent, *busy* is called and may queue something."""
    app = FastAPI()
    kept: list[Any] = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def about_to_be_sent(*_: Any) -> None:
        kept.append(busy())

    @app.get("/")
    async def ask() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(:s)"), {"s": seconds})  # asked
        await asyncio.gather(*filter(None, kept))

    return serve(app, "GET /", close=engine.dispose)[0]


def slow(result: Served) -> list[Any]:
    return [finding for finding in result.all_findings if finding.rule == "SQL106"]


def one_block() -> None:
    asyncio.get_running_loop().call_soon(time.sleep, BUSY_S)


def many_short_steps() -> "asyncio.Task[None]":
    async def others() -> None:
        ends = time.perf_counter() + BUSY_S
        while time.perf_counter() < ends:
            time.sleep(0.004)  # noqa: ASYNC251 - what others do on a loop
            await asyncio.sleep(0)

    return asyncio.create_task(others())


def test_a_slow_statement_is_found_with_every_driver(engine: AsyncEngine) -> None:
    for _ in range(ATTEMPTS):  # on a machine that is busy, it may be told from nothing else
        found = slow(served(engine, 0.4, lambda: None))
        if found:
            break

    (finding,) = found
    assert finding.location.line == line_of("asked", __file__)
    assert 100 <= finding.evidence["slowest_ms"] <= finding.evidence["duration_ms"]


def test_a_slow_statement_behind_a_block_is_found(engine: AsyncEngine) -> None:
    for _ in range(ATTEMPTS):
        found = slow(served(engine, 0.4, lambda: time.sleep(BUSY_S)))
        if found:
            break

    assert len(found) == 1


@pytest.mark.parametrize("busy", [one_block, many_short_steps])
def test_a_fast_statement_that_waited_for_the_loop_is_not_slow(
    engine: AsyncEngine, busy: Callable[[], Any]
) -> None:
    result = served(engine, 0.0, busy)

    query = result.record.queries[-1]
    if busy is one_block:  # with short steps in between it may get its turn early
        assert query.duration_ms >= BUSY_S * 1000 * 0.9
        assert query.own_ms is not None
        assert query.own_ms < 100
    assert slow(result) == []


def keep_gil(seconds: float) -> None:
    """Compute in C without letting go of the GIL, in pieces of a good 0.1 s."""
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        re.match(r"(?:a|a)*b", "a" * 21)  # twice the time with each further letter


def compute(seconds: float) -> None:
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        sum(range(100))


@contextmanager
def threads(work: Callable[[float], None], number: int) -> Iterator[threading.Event]:
    """Let threads work, from the moment the event is set."""
    start = threading.Event()

    def run() -> None:
        start.wait()
        work(BUSY_S)

    running = [threading.Thread(target=run) for _ in range(number)]
    for thread in running:
        thread.start()
    yield start
    start.set()
    for thread in running:
        thread.join()


@pytest.mark.parametrize(("work", "number"), [(keep_gil, 1), (compute, 8)])
def test_a_fast_statement_that_waited_for_the_gil_is_not_slow(
    tmp_path: Path, work: Callable[[float], None], number: int
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    app = FastAPI()

    @app.get("/")
    def ask() -> None:
        with threads(work, number) as start, engine.connect() as connection:

            def let_go(_: int) -> int:
                start.set()
                time.sleep(0.001)
                return 1

            connection.connection.create_function("let_go", 1, let_go)
            many = "SELECT sum(let_go(value)) FROM json_each('[1, 2, 3, 4]')"
            connection.execute(text(many)).scalar()

    try:
        (result,) = serve(app, "GET /")
    finally:
        engine.dispose()

    assert slow(result) == []


@pytest.mark.parametrize("function", ["def", "async def"])
def test_a_synchronous_driver_is_timed_in_a_thread_and_on_the_loop(
    tmp_path: Path, function: str
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    sleeping(engine)
    app = FastAPI()

    def ask() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_sleep(0.4)")).scalar()

    async def ask_on_loop() -> None:
        ask()

    app.get("/")(ask if function == "def" else ask_on_loop)
    try:
        for _ in range(ATTEMPTS):
            (result,) = serve(app, "GET /")
            if slow(result):
                break
    finally:
        engine.dispose()

    assert len(slow(result)) == 1


def test_a_script_without_a_loop_is_timed_as_it_is() -> None:
    with sync_engine() as engine:
        sleeping(engine)
        engine.dispose()
        recording = recorded(
            engine, lambda s: s.execute(text("SELECT pg_sleep(0.12)")).scalar(), kind="capture"
        )

    (query,) = recording.record.queries
    assert query.own_ms == query.duration_ms


def test_without_the_watch_of_the_loop_nothing_is_claimed(hooks: Hooks) -> None:
    hooks.undo()
    collector.install(hooks)
    with sync_engine() as engine:
        sleeping(engine)
        engine.dispose()
        recording = recorded(engine, lambda s: s.execute(text("SELECT pg_sleep(0.12)")).scalar())

    (query,) = recording.record.queries
    assert query.own_ms is None


def test_a_loop_that_is_not_watched_tells_nothing() -> None:
    from fastapi_diagnostics.collectors.event_loop.own_time import own_time  # noqa: PLC0415

    event_loop.watch_running_loop()

    async def asked() -> float | None:
        now = time.perf_counter()
        return own_time(now - 0.2, now, on_loop=True)

    assert asyncio.run(asked()) is None
