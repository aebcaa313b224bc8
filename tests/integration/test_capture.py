"""`capture` records code outside HTTP, a slice of a request, and never changes what it wraps."""

import asyncio
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from fastapi_diagnostics import DiagnosticsMiddleware, capture, wiring
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


@pytest.fixture
def session():
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Author(books=[Book(), Book()]) for _ in range(4))
        session.commit()
        session.expunge_all()
        yield session
    engine.dispose()


def count_books(session: Session) -> int:
    total = 0
    for author in session.scalars(select(Author)):
        total += len(author.books)  # the guilty line
    return total


def guilty_line() -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(i for i, line in enumerate(lines, 1) if line.endswith("# the guilty line"))


def test_a_script_is_recorded_and_judged(session) -> None:
    with capture("nightly count") as recording:
        total = count_books(session)

    [finding] = [found for found in recording.findings if found.rule == "SQL101"]
    assert total == 8
    assert recording.record.kind == "capture"
    assert recording.record.query_count == 5
    assert (finding.location.line, finding.route) == (guilty_line(), "nightly count")


async def test_the_same_with_async_with(session) -> None:
    async with capture("nightly count") as recording:
        count_books(session)

    assert "SQL101" in [finding.rule for finding in recording.findings]


def test_an_exception_passes_through_and_is_recorded() -> None:
    error = KeyError("mine")

    with pytest.raises(KeyError) as raised, capture("broken") as recording:
        raise error

    assert raised.value is error
    assert [fact.type for fact in recording.record.exceptions] == ["KeyError"]


async def test_inside_a_request_both_record(session) -> None:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)
    recordings = []

    @app.get("/count")
    async def count() -> int:
        session.scalars(select(Author)).all()
        with capture("slice") as recording:
            total = count_books(session)
        recordings.append(recording)
        return total

    async with in_process(app) as client:
        response = await client.get("/count")
        whole = await record_of(client, response)

    assert recordings[0].record.query_count == 5
    assert whole["request"]["query_count"] == 6


async def test_around_a_client_it_records_each_call_and_what_stands_between(session) -> None:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)

    @app.get("/count")
    async def count() -> int:
        return count_books(session)

    async with in_process(app) as client, capture("both calls") as recording:
        await client.get("/count")
        session.expire_all()
        session.scalars(select(Author.id)).all()
        await client.get("/count")

    assert recording.record.query_count == 5 + 1 + 5


async def test_concurrent_captures_do_not_mix(session) -> None:
    async def one(name: str, statements: int) -> int:
        async with capture(name) as recording:
            for _ in range(statements):
                session.scalar(select(Author.id).limit(1))
                await asyncio.sleep(0)
        return recording.record.query_count

    counts = await asyncio.gather(one("a", 2), one("b", 3))

    assert counts == [2, 3]


def test_switched_off_it_records_nothing(monkeypatch) -> None:
    monkeypatch.setattr(wiring, "_LATEST", [])
    monkeypatch.setenv("FASTAPI_DIAGNOSTICS", "0")

    with capture("off") as recording:
        pass

    assert recording.record is None
    assert recording.findings == ()
