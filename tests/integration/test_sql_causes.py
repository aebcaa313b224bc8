"""One cause, one finding: whoever swallowed the error, however many routes lead to the line."""

import gc
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session, selectinload

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.integration.clients import API, in_process, record_of
from tests.rules.sql.served import prepare
from tests.rules.sql.shop import AUTHORS, Author, line_of, sync_engine

pytestmark = [
    # What MissingGreenlet leaves behind in the driver; it does so without us as well.
    pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture(autouse=True)
def remains() -> Iterator[None]:
    """Let what the defect left behind end within its own test."""
    before = set(threading.enumerate())
    yield
    gc.collect()
    for thread in set(threading.enumerate()) - before:
        thread.join(0.2)  # some were left behind for good


class BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    title: str


class AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str
    books: list[BookOut]


def asynchronous(engine: AsyncEngine) -> FastAPI:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)

    async def new_session() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine) as session:
            yield session

    Db = Annotated[AsyncSession, Depends(new_session)]  # noqa: N806
    query = select(Author).order_by(Author.id).limit(1)

    @app.get("/unloaded", response_model=AuthorOut)
    async def unloaded(db: Db) -> Any:
        return await db.scalar(query)  # fetched

    @app.get("/committed", response_model=AuthorOut)
    async def committed(db: Db) -> Any:
        author = await db.scalar(query.options(selectinload(Author.books)))
        await db.commit()  # expires
        return author

    @app.get("/refreshed", response_model=AuthorOut)
    async def refreshed(db: Db) -> Any:
        author = await db.scalar(query)
        await db.commit()
        await db.refresh(author)  # refreshes
        return author

    @app.get("/mended/unloaded", response_model=AuthorOut)
    async def mended_unloaded(db: Db) -> Any:
        return await db.scalar(query.options(selectinload(Author.books)))

    @app.get("/mended/refreshed", response_model=AuthorOut)
    async def mended_refreshed(db: Db) -> Any:
        author = await db.scalar(query)
        await db.commit()
        await db.refresh(author)
        await db.refresh(author, ["books"])
        return author

    return app


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    url = f"sqlite+aiosqlite:///{tmp_path}/shop.db"
    await _prepared(url)
    engine = create_async_engine(url)
    async with in_process(asynchronous(engine)) as client:
        yield client
    await engine.dispose()


async def _prepared(url: str) -> None:
    thread = threading.Thread(target=prepare, args=(url,))  # it runs a loop of its own
    thread.start()
    thread.join()


def about_sql(seen: dict[str, Any]) -> list[dict[str, Any]]:
    return [finding for finding in seen["findings"] if finding["rule"].startswith("SQL")]


async def asked(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    return await record_of(client, await client.get(path))


@pytest.mark.parametrize(
    ("path", "cause", "where", "cause_at"),
    [
        ("/unloaded", "never-loaded", "fetched", None),
        ("/committed", "expired-by-commit", "expires", "expires"),
        ("/refreshed", "refreshed-without-relationship", "refreshes", "refreshes"),
    ],
)
async def test_what_pydantic_swallowed_is_one_finding_with_its_cause(
    client: httpx.AsyncClient, path: str, cause: str, where: str, cause_at: str | None
) -> None:
    seen = await asked(client, path)

    # On a busy machine the first request of a route may block the loop as well.
    (finding,) = (one for one in seen["findings"] if not one["rule"].startswith("LOOP"))
    (raised,) = seen["request"]["exceptions"]
    assert raised["type"].endswith("ResponseValidationError")
    assert seen["request"]["status"] == 500
    assert (finding["rule"], finding["severity"]) == ("SQL201", "error")
    assert finding["evidence"]["cause"] == cause
    assert finding["location"]["line"] == line_of(where, __file__)
    at = finding["evidence"]["cause_location"]
    assert (at and at["line"]) == (cause_at and line_of(cause_at, __file__))
    function = seen["request"]["endpoint"]["function"]
    assert finding["message"].startswith(f"The response of {function}() read Author.")


@pytest.mark.parametrize("path", ["/mended/unloaded", "/mended/refreshed"])
async def test_the_mended_twin_answers_and_is_silent(client: httpx.AsyncClient, path: str) -> None:
    seen = await asked(client, path)

    assert seen["request"]["status"] == 200
    assert about_sql(seen) == []


# Through helpers, a repository and a service; on several routes.


class Repository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def authors(self) -> list[Author]:
        return list(self.session.scalars(select(Author).order_by(Author.id)))  # parents

    def titles(self, author: Author) -> list[str]:
        return self._titles(author)

    def _titles(self, author: Author) -> list[str]:
        return [book.title for book in author.books]


def service(repository: Repository) -> list[list[str]]:
    found = []
    for author in repository.authors():
        found.append(repository.titles(author))  # noqa: PERF401 # the loop
    return found


@pytest.fixture
async def layered() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)
    with sync_engine() as engine:

        @app.get("/first")
        def first() -> list[list[str]]:
            with Session(engine) as session:
                return service(Repository(session))

        @app.get("/second/{number}")
        def second(number: int) -> int:
            with Session(engine) as session:
                return len(service(Repository(session))[number])

        @app.get("/both")
        def both() -> int:
            with Session(engine) as session:
                authors = session.scalars(select(Author)).all()
                return len([a.books for a in authors]) + len([a.notes for a in authors])  # two

        def opened() -> Iterator[Session]:
            with Session(engine) as session:
                yield session

        @app.get("/shown", response_model=list[AuthorOut])
        def shown(session: Annotated[Session, Depends(opened)]) -> Any:
            return session.scalars(select(Author)).all()  # shown

        async with in_process(app) as client:
            yield client


async def test_one_line_is_one_finding_with_all_of_its_routes(layered: httpx.AsyncClient) -> None:
    records = [
        await asked(layered, path) for path in ("/first", "/second/1", "/second/2", "/first")
    ]

    found = [finding for record in records for finding in record["findings"]]
    groups = (await layered.get(f"{API}/findings")).json()["findings"]
    (group,) = [group for group in groups if group["rule"] == "SQL101"]
    assert len(found) == 4
    assert {finding["fingerprint"] for finding in found} == {group["fingerprint"]}
    assert found[0]["location"]["line"] == line_of("the loop", __file__)
    assert found[0]["evidence"]["parent_query"]["location"]["line"] == line_of("parents", __file__)
    assert (found[0]["evidence"]["count"], found[0]["evidence"]["parents"]) == (AUTHORS, AUTHORS)
    chain = [place["function"] for place in found[0]["evidence"]["call_chain"]]
    assert chain[:3] == ["Repository._titles", "Repository.titles", "service"]
    assert group["occurrences"] == 4
    assert group["routes"] == ["GET /first", "GET /second/{number}"]


async def test_two_loops_on_one_line_are_two_findings(layered: httpx.AsyncClient) -> None:
    found = (await asked(layered, "/both"))["findings"]

    assert [finding["rule"] for finding in found] == ["SQL101", "SQL101"]
    assert {finding["location"]["line"] for finding in found} == {line_of("two", __file__)}
    assert len({finding["fingerprint"] for finding in found}) == 2


async def test_a_load_by_the_response_names_endpoint_field_and_query(
    layered: httpx.AsyncClient,
) -> None:
    (finding,) = about_sql(await asked(layered, "/shown"))

    assert finding["rule"] == "SQL101"
    assert finding["location"]["line"] == line_of("shown", __file__)
    assert finding["evidence"]["response_field"] == "books"
    assert finding["evidence"]["phase"] == "serialisation"
    assert "shown() (list[AuthorOut]) read the field `books`" in finding["message"]
    assert f":{line_of('shown', __file__)} had loaded them all" in finding["message"]
