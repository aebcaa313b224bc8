"""Where in a request its statements ran: each phase has its own, the background included."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.integration.clients import in_process, record_of
from tests.rules.sql.shop import AUTHORS, Author, line_of, sync_engine


class BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    title: str


class AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str
    books: list[BookOut]


def count_books(engine: Engine) -> int:
    with Session(engine) as session:
        authors = session.scalars(select(Author)).all()
        return sum(len(author.books) for author in authors)  # counted


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)
    with sync_engine() as engine:

        def opened() -> Iterator[Session]:
            with Session(engine) as session:
                session.scalar(select(Author.id))
                yield session
                session.scalar(select(Author.name))

        @app.get("/answered", response_model=list[AuthorOut])
        def answered(session: Annotated[Session, Depends(opened)]) -> Any:
            return session.scalars(select(Author)).all()

        @app.get("/later")
        def later(tasks: BackgroundTasks) -> None:
            tasks.add_task(count_books, engine)

        @app.get("/streamed")
        def streamed() -> StreamingResponse:
            def lines() -> Iterator[str]:
                yield "books: "
                yield str(count_books(engine))

            return StreamingResponse(lines())

        async with in_process(app) as client:
            yield client


async def recorded(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    return await record_of(client, await client.get(path))


async def test_each_statement_is_in_its_phase(client: httpx.AsyncClient) -> None:
    queries = (await recorded(client, "/answered"))["request"]["queries"]

    *phases, last = [query["phase"] for query in queries]
    assert phases == ["dependencies", "endpoint", *["serialisation"] * AUTHORS]
    assert last in {"teardown", "response"}  # FastAPI 0.115 tears down before it has answered


@pytest.mark.parametrize(("path", "phase"), [("/later", "background"), ("/streamed", "response")])
async def test_a_loop_after_the_endpoint_is_found_in_its_phase(
    client: httpx.AsyncClient, path: str, phase: str
) -> None:
    seen = await recorded(client, path)

    assert {query["phase"] for query in seen["request"]["queries"]} == {phase}
    (finding,) = seen["findings"]
    assert (finding["rule"], finding["evidence"]["phase"]) == ("SQL101", phase)
    assert finding["location"]["line"] == line_of("counted", __file__)
