"""Nothing of ours waits for a file or a lock on the application's loop."""

import asyncio
import time

import pytest
import sqlalchemy  # noqa: F401 - so that its hooks are installed, too
from fastapi import FastAPI

from fastapi_diagnostics import DiagnosticsMiddleware
from fastapi_diagnostics.collectors.hooks import HOOKS
from fastapi_diagnostics.faults import FAULTS
from tests.integration.clients import in_process, recorded

blockbuster = pytest.importorskip(
    "blockbuster", reason="needs blockbuster: pip install blockbuster"
)


@pytest.fixture
def nothing_may_block():
    HOOKS.undo()
    FAULTS.clear()
    with blockbuster.blockbuster_ctx():
        yield
    FAULTS.clear()


@pytest.mark.usefixtures("nothing_may_block")
async def test_telling_of_a_block_and_its_victims_never_blocks_the_loop() -> None:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)

    @app.get("/compute")
    async def compute() -> str:
        end = time.thread_time() + 0.15
        while time.thread_time() < end:
            sum(range(1000))
        return "done"

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    found: set[str] = set()
    async with in_process(app) as client:
        for _ in range(3):  # a machine without a processor for us says nothing
            await asyncio.gather(client.get("/compute"), *(client.get("/hello") for _ in range(5)))
            answer = await client.get("/_diagnostics/api/findings?wait=1")
            found |= {finding["rule"] for finding in answer.json()["findings"]}
            if found:
                break

    assert found == {"LOOP101"}
    assert FAULTS.all() == ()


@pytest.mark.usefixtures("nothing_may_block")
async def test_building_recording_and_showing_never_block_the_loop() -> None:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    async with in_process(app) as client:
        for _ in range(3):
            assert (await client.get("/hello")).status_code == 200
        pages = [await client.get(f"/_diagnostics/{page}") for page in ("", "requests", "status")]
        summaries = await recorded(client)

    assert [page.status_code for page in pages] == [200, 200, 200]
    assert len(summaries) == 3
    assert FAULTS.all() == ()
    assert [hook.why for hook in HOOKS.status() if not hook.on] == []
