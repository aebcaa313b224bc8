# ruff: noqa: ASYNC251 - what blocks a loop is the subject here
"""What the lifespan does to the loop is told apart from requests, over a real server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.serving import serve


def findings_after_start(lifespan: Callable[[FastAPI], Any], loop: str) -> list[dict[str, Any]]:
    app = FastAPI(lifespan=lifespan)
    app.add_middleware(DiagnosticsMiddleware)

    @app.get("/")
    async def hello() -> str:
        return "hello"

    with serve(app, loop=loop) as url, httpx.Client(base_url=url) as client:
        assert client.get("/").status_code == 200
        return client.get("/_diagnostics/api/findings").json()["findings"]


@asynccontextmanager
async def slow(_: FastAPI) -> AsyncIterator[None]:
    time.sleep(0.2)
    yield


@asynccontextmanager
async def slow_and_then_long(_: FastAPI) -> AsyncIterator[None]:
    time.sleep(0.2)
    await asyncio.sleep(0.3)
    yield


@asynccontextmanager
async def quick(_: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("lifespan", [slow, slow_and_then_long])
def test_a_sleep_in_the_lifespan_is_a_note_of_no_request(lifespan, loop) -> None:
    (finding,) = findings_after_start(lifespan, loop)

    assert (finding["rule"], finding["severity"]) == ("LOOP104", "info")
    assert finding["location"]["code"] == "time.sleep(0.2)"
    assert finding["fix"]["code"] == "await asyncio.sleep(0.2)"
    assert finding["request_id"] is None


def test_a_quick_lifespan_is_not_worth_a_word() -> None:
    assert findings_after_start(quick, "asyncio") == []
