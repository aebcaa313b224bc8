"""Statements, values and habits that nobody likes: the application sees what it would see alone.

Each case runs without us and with us; what it gives or raises has to be the same, the record true,
and the work bounded.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import bindparam, event, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.util import greenlet_spawn

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors import sqlalchemy as collector
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.sqlalchemy.holds import HELD
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import Query, RequestRecord
from fastapi_diagnostics.recorder import CURRENT
from tests.rules.sql.served import postgres, prepare
from tests.rules.sql.shop import (
    AUTHORS,
    Author,
    Recording,
    line_of,
    recorder,
    sealed,
    sync_engine,
)

Use = Callable[[Session], Any]
MAX_SEAL_S = 0.5
"""Processor time; the largest of these statements is normalised in a tenth of it."""


@pytest.fixture(autouse=True)
def faultless() -> Iterator[None]:
    USER_CODE.add_root(Path(__file__).parent)
    FAULTS.clear()
    yield
    USER_CODE.reset()
    assert FAULTS.all() == ()


@pytest.fixture
def engine() -> Iterator[Engine]:
    with sync_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("pg")) as url:
        prepare(url)
        yield url


def outcome(use: Callable[[], Any]) -> str:
    try:
        return repr(use())
    except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same
        return f"{type(error).__name__}: {error}"


def recorded(use: Callable[[], Any]) -> tuple[str, Recording]:
    """Run it as a request."""
    hooks = Hooks()
    collector.install(hooks)
    run = recorder()
    token = CURRENT.set(run)
    try:
        found = outcome(use)
        began = time.thread_time()
        recording = sealed(run)
        assert time.thread_time() - began < MAX_SEAL_S
    finally:
        CURRENT.reset(token)
        hooks.undo()
    return found, recording


def same(engine: Engine, use: Use) -> RequestRecord:
    """Run it without us and with us, and give the record of the latter."""

    def in_session() -> Any:
        with Session(engine) as session:
            return use(session)

    without = outcome(in_session)
    with_us, recording = recorded(in_session)

    assert with_us == without
    assert len(msgspec.json.encode(recording.record)) < 100_000
    recording.findings()
    return recording.record


def only(record: RequestRecord) -> Query:
    (query,) = record.queries
    return query


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC nothing",
        "",
        "'",
        "/*",
        "$tag$",
        '"',
        "((((",
        "SELECT 'a",
        "\0",
        "--",
        "\ud800",
        "ä" * 100,
    ],
)
def test_what_cannot_be_parsed_fails_as_it_does_alone(engine: Engine, sql: str) -> None:
    record = same(engine, lambda session: session.connection().exec_driver_sql(sql).all())

    assert record.query_count <= 1


def test_a_statement_of_a_mebibyte_is_cut(engine: Engine) -> None:
    sql = f"SELECT count(*) FROM author WHERE name <> '{'x' * 2**20}'"  # noqa: S608 - of the test

    query = only(same(engine, lambda session: session.execute(text(sql)).scalar()))

    assert query.sql == "SELECT count(*) FROM author WHERE name <> ?"
    assert (query.rows, query.error) == (1, None)


def test_a_statement_of_a_mebibyte_without_an_end_is_cut(engine: Engine) -> None:
    sql = "SELECT id FROM author WHERE " + " OR ".join(["name = nick"] * 2**16)  # noqa: S608

    query = only(same(engine, lambda session: session.execute(text(sql)).all()))

    assert len(query.sql) == 16 * 1024
    assert query.sql.endswith("…")
    assert query.error == "OperationalError"


def test_fifty_thousand_values_in_a_list_are_one_statement(engine: Engine) -> None:
    among = Author.id.in_(bindparam("ids", expanding=True, literal_execute=True))

    def use(session: Session) -> Any:
        return session.scalars(select(Author.id).where(among), {"ids": range(50_000)}).all()

    query = only(same(engine, use))

    assert query.sql.endswith("WHERE author.id IN (?…")
    assert (query.batch, query.rows) == (True, AUTHORS)


def test_more_values_than_the_driver_takes_fail_as_they_do_alone(engine: Engine) -> None:
    query = select(Author.id).where(Author.id.in_(range(300_000)))

    record = same(engine, lambda session: session.scalars(query).all())

    assert only(record).error == "OperationalError"


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_thirty_thousand_bound_values_go_to_postgresql(server: str, driver: str) -> None:
    engine = create_async_engine(server.replace("asyncpg", driver))

    async def use() -> Any:
        try:
            async with AsyncSession(engine) as session:
                among = Author.id.in_(range(30_000))
                return (await session.scalars(select(Author.id).where(among))).all()
        finally:
            await engine.dispose()

    without = outcome(lambda: asyncio.run(use()))
    with_us, recording = recorded(lambda: asyncio.run(use()))

    assert with_us == without
    query = only(recording.record)
    assert query.sql.endswith("WHERE author.id IN (?…")
    assert query.values == ("<30000 values>",)
    assert (query.batch, query.rows) == (True, AUTHORS)


def test_five_thousand_bound_values_are_digested_and_not_kept(engine: Engine) -> None:
    names = {f"n{number}": f"value {number}" for number in range(5_000)}
    marks = ", ".join(f":{name}" for name in names)
    sql = text(f"SELECT count(*) FROM author WHERE name IN ({marks})")  # noqa: S608 - marks

    record = same(engine, lambda session: [session.execute(sql, names).scalar() for _ in "ab"])

    first, second = record.queries
    assert first.values == ("<5000 values>",)
    assert first.values_digest == second.values_digest
    assert first.sql == "SELECT count(*) FROM author WHERE name IN (?)"


class Angry:
    """Raises whatever it is asked."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__

    def __eq__(self, _other: object) -> bool:
        raise RuntimeError("no")

    def __hash__(self) -> int:
        raise RuntimeError("no")


class AngryNumber(Angry, int):
    pass


class AngryText(Angry, str):
    __slots__ = ()

    def __len__(self) -> int:
        raise RuntimeError("no")


class Adapted(Angry):
    def __conform__(self, _protocol: object) -> int:
        return 2


@pytest.mark.parametrize(
    "value", [AngryNumber(2), AngryText("a2"), Adapted()], ids=["int", "str", "object"]
)
@pytest.mark.parametrize("many", [False, True])
def test_values_that_raise_when_they_are_looked_at(
    engine: Engine,
    value: object,
    many: bool,  # noqa: FBT001
) -> None:
    sql = "SELECT name FROM author WHERE id = ? OR name = ?"
    if many:
        sql = "UPDATE author SET id = id WHERE id = ? AND name = ?"

    def use(session: Session) -> Any:
        values = (value, value)
        result = session.connection().exec_driver_sql(sql, [values, values] if many else values)
        return None if many else [row.name for row in result]

    query = only(same(engine, use))

    assert (query.error, query.executemany) == (None, many)
    assert query.rows == (1 if not many else query.rows)


# Others have their say.


def commenting(_conn: Any, _cursor: Any, sql: str, values: Any, *_: Any) -> tuple[str, Any]:
    return f"/* from='tests' */ {sql} -- traced", values


def replacing(_conn: Any, _cursor: Any, sql: str, _values: Any, *_: Any) -> tuple[str, Any]:
    return ("SELECT 7 AS id", ()) if "author" in sql else (sql, ())


@pytest.mark.parametrize("early", [False, True], ids=["after ours", "before ours"])
@pytest.mark.parametrize("rewrite", [commenting, replacing])
def test_listeners_that_rewrite_statements_have_their_way(
    rewrite: Callable[..., Any],
    early: bool,  # noqa: FBT001
) -> None:
    query = select(Author.id).where(Author.id == 2)
    with sync_engine() as engine:

        def use() -> Any:
            if not early:
                event.listen(engine, "before_cursor_execute", rewrite, retval=True)
            with Session(engine) as session:
                found = session.scalars(query).all()
            if not early:
                event.remove(engine, "before_cursor_execute", rewrite)
            return found

        if early:
            event.listen(engine, "before_cursor_execute", rewrite, retval=True)
        without = outcome(use)
        with_us, recording = recorded(use)

    assert with_us == without == ("[7]" if rewrite is replacing else "[2]")
    sent = {
        commenting: "SELECT author.id FROM author WHERE author.id = ?",
        replacing: "SELECT ? AS id",
    }
    assert only(recording.record).sql == sent[rewrite]


def test_a_listener_that_raises_raises_at_its_place(engine: Engine) -> None:
    def refuse(*_: Any) -> None:
        raise LookupError("refused")

    event.listen(engine, "after_cursor_execute", refuse)

    record = same(engine, lambda session: session.scalars(select(Author.id)).all())

    assert record.query_count == 1


def test_an_engine_disposed_of_within_a_request(tmp_path: Path) -> None:
    with sync_engine(str(tmp_path / "shop.db")) as engine:

        def use(session: Session) -> Any:
            first = session.scalars(select(Author.id)).all()
            before = engine.pool
            engine.dispose()
            second = session.scalars(select(Author.name)).all()  # on the connection it has
            session.commit()
            before.dispose()  # it took the connection back, and nobody has it now
            return first, second, session.scalars(select(Author.id)).all()

        record = same(engine, use)

    assert [query.error for query in record.queries] == [None] * 3
    assert record.open_connections == ()
    assert HELD == {}


@pytest.mark.parametrize("driver", ["aiosqlite", "asyncpg"])
def test_an_asynchronous_engine_disposed_of_within_a_request(
    request: pytest.FixtureRequest, tmp_path: Path, driver: str
) -> None:
    if driver == "aiosqlite":
        url = f"sqlite+aiosqlite:///{tmp_path}/shop.db"
        prepare(url)
    else:
        url = request.getfixturevalue("server")

    async def main() -> Any:
        engine = create_async_engine(url)
        before = engine.pool
        async with AsyncSession(engine) as session:
            first = (await session.scalars(select(Author.id))).all()
            await engine.dispose()
            second = (await session.scalars(select(Author.name))).all()
        await greenlet_spawn(before.dispose)  # it took the connection back, and nobody has it now
        async with AsyncSession(engine) as session:
            third = (await session.scalars(select(Author.id))).all()
        await engine.dispose()
        return first, second, third

    without = outcome(lambda: asyncio.run(main()))
    with_us, recording = recorded(lambda: asyncio.run(main()))

    assert with_us == without
    assert recording.record.query_count == 3
    assert recording.record.open_connections == ()


def test_a_connection_that_is_invalidated_within_a_request(tmp_path: Path) -> None:
    with sync_engine(str(tmp_path / "shop.db")) as engine:

        def use(session: Session) -> Any:
            session.scalars(select(Author.id)).all()
            session.connection().invalidate()
            session.rollback()
            return session.scalars(select(Author.id)).all()

        record = same(engine, use)

    assert record.query_count == 2


def test_a_cursor_of_the_driver_is_not_seen_and_nothing_is_made_up(engine: Engine) -> None:
    def use(session: Session) -> Any:
        raw = engine.raw_connection()
        cursor = raw.cursor()
        cursor.execute("SELECT name FROM author")
        rows = cursor.fetchall()
        raw.close()
        return rows, session.scalars(select(Author.id)).all()  # by the session

    query = only(same(engine, use))

    assert query.location.line == line_of("by the session", __file__)


def test_that_raw_cursors_are_not_seen_is_a_known_limit() -> None:
    text = Path(__file__).parents[2].joinpath("docs/architecture.md").read_text("utf-8")

    assert "Raw DBAPI cursors" in text
