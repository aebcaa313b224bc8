"""SQL201 through the real library, with aiosqlite."""

import gc
import threading
from collections.abc import Iterator
from typing import Annotated

import msgspec
import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.exc import MissingGreenlet, StatementError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, defer, selectinload
from sqlalchemy.pool import NullPool

from fastapi_diagnostics.collectors import response_diff
from tests.collectors.recorded_calls import call
from tests.rules.sql.shop import (
    Author,
    Recording,
    line_of,
    recorded,
    recorded_async,
    sync_engine,
)

pytestmark = [
    # MissingGreenlet leaves a coroutine of the driver unawaited and, with pre-ping, a connection
    # behind; that is the defect's doing and happens without us as well.
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


LOADED = select(Author).options(selectinload(Author.books))


async def never(s):
    author = (await s.scalars(select(Author))).first()  # fetched without books
    return author.books  # never loaded


async def by_get(s):
    author = await s.get(Author, 1)
    return author.books


async def deferred(s):
    author = (await s.scalars(select(Author).options(defer(Author.name)))).first()
    return author.name


async def committed(s):
    author = (await s.scalars(LOADED)).first()
    await s.commit()  # expires
    return author.name


async def committed_before_the_books(s):
    author = (await s.scalars(select(Author))).first()
    await s.commit()
    return author.books


async def refreshed(s):
    author = (await s.scalars(select(Author))).first()
    await s.commit()
    await s.refresh(author)  # refresh
    return author.books  # after refresh


async def added(s):
    author = Author(name="new")
    s.add(author)
    await s.flush()
    return author.books


async def added_and_refreshed(s):
    author = Author(name="new")
    s.add(author)
    await s.commit()
    await s.refresh(author)
    return author.books


def failed(database, use, **options):
    recording = recorded_async(database, use, raises=(StatementError, MissingGreenlet), **options)
    (finding,) = recording.findings()
    assert finding.rule == "SQL201"
    assert (finding.severity, finding.confidence) == ("error", "proven")
    assert finding.subject == "exceptions[0]"
    assert recording.record.lazy_failures[0].exception == 0
    return finding


@pytest.mark.parametrize("pool", [{}, {"poolclass": NullPool}, {"pool_pre_ping": True}])
@pytest.mark.parametrize(
    ("use", "attribute", "cause", "code"),
    [
        (
            never,
            "Author.books",
            "never-loaded",
            "select(Author).options(selectinload(Author.books))",
        ),
        (by_get, "Author.books", "never-loaded", "options=[selectinload(Author.books)]"),
        (deferred, "Author.name", "never-loaded", "select(Author).options(undefer(Author.name))"),
        (
            committed,
            "Author.name",
            "expired-by-commit",
            "async_sessionmaker(engine, expire_on_commit=False)",
        ),
        (
            committed_before_the_books,
            "Author.books",
            "expired-by-commit",
            'await session.refresh(author, ["books"])',
        ),
        (
            refreshed,
            "Author.books",
            "refreshed-without-relationship",
            'await session.refresh(author, ["books"])',
        ),
        (added, "Author.books", "never-loaded", 'await session.refresh(author, ["books"])'),
        (
            added_and_refreshed,
            "Author.books",
            "refreshed-without-relationship",
            'await session.refresh(author, ["books"])',
        ),
    ],
)
def test_each_cause_is_told_apart(database, use, attribute, cause, code, pool):
    finding = failed(database, use, **pool)

    assert finding.evidence["attribute"] == attribute
    assert finding.evidence["cause"] == cause
    assert finding.fix.code == code


def test_lines_of_the_read_and_of_the_cause_are_right(database, tmp_path):
    first = failed(database, never)
    second = failed(tmp_path / "2.db", committed)
    third = failed(tmp_path / "3.db", refreshed)

    assert first.location.line == line_of("never loaded", __file__)
    assert first.fix.location.line == line_of("fetched without books", __file__)
    assert first.evidence["cause_location"] is None
    assert second.evidence["cause_location"].line == line_of("expires", __file__)
    assert third.location.line == line_of("after refresh", __file__)
    assert third.evidence["cause_location"].line == line_of("refresh", __file__)
    assert third.fix.location == third.evidence["cause_location"]


def test_mended_twins_are_clean(database, tmp_path):
    async def loaded(s):
        return (await s.scalars(LOADED)).first().books

    async def named(s):
        author = (await s.scalars(select(Author))).first()
        await s.commit()
        await s.refresh(author)
        await s.refresh(author, ["books"])
        return author.books, author.name

    assert recorded_async(database, loaded).codes == []
    assert recorded_async(tmp_path / "2.db", named).codes == []


def test_a_statement_run_without_greenlet_is_not_a_lazy_load(database):
    async def use(s):
        s.sync_session.execute(select(Author))

    recording = recorded_async(database, use, raises=(StatementError, MissingGreenlet))

    assert recording.record.lazy_failures == ()
    assert recording.codes == []


def test_an_error_that_was_caught_is_a_note(database):
    async def use(s):
        try:
            await never(s)
        except (StatementError, MissingGreenlet):
            return

    record = recorded_async(database, use).record
    (finding,) = Recording(msgspec.structs.replace(record, status=200)).findings()

    assert finding.severity == "info"
    assert finding.subject == ""
    assert "caught" in finding.message


class BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    title: str


class AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str
    books: list[BookOut]


def test_a_response_model_that_fails_is_explained(database, hooks):
    response_diff.install(hooks)
    app = FastAPI()

    async def new_session():
        engine = create_async_engine(f"sqlite+aiosqlite:///{database}")
        async with AsyncSession(engine) as session:
            yield session
        await engine.dispose()

    @app.get("/", response_model=AuthorOut)
    async def author(session: Annotated[AsyncSession, Depends(new_session)]) -> object:
        return await session.scalar(select(Author))  # served

    with sync_engine(str(database)):
        recording = Recording(call(app, "/").record)

    (finding,) = recording.findings("SQL201")
    assert recording.record.exceptions[0].type.endswith("ResponseValidationError")
    assert finding.subject == "exceptions[0]"
    assert finding.location.line == line_of("served", __file__)
    assert finding.evidence["response_field"] == "books"
    assert finding.evidence["phase"] == "serialisation"
    assert finding.evidence["cause"] == "never-loaded"


def test_a_lazy_load_while_serialising_blames_the_parents_query(database, hooks):
    response_diff.install(hooks)
    app = FastAPI()

    with sync_engine(str(database)) as engine, Session(engine) as session:

        @app.get("/lazy", response_model=list[AuthorOut])
        def lazy() -> object:
            return session.scalars(select(Author)).all()  # query of the response

        @app.get("/eager", response_model=list[AuthorOut])
        def eager() -> object:
            session.expunge_all()
            return session.scalars(LOADED).all()

        guilty = Recording(call(app, "/lazy").record)
        mended = Recording(call(app, "/eager").record)

    (finding,) = guilty.findings()
    assert finding.rule == "SQL101"
    assert finding.location.line == line_of("query of the response", __file__)
    assert finding.evidence["phase"] == "serialisation"
    assert finding.evidence["response_field"] == "books"
    assert mended.codes == []


def test_sync_sessions_never_come_here(engine):
    assert recorded(engine, lambda s: s.get(Author, 1).books).findings("SQL201") == []


def test_a_deferring_option_has_to_make_way_by_hand(database):
    async def use(s):
        author = (await s.scalars(select(Author).options(defer(Author.name)))).first()
        return author.name

    raises = (StatementError, MissingGreenlet)
    (finding,) = recorded_async(database, use, raises=raises).findings("SQL201")

    assert not finding.fix.mechanical
    assert "takes the place of the defer()" in finding.fix.summary
