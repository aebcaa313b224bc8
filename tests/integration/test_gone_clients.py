"""A client that goes away at any moment, and streams without end: as without us, and told."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse

from fastapi_diagnostics import DiagnosticsMiddleware
from fastapi_diagnostics.faults import FAULTS
from tests.integration.clients import API, in_process, recorded

MIB = 1024 * 1024
CHUNK = b"x" * 65536
CHUNKS_READ = 2000
"""Of the endless stream: 125 MB."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_faults() -> Iterator[None]:
    FAULTS.clear()
    yield
    assert FAULTS.all() == ()


def an_app(  # noqa: C901 - one small endpoint for each way to answer
    done: list[str], *, watched: bool, behind_middleware: bool
) -> FastAPI:
    app = FastAPI()
    if watched:
        app.add_middleware(DiagnosticsMiddleware)
    if behind_middleware:

        @app.middleware("http")
        async def pass_on(request: Request, call_next: Any) -> Any:
            return await call_next(request)

    async def note(word: str) -> None:
        done.append(word)

    async def closing() -> AsyncIterator[str]:
        try:
            yield "session"
        finally:
            done.append("closed")

    @app.get("/plain")
    async def plain(tasks: BackgroundTasks, _db: Annotated[str, Depends(closing)]) -> str:
        tasks.add_task(note, "task")
        return "ok"

    @app.get("/stream")
    async def stream(tasks: BackgroundTasks) -> StreamingResponse:
        async def rows() -> AsyncIterator[bytes]:
            try:
                for number in range(4):
                    await asyncio.sleep(0)
                    yield b"%d" % number
            finally:
                done.append("stream over")

        tasks.add_task(note, "task")
        return StreamingResponse(rows())

    @app.post("/read")
    async def read(request: Request) -> int:
        return sum([len(chunk) async for chunk in request.stream()])

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def rows() -> AsyncIterator[bytes]:
            while True:
                yield CHUNK

        return StreamingResponse(rows())

    return app


class Client:
    """Sends one request and leaves after so many messages of the answer.

    Attributes:
        sent: Types of the messages that it got.
    """

    def __init__(self, method: str, path: str, way: str, after: int) -> None:
        self.sent: list[str] = []
        self._way = way
        self._after = after
        self._gone = asyncio.Event()
        self._bodies = [b"abc", b"abc"] if method == "POST" else [b""]
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4" if way == "send fails" else "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 50000),
            "server": ("localhost", 80),
            "state": {},
        }
        if after == 0:
            self._gone.set()

    async def call(self, app: Any) -> str:
        """Give what came out of the application: an error, or nothing."""
        task = asyncio.create_task(app(self.scope, self._receive, self._send))
        if self._way == "cancelled":
            left = asyncio.create_task(self._gone.wait())
            await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
            left.cancel()
            task.cancel()
        try:
            await task
        except BaseException as error:  # noqa: BLE001 - whatever the server would see
            return repr(error)
        return ""

    async def _receive(self) -> dict[str, Any]:
        failing = self._way == "send fails"  # such a server does not tell it in another way
        if self._bodies and (failing or not self._gone.is_set()):
            body = self._bodies.pop()
            return {"type": "http.request", "body": body, "more_body": bool(self._bodies)}
        await (asyncio.Event() if failing else self._gone).wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if self._way == "send fails" and self._gone.is_set():
            raise OSError("the client is gone")
        self.sent.append(message["type"])
        if len(self.sent) >= self._after:
            self._gone.set()
        await asyncio.sleep(0)


async def outcome(app: FastAPI, done: list[str], *request: Any) -> tuple[Any, ...]:
    client = Client(*request)
    error = await client.call(app)
    return error, client.sent, done[:]


@pytest.mark.parametrize("behind_middleware", [False, True], ids=["alone", "behind-middleware"])
@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize("way", ["told", "send fails", "cancelled"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/plain"), ("GET", "/stream"), ("POST", "/read")]
)
async def test_a_client_gone_at_any_moment_makes_no_difference(
    method: str, path: str, way: str, after: int, *, behind_middleware: bool
) -> None:
    outcomes = []
    for watched in (False, True):
        done: list[str] = []
        app = an_app(done, watched=watched, behind_middleware=behind_middleware)
        outcomes.append(await outcome(app, done, method, path, way, after))

    without, with_us = outcomes
    assert with_us == without


async def test_the_record_of_a_client_that_left_says_what_was_seen() -> None:
    done: list[str] = []
    app = an_app(done, watched=True, behind_middleware=False)

    await outcome(app, done, "GET", "/stream", "send fails", 2)
    async with in_process(app) as client:
        [summary] = await recorded(client)
        answer = await client.get(f"{API}/requests/{summary['id']}", params={"wait": "closed"})

    record = answer.json()["request"]
    assert (record["state"], record["status"]) == ("closed", 200)
    assert [(task["state"], task["reason"]) for task in record["tasks"]] == [
        ("never-ran", "client-gone")
    ]
    assert [found["rule"] for found in answer.json()["findings"]] == ["TASK102"]


@pytest.mark.parametrize("way", ["told", "send fails"])
async def test_an_endless_stream_is_neither_held_nor_stopped(way: str) -> None:
    done: list[str] = []
    app = an_app(done, watched=True, behind_middleware=False)
    await outcome(app, done, "GET", "/endless", way, 10)  # what is prepared at the first request

    tracemalloc.start()
    _, sent, _ = await outcome(app, done, "GET", "/endless", way, CHUNKS_READ)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    async with in_process(app) as client:
        summaries = await recorded(client)

    assert len(sent) >= CHUNKS_READ
    assert peak < 4 * MIB
    assert [summary["status"] for summary in summaries] == [200, 200]
