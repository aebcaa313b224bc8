"""Statements and eager loads through the middleware: the ledger, and who read what."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.orm import selectinload as eagerly
from sqlalchemy.pool import StaticPool

from fastapi_diagnostics import DiagnosticsMiddleware, capture
from tests.integration.clients import in_process, record_of


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list["Book"]] = relationship()


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))


class BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int


class AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    books: list[BookOut]


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Author(books=[Book(), Book()]) for _ in range(4))
        session.commit()
    yield engine
    engine.dispose()


@pytest.fixture
async def client(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)
    query = select(Author).options(eagerly(Author.books))

    @app.get("/plain")
    def plain():
        with Session(engine) as session:
            return session.scalars(query).all()

    @app.get("/declared", response_model=list[AuthorOut])
    def declared():
        with Session(engine) as session:
            return session.scalars(query).all()

    @app.get("/unread")
    def unread() -> list[int]:
        with Session(engine) as session:
            return [author.id for author in session.scalars(query)]

    @app.post("/flush")
    def flush() -> int:
        with Session(engine) as session:
            session.add_all(Book(author_id=1) for _ in range(50))
            session.commit()
        return 50

    async with in_process(app) as client:
        yield client


async def _answered(client: httpx.AsyncClient, method: str, path: str) -> dict:
    return await record_of(client, await client.request(method, path))


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/plain", "/declared"])
async def test_what_the_response_shows_was_read(client, path) -> None:
    answer = await client.get(path)
    seen = await record_of(client, answer)

    assert len(answer.json()) == 4
    assert len(answer.json()[0]["books"]) == 2
    assert [found["rule"] for found in seen["findings"] if found["rule"][:3] == "SQL"] == []


@pytest.mark.anyio
async def test_what_nobody_read_is_noted_once(client) -> None:
    seen = await _answered(client, "GET", "/unread")

    assert [finding["rule"] for finding in seen["findings"]] == ["SQL107"]
    assert seen["request"]["cleared"] == []


@pytest.mark.anyio
async def test_the_ledger_says_what_is_in_order(client) -> None:
    eager = await _answered(client, "GET", "/declared")
    flush = await _answered(client, "POST", "/flush")

    assert [(item["what"], item["reason"]) for item in eager["request"]["cleared"]] == [
        ("Author.books", "eager batch: one statement for all parents")
    ]
    (item,) = flush["request"]["cleared"]
    assert item["what"].startswith("INSERT INTO book")
    assert item["queries"]


def test_a_capture_has_its_ledger_too(engine) -> None:
    with capture("nightly") as recording, Session(engine) as session:
        for author in session.scalars(select(Author).options(eagerly(Author.books))):
            assert author.books

    assert recording.record is not None
    assert [item.what for item in recording.record.cleared] == ["Author.books"]
