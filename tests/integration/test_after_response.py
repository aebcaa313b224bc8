"""Statements and blocks of a background task are told as such, with the request that added it."""

import time
from collections.abc import Iterator

import pytest
from fastapi import BackgroundTasks, FastAPI
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import StaticPool

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.integration.clients import in_process, record_of

THRESHOLD_MS = 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # where the loop itself is watched


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    yield engine
    engine.dispose()


async def test_a_tasks_statements_and_blocks_stand_after_the_response(engine) -> None:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, block_threshold_ms=THRESHOLD_MS)

    def count() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1 AS late"))

    async def block() -> None:
        time.sleep(THRESHOLD_MS * 6 / 1000)  # noqa: ASYNC251 - the defect

    @app.get("/orders")
    def orders(tasks: BackgroundTasks) -> str:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1 AS soon"))
        tasks.add_task(count)
        tasks.add_task(block)
        return "ok"

    async with in_process(app) as client:
        answer = await client.get("/orders")
        told = await record_of(client, answer)
        page = await client.get(f"/_diagnostics/requests/{told['request']['id']}")

    record = told["request"]
    phases = {query["sql"]: query["phase"] for query in record["queries"]}
    assert phases == {"SELECT ? AS soon": "endpoint", "SELECT ? AS late": "background"}
    [slept] = [one for one in record["blocks"] if one["kind"] == "sleep"]
    assert slept["phase"] == "background"
    assert slept["started_ms"] >= record["duration_ms"]
    assert [task["name"] for task in record["tasks"]] == ["count", "block"]
    assert "background" in [phase["name"] for phase in record["phases"]]
    for lane in ("After the response", "SQL afterwards", "Blocked afterwards"):
        assert f">{lane}<" in page.text
    assert "block" in [
        one["location"]["function"].rpartition(".")[2]
        for one in told["findings"]
        if one["rule"] == "LOOP101"
    ]
