# ruff: noqa: ASYNC251 - what blocks a loop is the subject here
"""On trio an application is recorded and watched, and the pages answer."""

import time
from typing import Annotated, Any

import pytest
import trio
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.integration.clients import in_process, record_of, recorded


def shop() -> FastAPI:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, log=False, banner=False)

    async def opened() -> Any:
        await trio.lowlevel.checkpoint()
        yield "open"

    @app.get("/slow")
    async def slow(state: Annotated[str, Depends(opened)]) -> str:
        await trio.lowlevel.checkpoint()
        time.sleep(0.12)
        return state

    @app.get("/plain")
    def plain() -> str:
        return "plain"

    @app.get("/nothing")
    async def nothing() -> None:
        raise HTTPException(404)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts():
            for part in ("a", "b"):
                await trio.lowlevel.checkpoint()
                yield part

        return StreamingResponse(parts())

    return app


def test_requests_are_recorded_and_a_block_is_found_at_its_line() -> None:
    async def visit() -> tuple[list[int], list[dict[str, Any]], dict[str, Any], list[int]]:
        async with in_process(shop()) as client:
            slow = await client.get("/slow")
            others = [await client.get(path) for path in ("/plain", "/nothing", "/stream")]
            pages = [await client.get(f"/_diagnostics/{page}") for page in ("", "loop", "status")]
            found = await record_of(client, slow)
            answered = [slow.status_code, *(answer.status_code for answer in others)]
            return answered, await recorded(client), found, [page.status_code for page in pages]

    answered, summaries, found, pages = trio.run(visit)

    assert answered == [200, 200, 404, 200]
    assert pages == [200, 200, 200]
    assert len(summaries) == 4
    [finding] = found["findings"]
    assert (finding["rule"], finding["location"]["code"]) == ("LOOP101", "time.sleep(0.12)")
    assert found["request"]["time"]["on_loop_ms"] >= 115


def test_what_an_endpoint_raises_reaches_the_server() -> None:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, log=False, banner=False)

    @app.get("/fails")
    async def fails() -> None:
        raise LookupError("on trio")

    async def visit() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_: Any) -> None:
            await trio.lowlevel.checkpoint()

        scope = {"type": "http", "method": "GET", "path": "/fails", "query_string": b"",
                 "headers": [], "http_version": "1.1", "root_path": ""}  # fmt: skip
        await app(scope, receive, send)

    with pytest.raises(LookupError, match="on trio"):
        trio.run(visit)
