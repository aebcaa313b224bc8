"""Nothing of ours waits for a file or a lock on the application's loop."""

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
