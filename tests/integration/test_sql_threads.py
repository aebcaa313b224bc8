"""What a request hands to threads is its own: its statements, and the line of the loop."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session, selectinload

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.integration.clients import in_process, record_of
from tests.rules.sql.shop import AUTHORS, Author, line_of, sync_engine

KEYS = range(1, AUTHORS + 1)


def an_app(engine: Engine) -> FastAPI:  # noqa: C901 - one route for each way
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)

    def name_of(key: int) -> str:
        with Session(engine) as session:
            return session.get(Author, key).name

    def count_books(*options: Any) -> int:
        with Session(engine) as session:
            authors = session.scalars(select(Author).options(*options)).all()
            return sum(len(author.books) for author in authors)  # counted

    @app.get("/executor")
    async def in_executor() -> list[str]:
        loop = asyncio.get_running_loop()
        return [await loop.run_in_executor(None, name_of, key) for key in KEYS]  # in executor

    @app.get("/threadpool")
    async def in_threadpool() -> list[str]:
        return [await run_in_threadpool(name_of, key) for key in KEYS]  # in threadpool

    @app.get("/to-thread")
    async def to_thread() -> list[str]:
        names = []
        for key in KEYS:
            names.append(await asyncio.to_thread(name_of, key))  # noqa: PERF401 # to thread
        return names

    @app.get("/own-pool")
    def own_pool() -> list[str]:
        with ThreadPoolExecutor(1) as pool:
            return [pool.submit(name_of, key).result() for key in KEYS]  # own pool

    @app.get("/relationship")
    async def relationship() -> int:
        return await asyncio.get_running_loop().run_in_executor(None, count_books)

    @app.get("/mended")
    async def mended() -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, count_books, selectinload(Author.books))

    @app.get("/twice")
    async def twice() -> list[str]:
        return [await run_in_threadpool(name_of, 1), await run_in_threadpool(name_of, 2)]

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    with sync_engine() as engine:
        async with in_process(an_app(engine)) as client:
            yield client


async def asked(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    return await record_of(client, await client.get(path))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/executor", "in executor"),
        ("/threadpool", "in threadpool"),
        ("/to-thread", "to thread"),
        ("/own-pool", "own pool"),
    ],
)
async def test_a_loop_that_hands_lookups_to_a_thread_is_found_at_its_line(
    client: httpx.AsyncClient, path: str, line: str
) -> None:
    seen = await asked(client, path)

    (finding,) = seen["findings"]
    assert (finding["rule"], finding["evidence"]["count"]) == ("SQL103", AUTHORS)
    assert finding["location"]["line"] == line_of(line, __file__)


async def test_a_loop_within_the_thread_is_found_in_there(client: httpx.AsyncClient) -> None:
    seen = await asked(client, "/relationship")

    (finding,) = seen["findings"]
    assert finding["rule"] == "SQL101"
    assert finding["location"]["line"] == line_of("counted", __file__)


@pytest.mark.parametrize(("path", "count"), [("/mended", 2), ("/twice", 2)])
async def test_what_repeats_nothing_is_silent(
    client: httpx.AsyncClient, path: str, count: int
) -> None:
    seen = await asked(client, path)

    assert seen["request"]["query_count"] == count
    assert seen["findings"] == []


async def test_a_job_that_goes_on_after_the_response_accuses_nobody() -> None:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)
    written, answered, done = threading.Event(), threading.Event(), threading.Event()
    with sync_engine() as engine:

        def job() -> None:
            with Session(engine) as session:
                session.add(Author(name="written meanwhile"))
                session.flush()
                written.set()
                answered.wait(10)
                session.commit()
            done.set()

        @app.get("/")
        async def start() -> str:
            asyncio.get_running_loop().run_in_executor(None, job)
            assert await asyncio.to_thread(written.wait, 10)
            return "started"

        async with in_process(app) as client:
            seen = await asked(client, "/")
            answered.set()
            assert await asyncio.to_thread(done.wait, 10)

    assert seen["request"]["query_count"] == 1
    assert seen["findings"] == []
