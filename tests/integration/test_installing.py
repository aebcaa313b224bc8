"""However the middleware comes to stand around an application: one record per request."""

import asyncio
import socket
import threading

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from fastapi_diagnostics import ConfigurationError, DiagnosticsMiddleware, capture
from tests.integration.clients import API, in_process, record_of, recorded
from tests.serving import serve


def an_app(**options) -> FastAPI:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, **options)

    @app.get("/hello/{name}")
    async def hello(name: str) -> dict[str, str]:
        return {"hello": name}

    return app


def routes_of(summaries) -> list[str]:
    return [summary["route"] for summary in summaries]


async def test_the_very_first_request_is_recorded_without_a_lifespan() -> None:
    async with in_process(an_app()) as client:
        response = await client.get("/hello/ada")
        record = await record_of(client, response)

    assert record["request"]["route"] == "GET /hello/{name}"
    assert record["request"]["status"] == 200
    assert record["request"]["state"] == "closed"


async def test_added_twice_it_records_once() -> None:
    app = an_app()
    app.add_middleware(DiagnosticsMiddleware)

    async with in_process(app) as client:
        response = await client.get("/hello/ada")
        summaries = await recorded(client)

    assert routes_of(summaries) == ["GET /hello/{name}"]
    assert len(response.headers.get_list("x-diagnostics-id")) == 1


async def test_a_mounted_application_with_its_own_middleware_records_once() -> None:
    app = an_app()
    app.mount("/sub", an_app())

    async with in_process(app) as client:
        await client.get("/sub/hello/ada")
        summaries = await recorded(client)

    assert routes_of(summaries) == ["GET /sub/hello/{name}"]


async def test_only_the_mounted_application_has_it() -> None:
    app = FastAPI()
    app.mount("/sub", an_app())

    async with in_process(app) as client:
        await client.get("/sub/hello/ada")
        summaries = await recorded(client, prefix="/sub")

    assert routes_of(summaries) == ["GET /sub/hello/{name}"]


@pytest.mark.parametrize("path", ["/hello/ada", "/v1/hello/ada"])
async def test_a_root_path_stripped_or_not(path) -> None:
    async with in_process(an_app(), root_path="/v1") as client:
        response = await client.get(path)
        summaries = await recorded(client, prefix="/v1")

    assert response.status_code == 200
    assert [summary["status"] for summary in summaries] == [200]


async def test_plain_starlette() -> None:
    async def hello(_):
        return PlainTextResponse("hello")

    app = Starlette(
        routes=[Mount("/sub", routes=[Route("/hello", hello)])],
        middleware=[Middleware(DiagnosticsMiddleware)],
    )

    async with in_process(app) as client:
        await client.get("/sub/hello")
        summaries = await recorded(client)

    assert routes_of(summaries) == ["GET /sub/hello"]


async def test_wrapped_from_outside_it_looks_through_to_the_application() -> None:
    inner = FastAPI()

    @inner.get("/hello")
    async def hello() -> str:
        return "hello"

    app = DiagnosticsMiddleware(inner)

    async with in_process(app) as client:
        await client.get("/hello")
        await client.get("/hello")
        summaries = await recorded(client)

    assert routes_of(summaries) == ["GET /hello", "GET /hello"]
    assert app.dependency_overrides == {}


@pytest.mark.parametrize("first", [True, False])
async def test_its_position_does_not_matter(first) -> None:
    async def passing(request, call_next):
        return await call_next(request)

    app = FastAPI()
    if first:
        app.add_middleware(DiagnosticsMiddleware)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    app.add_middleware(BaseHTTPMiddleware, dispatch=passing)
    if not first:
        app.add_middleware(DiagnosticsMiddleware)

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("broken")

    preflight = {"Origin": "http://a.example", "Access-Control-Request-Method": "GET"}
    async with in_process(app) as client:
        await client.options("/broken", headers=preflight)
        await client.get("/broken")
        summaries = await recorded(client)

    assert [(s["method"], s["status"]) for s in summaries] == [("OPTIONS", 200), ("GET", 500)]


def test_the_test_client_of_starlette() -> None:
    app = an_app()

    with TestClient(app) as client:
        client.get("/hello/ada")
        client.get("/hello/bob")
        answer = client.get(f"{API}/requests")

    assert [request["path"] for request in answer.json()["requests"]] == [
        "/hello/bob",
        "/hello/ada",
    ]


async def test_keep_alive_and_pipelined_requests_are_records_of_their_own() -> None:
    with serve(an_app()) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            first = await client.get("/hello/ada")
            second = await client.get("/hello/bob")
            await asyncio.to_thread(pipelined, url, "/hello/c", "/hello/d")
            summaries = await recorded(client)

    assert first.headers["x-diagnostics-id"] != second.headers["x-diagnostics-id"]
    assert [s["path"] for s in summaries] == ["/hello/ada", "/hello/bob", "/hello/c", "/hello/d"]


def pipelined(url: str, *paths: str) -> None:
    """Send several requests at once on one connection and read until the server closes it."""
    host, port = httpx.URL(url).host, httpx.URL(url).port
    lines = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n" for path in paths]
    lines[-1] += "Connection: close\r\n"
    with socket.create_connection((host, port)) as connection:
        connection.sendall("\r\n".join([*lines, ""]).encode())
        while connection.recv(65536):
            pass


async def test_capture_around_a_clients_call_records_both() -> None:
    async with in_process(an_app()) as client:
        async with capture("one call") as recording:
            response = await client.get("/hello/ada")
        record = await record_of(client, response)

    assert record["request"]["kind"] == "http"
    assert recording.record.kind == "capture"
    assert recording.record.route == "one call"


async def test_websockets_are_recorded() -> None:
    app = an_app()

    @app.websocket("/ws/{room}")
    async def chat(websocket: WebSocket, room: str) -> None:
        await websocket.accept()
        await websocket.send_text(room)
        await websocket.close()

    with TestClient(app) as client:
        with client.websocket_connect("/ws/blue") as websocket:
            websocket.receive_text()
        [request] = client.get(f"{API}/requests").json()["requests"]

    assert (request["kind"], request["path"]) == ("websocket", "/ws/blue")


async def test_streams_are_not_buffered() -> None:
    app = an_app()
    received = threading.Event()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts():
            yield "first"
            await asyncio.to_thread(received.wait, 10)
            yield "second"

        return StreamingResponse(parts())

    with serve(app) as url:
        async with (
            httpx.AsyncClient(base_url=url) as client,
            client.stream("GET", "/stream") as response,
        ):
            parts = response.aiter_text()
            first = await anext(parts)
            received.set()
            rest = [part async for part in parts]

    assert (first, rest) == ("first", ["second"])


async def test_headers_can_be_turned_off() -> None:
    async with in_process(an_app(headers=False)) as client:
        response = await client.get("/hello/ada")

    assert "x-diagnostics-id" not in response.headers
    assert "server-timing" not in response.headers


async def test_an_existing_server_timing_header_stays() -> None:
    app = an_app()

    @app.get("/timed")
    async def timed() -> PlainTextResponse:
        return PlainTextResponse("x", headers={"Server-Timing": "db;dur=5"})

    async with in_process(app) as client:
        response = await client.get("/timed")

    assert response.headers.get_list("server-timing")[0] == "db;dur=5"


async def test_switched_off_the_application_answers_alone(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("FASTAPI_DIAGNOSTICS", "0")
    monkeypatch.chdir(tmp_path)
    app = an_app(store_url="sqlite:///diagnostics.db")

    async with in_process(app) as client:
        response = await client.get("/hello/ada")
        pages = await client.get("/_diagnostics")

    assert "x-diagnostics-id" not in response.headers
    assert (pages.status_code, pages.json()) == (404, {"detail": "Not Found"})
    assert list(tmp_path.iterdir()) == []


async def test_in_production_nothing_is_recorded_or_served(monkeypatch, capsys) -> None:
    monkeypatch.setenv("APP_ENV", "production")

    async with in_process(an_app()) as client:
        response = await client.get("/hello/ada")
        pages = await client.get("/_diagnostics")

    assert "x-diagnostics-id" not in response.headers
    assert pages.json() == {"detail": "Not Found"}
    assert capsys.readouterr().err.count("fastapi-diagnostics is off") == 1


def test_a_wrong_setting_stops_the_start() -> None:
    with (
        pytest.raises(ConfigurationError, match="did you mean path"),
        TestClient(an_app(pth="/x")),
    ):
        pass


def test_a_wrong_setting_from_outside_is_raised_at_once() -> None:
    with pytest.raises(ConfigurationError, match="names no rule: SQL999"):
        DiagnosticsMiddleware(FastAPI(), ignore=["SQL999"])


async def test_the_pages_are_not_recorded() -> None:
    async with in_process(an_app()) as client:
        for page in ("/_diagnostics", "/_diagnostics/status", f"{API}/status"):
            await client.get(page)
        summaries = await recorded(client)

    assert summaries == []


async def test_cancellation_passes_through() -> None:
    app = an_app()
    started, seen = asyncio.Event(), []

    @app.get("/slow")
    async def slow() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            seen.append(error)
            raise

    async with in_process(app) as client:
        task = asyncio.create_task(client.get("/slow"))
        await started.wait()
        task.cancel("stop")
        with pytest.raises(asyncio.CancelledError):
            await task

    assert [error.args for error in seen] == [("stop",)]


async def test_the_applications_exception_passes_through_as_the_same_object() -> None:
    app = an_app()
    error = ValueError("mine")

    @app.get("/broken")
    async def broken() -> None:
        raise error

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        with pytest.raises(ValueError, match="mine") as raised:
            await client.get("/broken")

    assert raised.value is error


def test_a_wrong_rule_name_is_told_with_its_variable(monkeypatch) -> None:
    monkeypatch.setenv("FASTAPI_DIAGNOSTICS_IGNORE", "SQL999")

    with pytest.raises(ConfigurationError, match="variable FASTAPI_DIAGNOSTICS_IGNORE names no"):
        DiagnosticsMiddleware(FastAPI())


@pytest.mark.parametrize("told", [True, False], ids=["with log", "without"])
async def test_a_store_that_cannot_be_used_is_one_warning(tmp_path, caplog, told) -> None:
    kept = tmp_path / "kept.db"
    kept.write_text("somebody's notes")
    app = an_app(store_url=f"sqlite:///{kept}", log=told)

    async with in_process(app) as client:
        await client.get("/hello/ada")
        await client.get("/hello/ada")
        status = (await client.get("/_diagnostics/api/status")).json()["store"]

    warnings = [one.getMessage() for one in caplog.records if one.name == "fastapi_diagnostics"]
    assert len(warnings) == told
    assert all("is not a store of fastapi-diagnostics" in warning for warning in warnings)
    assert (status["kind"], kept.read_text()) == ("memory", "somebody's notes")
