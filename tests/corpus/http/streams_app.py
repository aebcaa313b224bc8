"""Streams of items, as current FastAPI makes them of generators, and of its own before."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.corpus.http.situation import FASTAPI


class Book(BaseModel):
    title: str
    subtitle: str | None = None


class Account(BaseModel):
    login: str
    password_hash: str


def make() -> FastAPI:
    """JSONL and event streams where this FastAPI has them."""
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)

    @app.get("/lines")
    async def lines() -> StreamingResponse:
        async def body() -> AsyncIterator[str]:
            yield "one\n"
            yield "two\n"

        return StreamingResponse(body())

    if FASTAPI >= (0, 135):
        _items(app)
        _events(app)
    return app


def _items(app: FastAPI) -> None:
    @app.get("/jsonl")
    async def jsonl() -> AsyncIterator[Book]:
        for number in range(40):
            yield {"title": str(number), "margin": 1}  # JSONL

    @app.get("/jsonl/sync")
    def sync_jsonl() -> Iterator[Book]:
        yield {"title": "Momo", "margin": 1}

    @app.get("/jsonl/typo")
    async def typo() -> AsyncIterator[Book]:
        yield {"title": "Momo", "subtitel": "or the thieves of time"}

    @app.get("/jsonl/secret")
    async def secret() -> AsyncIterator[Account]:
        yield Account(login="ada", password_hash="$2b$12$" + "a" * 53)

    @app.get("/jsonl/invalid")
    async def invalid() -> AsyncIterator[Book]:
        yield Book(title="Momo")
        yield {"title": None}

    @app.get("/jsonl/right")
    async def right() -> AsyncIterator[Book]:
        yield Book(title="Momo")
        yield {"title": "Faust"}


def _events(app: FastAPI) -> None:
    from fastapi.sse import EventSourceResponse, ServerSentEvent  # noqa: PLC0415 - not in old ones

    @app.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[Book]:
        yield {"title": "Momo", "margin": 1}

    @app.get("/events/own", response_class=EventSourceResponse)
    async def own_events() -> AsyncIterator[Any]:
        yield ServerSentEvent(data={"title": "Momo", "margin": 1})
