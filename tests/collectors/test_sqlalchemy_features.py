"""SQLAlchemy's ORM behaves as without us: the same results from the same statements."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, select
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, selectinload

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors import sqlalchemy as collector
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import CURRENT
from tests.collectors.features import FEATURES, Base, Feature, Firm, Visit, fill
from tests.rules.sql.served import postgres
from tests.rules.sql.shop import recorder, sealed

DRIVERS = {
    "sqlite3": "sqlite",
    "aiosqlite": "sqlite+aiosqlite",
    "psycopg": "postgresql+psycopg",
    "psycopg-async": "postgresql+psycopg",
    "asyncpg": "postgresql+asyncpg",
}
ASYNCHRONOUS = frozenset({"aiosqlite", "psycopg-async", "asyncpg"})
Outcome = tuple[Any, list[str]]
"""What came of it, and the statements as another listener saw them."""


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give each driver the URL of a database that all tests only change in transactions."""
    folder = tmp_path_factory.mktemp("features")
    with postgres(folder / "pg") as server:
        at = {"sqlite": f":///{folder}/firm.db", "postgresql": server[server.index(":") :]}
        for name in ("sqlite", "postgresql+psycopg"):
            engine = create_engine(name + at[name.partition("+")[0]])
            Base.metadata.create_all(engine)
            with Session(engine) as session:
                fill(session)
            engine.dispose()
        yield {driver: name + at[name.partition("+")[0]] for driver, name in DRIVERS.items()}


@contextmanager
def watched(*, on: bool) -> Iterator[Any]:
    """Record, or leave everything as it comes."""
    if not on:
        yield None
        return
    USER_CODE.add_root(Path(__file__).parent)
    FAULTS.clear()
    hooks = Hooks()
    collector.install(hooks)
    run = recorder()
    token = CURRENT.set(run)
    try:
        yield run
    finally:
        CURRENT.reset(token)
        hooks.undo()
        USER_CODE.reset()
    assert FAULTS.all() == ()


def listening(engine: Engine) -> list[str]:
    seen: list[str] = []

    @event.listens_for(engine, "after_cursor_execute")
    def note(_conn: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        seen.append(f"{statement} {values}")

    return seen


def plain(value: Any) -> Any:
    """Make values comparable across two runs."""
    return repr(value)


def outcome(driver: str, url: str, feature: Feature) -> Outcome:
    if driver not in ASYNCHRONOUS:
        engine = create_engine(url)
        seen = listening(engine)
        with Session(engine) as session:
            found = plain(feature(session))
        engine.dispose()
        return found, seen

    async def main() -> Outcome:
        asynchronous = create_async_engine(url)
        seen = listening(asynchronous.sync_engine)
        async with AsyncSession(asynchronous) as session:
            found = plain(await session.run_sync(feature))
        await asynchronous.dispose()
        return found, seen

    return asyncio.run(main())


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_behaves_as_without_us(urls: dict[str, str], driver: str, name: str) -> None:
    with watched(on=False):
        without = outcome(driver, urls[driver], FEATURES[name])
    with watched(on=True) as run:
        with_us = outcome(driver, urls[driver], FEATURES[name])
        record = sealed(run).record

    assert with_us == without
    statements = [query for query in record.queries if query.error is None]
    assert len(statements) == len(with_us[1])


async def streamed(url: str) -> Outcome:
    """Stream rows and objects, as only asynchronous sessions do."""
    engine = create_async_engine(url)
    seen = listening(engine.sync_engine)
    found: list[Any] = []
    async with AsyncSession(engine) as session:
        rows = await session.stream(select(Visit.id).order_by(Visit.id))
        found.append([row.id async for row in rows])
        query = select(Firm).options(selectinload(Firm.people)).order_by(Firm.id)
        parts = await session.stream_scalars(query.execution_options(yield_per=2))
        found += [
            [(firm.id, len(firm.people)) for firm in part] async for part in parts.partitions()
        ]
        session.add(Visit(id=899, firm_id=1))  # SQLite has a transaction from the first write on
        async with session.begin_nested():
            session.add(Visit(id=900, firm_id=1))
        firm = await session.get_one(Firm, 1)
        found.append(len((await session.scalars(firm.visits.select())).all()))
        connection = await session.connection()
        async with connection.stream(select(Firm.name).order_by(Firm.id)) as names:
            found.append(await names.fetchmany(2))
    await engine.dispose()
    return plain(found), seen


@pytest.mark.parametrize("driver", sorted(ASYNCHRONOUS))
def test_streams_behave_as_without_us(urls: dict[str, str], driver: str) -> None:
    with watched(on=False):
        without = asyncio.run(streamed(urls[driver]))
    with watched(on=True) as run:
        with_us = asyncio.run(streamed(urls[driver]))
        record = sealed(run).record

    assert with_us == without
    assert record.query_count == len(with_us[1])
