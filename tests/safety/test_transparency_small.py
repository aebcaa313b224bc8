"""With us and without us the same bytes go over the wire, and the same errors are raised."""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Response, WebSocket
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import WebSocketException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from wsproto.events import TextMessage

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.safety.serving import WebSocketClient
from tests.serving import serve

OURS = re.compile(rb"(?mi)^(?:x-diagnostics-id|server-timing): [^\r]*\r\n")
DATE = re.compile(rb"(?mi)^date: [^\r]*\r\n")
WHO: ContextVar[str] = ContextVar("who", default="nobody")


class Item(BaseModel):
    name: str
    price: float = 1.5


async def who() -> AsyncIterator[str]:
    token = WHO.set("a dependency")
    try:
        yield "who"
    finally:
        WHO.reset(token)


def who_in_a_thread() -> str:
    return WHO.get()


def failing_task() -> None:
    raise OSError("the mail server is away")


def an_app(*, inside: bool = False) -> FastAPI:  # noqa: C901, PLR0915 - one small endpoint for each case
    app = FastAPI()
    if inside:
        app.add_middleware(
            BaseHTTPMiddleware, dispatch=lambda request, following: following(request)
        )
        app.add_middleware(GZipMiddleware, minimum_size=10)

    @app.get("/json", response_model=Item)
    async def json() -> Any:
        return {"name": "a", "password": "x"}

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(5):
                await asyncio.sleep(0)
                yield b"%d" % number * number
            yield b""

        return StreamingResponse(chunks(), headers={"X-A": "1"})

    @app.get("/broken-stream")
    async def broken_stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"first"
            raise ValueError("broken in the middle")

        return StreamingResponse(chunks())

    @app.get("/events")
    async def events() -> StreamingResponse:
        lines = (f"id: {number}\ndata: x\n\n" for number in range(3))
        return StreamingResponse(lines, media_type="text/event-stream")

    @app.get("/file")
    @app.head("/file")
    async def file() -> FileResponse:
        return FileResponse(Path(__file__), filename="a.py")

    @app.get("/empty", status_code=204)
    async def empty() -> None:
        pass

    @app.get("/same")
    async def same() -> Response:
        return Response(status_code=304, headers={"ETag": '"x"'})

    @app.get("/cookies")
    async def cookies(response: Response) -> str:
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        response.headers["Server-Timing-Of-The-App"] = "db;dur=1"
        return "ok"

    @app.get("/redirect")
    async def redirect() -> RedirectResponse:
        return RedirectResponse("/json")

    @app.get("/error")
    async def error() -> None:
        raise KeyError("a key")

    @app.get("/http-error")
    async def http_error() -> None:
        raise HTTPException(418, {"why": "tea"}, headers={"X-Tea": "yes"})

    @app.get("/task")
    async def task(background: BackgroundTasks) -> str:
        background.add_task(failing_task)
        return "queued"

    @app.get("/context")
    async def context(_: str = Depends(who), thread: str = Depends(who_in_a_thread)) -> list[str]:  # noqa: FAST002
        return [WHO.get(), thread, await asyncio.to_thread(WHO.get)]

    @app.get("/sync-context")
    def sync_context(_: str = Depends(who)) -> str:  # noqa: FAST002
        return WHO.get()

    @app.post("/item")
    async def item(item: Item) -> Item:
        return item

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept(headers=[(b"x-a", b"1")])
        while True:
            text = await websocket.receive_text()
            if text == "end":
                raise WebSocketException(4001, "ended")
            await websocket.send_text(text)

    return app


REQUESTS = (
    *(("GET", path, b"") for path in (
        "/json", "/stream", "/broken-stream", "/events", "/file", "/empty", "/same", "/cookies",
        "/redirect", "/error", "/http-error", "/task", "/context", "/sync-context", "/nowhere",
        "/json/", "/openapi.json", "/docs",
    )),
    ("HEAD", "/file", b""),
    ("HEAD", "/json", b""),
    ("POST", "/json", b""),
    ("OPTIONS", "/json", b""),
    ("POST", "/item", b'{"name": "a"}'),
    ("POST", "/item", b'{"price": "x"}'),
    ("POST", "/item", b"{"),
)  # fmt: skip


class Entries(logging.Handler):
    """Keeps what the server logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen: list[tuple[str, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        message = re.sub(r"0x[0-9a-f]+|\d{4,}", "#", record.getMessage())
        self.seen.append((record.levelname, message, repr(error)))


@pytest.fixture
def entries() -> Iterator[Entries]:
    handler, logger = Entries(), logging.getLogger("uvicorn.error")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def exchanged(url: str, method: str, path: str, body: bytes) -> bytes:
    """Give every byte that the server sends, less the date and what is ours."""
    parts = urlsplit(url)
    head = f"{method} {path} HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n"
    head += f"Accept-Encoding: gzip\r\nContent-Length: {len(body)}\r\n"
    if body:
        head += "Content-Type: application/json\r\n"
    data = bytearray()
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as stream:
        stream.sendall(head.encode() + b"\r\n" + body)
        while received := stream.recv(65536):
            data += received
    headers, _, rest = bytes(data).partition(b"\r\n\r\n")
    headers += b"\r\n"
    return OURS.sub(b"", DATE.sub(b"", headers)) + b"\r\n" + rest


def spoken(url: str) -> list[Any]:
    with closing(WebSocketClient(url, "/echo")) as client:
        client.send("hello")
        first = client.receive()
        client.send("end")
        ending = client.receive()
    assert isinstance(first, TextMessage)
    names = [pair for pair in client.opening.extra_headers if pair[0] != b"date"]
    return [names, first.data, ending.code, ending.reason]


def seen_of(app: Any, entries: Entries) -> tuple[dict[Any, bytes], list[Any], list[Any]]:
    entries.seen.clear()
    with serve(app, log_config=None, access_log=False) as url:
        answers = {request: exchanged(url, *request) for request in REQUESTS}
        words = spoken(url)
    return answers, words, list(entries.seen)


@pytest.mark.parametrize("inside", [False, True], ids=["plain", "middleware"])
def test_the_same_bytes_and_the_same_log(entries, inside) -> None:
    app = an_app(inside=inside)
    app.add_middleware(DiagnosticsMiddleware)

    answers, words, logged = seen_of(app, entries)

    expected_answers, expected_words, expected_logged = seen_of(an_app(inside=inside), entries)
    assert expected_answers["GET", "/error", b""].startswith(b"HTTP/1.1 500")
    assert any("mail server" in error for _, _, error in expected_logged)
    for request, expected in expected_answers.items():
        if b"content-encoding: gzip" in expected:  # its head holds the time
            assert len(answers[request]) == len(expected), request
        else:
            assert answers[request] == expected, request
    assert words == expected_words
    assert logged == expected_logged


def test_ours_is_what_was_taken_out() -> None:
    app = an_app()
    app.add_middleware(DiagnosticsMiddleware)

    with serve(app) as url:
        answer = httpx.get(f"{url}/json")

    assert {"x-diagnostics-id", "server-timing"} <= set(answer.headers)


async def test_the_error_that_arrives_is_the_one_that_was_raised() -> None:
    app, thrown = FastAPI(), KeyError("the very same")
    app.add_middleware(DiagnosticsMiddleware)

    @app.get("/error")
    async def error() -> None:
        raise thrown

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        with pytest.raises(KeyError) as raised:
            await client.get("/error")

    assert raised.value is thrown
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert not hasattr(raised.value, "__notes__")


async def test_what_dependencies_set_is_there_and_nothing_of_ours_stays() -> None:
    app = an_app()
    app.add_middleware(DiagnosticsMiddleware)
    transport = httpx.ASGITransport(app)

    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        seen = (await client.get("/context")).json()
        in_thread = (await client.get("/sync-context")).json()

    assert seen == ["a dependency", "a dependency", "a dependency"]
    assert in_thread == "a dependency"
    assert WHO.get() == "nobody"


async def test_a_cancelled_request_is_cancelled() -> None:
    waiting = asyncio.Event()
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)
    ended: list[type[BaseException]] = []

    @app.get("/wait")
    async def wait() -> None:
        waiting.set()
        try:
            await asyncio.sleep(60)
        except BaseException as error:
            ended.append(type(error))
            raise

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        task = asyncio.create_task(client.get("/wait"))
        await waiting.wait()
        task.cancel("by the test")
        with pytest.raises(asyncio.CancelledError) as raised:
            await task

    assert ended == [asyncio.CancelledError]
    assert raised.value.args == ("by the test",)
