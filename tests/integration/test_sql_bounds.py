"""A request with a hundred thousand statements: counted exactly, kept within bounds."""

import json
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import Engine
from sqlalchemy.pool import StaticPool

from fastapi_diagnostics import DiagnosticsMiddleware, capture
from tests.integration.clients import in_process, record_of

STATEMENTS = 100_000
MAX_BYTES = 5 * 1024 * 1024


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    yield engine
    engine.dispose()


def run_many(connection: Connection) -> None:
    """Half of them alike, half of them of different texts, with values of some size."""
    for number in range(STATEMENTS // 2):
        connection.exec_driver_sql("SELECT ?", (f"{number} {'x' * 200}",))
        connection.exec_driver_sql(f"SELECT ?, {number % 20_000} AS a{number % 20_000}", (number,))


def grown_by(work: Callable[[], None]) -> int:
    """Give the bytes that are held more after some work than before, of what it allocated."""
    tracemalloc.start(1)
    work()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


async def test_all_are_counted_and_a_thousand_are_kept(engine: Engine) -> None:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)
    held: list[int] = []

    @app.get("/many")
    def many() -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1").all()
            held.append(grown_by(lambda: run_many(connection)))

    async with in_process(app) as client:
        response = await client.get("/many", timeout=60)
        seen = await record_of(client, response)

    request = seen["request"]
    assert request["query_count"] == STATEMENTS + 1
    assert len(request["queries"]) == 1000
    assert request["truncated"] == ["queries"]
    assert held[0] < MAX_BYTES
    assert len(json.dumps(request)) < MAX_BYTES


def test_a_script_is_bounded_alike(engine: Engine) -> None:
    with capture("nightly") as recording, engine.connect() as connection:
        for number in range(5_000):
            connection.execute(text("SELECT :n"), {"n": number})

    assert recording.record is not None
    assert recording.record.query_count == 5_000
    assert len(recording.record.queries) <= 1000
