"""A middleware that raises an HTTPException, or returns nothing, is told what it has to do."""

from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.integration.clients import in_process, record_of


async def turns_away(_request: Any, _call_next: Any) -> Any:
    raise HTTPException(401, "who are you?")


async def turns_away_late(request: Any, call_next: Any) -> Any:
    await call_next(request)
    raise HTTPException(401, "who are you?")


async def turned_away(_request: Any, _call_next: Any) -> Any:
    return JSONResponse({"detail": "who are you?"}, status_code=401)


async def returns_nothing(request: Any, call_next: Any) -> None:
    await call_next(request)


async def findings_behind(middleware: Any) -> list[dict[str, Any]]:
    app = FastAPI()
    app.middleware("http")(middleware)
    app.add_middleware(DiagnosticsMiddleware)

    @app.get("/")
    async def home() -> int:
        return 1

    async with in_process(app) as client:
        answer = await record_of(client, await client.get("/"))
    return [found for found in answer["findings"] if found["rule"] == "EXC101"]


async def test_an_http_exception_of_a_middleware_is_to_be_returned_as_a_response() -> None:
    [early] = await findings_behind(turns_away)
    [late] = await findings_behind(turns_away_late)

    written = 'return JSONResponse({"detail": "who are you?"}, status_code=401)'
    assert (early["fix"]["code"], late["fix"]["code"]) == (written, written)
    assert await findings_behind(turned_away) == []


async def test_a_middleware_that_returns_nothing_is_told_to() -> None:
    [found] = await findings_behind(returns_nothing)

    summary = found["fix"]["summary"]
    assert "a middleware has to return what `await call_next(request)` gives" in summary
