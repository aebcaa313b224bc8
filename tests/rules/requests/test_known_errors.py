"""Well-known errors, raised by the libraries themselves, say what mends them."""

import asyncio
import datetime as dt
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import ForeignKey, Select, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import StaticPool

from fastapi_diagnostics.collectors import fastapi as fastapi_collector
from fastapi_diagnostics.collectors import response_diff
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.finding import Fix
from fastapi_diagnostics.record import ExceptionFact
from fastapi_diagnostics.rules._known_errors import known_fix
from fastapi_diagnostics.rules.requests.unhandled_exception import check
from tests.collectors.fastapi_recording import HERE, Recording
from tests.installed import installed


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(fastapi_collector, response_diff, root=HERE.parent) as hooks:
        yield hooks


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "known_book"
    id: Mapped[int] = mapped_column(primary_key=True)
    isbn: Mapped[str] = mapped_column(unique=True)
    shelf: Mapped[int | None] = mapped_column(ForeignKey("known_book.id"))


async def a_session() -> AsyncIterator[AsyncSession]:
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    try:
        async with AsyncSession(engine) as session:
            await session.execute(text("PRAGMA foreign_keys=ON"))
            await session.run_sync(lambda plain: Base.metadata.create_all(plain.connection()))
            yield session
    finally:
        await engine.dispose()


Db = Annotated[AsyncSession, Depends(a_session)]


def fix_of(endpoint: Callable[..., Any]) -> Fix:
    app = FastAPI()
    app.add_api_route("/", endpoint, response_model=None)
    recording = Recording(app)
    recording.client().get("/")
    (found,) = check(recording.last)
    assert found.fix is not None
    return found.fix


async def work() -> int:
    return 1


async def another_loop() -> int:
    coroutine = work()
    try:
        return asyncio.run(coroutine)
    finally:
        coroutine.close()


async def the_same_loop_again() -> int:
    coroutine = work()
    try:
        return asyncio.get_running_loop().run_until_complete(coroutine)
    finally:
        coroutine.close()


def a_task_in_a_thread() -> None:
    coroutine = work()
    try:
        asyncio.create_task(coroutine)  # noqa: RUF006 - none is made
    finally:
        coroutine.close()


def a_loop_in_a_thread() -> Any:
    return asyncio.get_event_loop()


def a_closed_loop() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    loop.call_soon(print)


def a_lock_of_two_loops() -> None:
    lock = asyncio.Lock()

    async def hold() -> None:
        async with lock:
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(hold(), hold())

    asyncio.run(both())
    asyncio.run(both())


async def nothing_to_await(session: Db) -> None:
    await session.add(Book(isbn="1"))  # type: ignore[func-returns-value]


async def nothing_asynchronous(session: Db) -> list[Any]:
    return [row async for row in await session.execute(select(Book))]  # type: ignore[attr-defined]


async def no_manager() -> None:
    async with a_session():  # type: ignore[attr-defined]
        pass


def numbers() -> Iterator[int]:
    yield 1


def no_plain_manager() -> None:
    with numbers():  # type: ignore[attr-defined]
        pass


async def a_moment() -> JSONResponse:
    return JSONResponse({"at": dt.datetime(2026, 11, 22, tzinfo=dt.UTC)})


async def a_function() -> str:
    return json.dumps({"work": work})


async def nobody(session: Db) -> str:
    book = await session.get(Book, 99)
    return book.isbn  # type: ignore[union-attr]


async def no_mapping() -> int:
    prices: Any = None
    return int(prices["momo"])


async def an_old_query(session: Db) -> Any:
    return session.query(Book).all()  # type: ignore[attr-defined]


class Friend:
    def __init__(self) -> None:
        self.friend = self


async def a_circle() -> Friend:
    return Friend()


async def the_same_twice(session: Db) -> None:
    session.add_all([Book(isbn="1"), Book(isbn="1")])
    await session.flush()


async def no_partner(session: Db) -> None:
    session.add(Book(isbn="1", shelf=7))
    await session.flush()


async def no_value(session: Db) -> None:
    session.add(Book())
    await session.flush()


async def not_rolled_back(session: Db) -> None:
    try:
        await the_same_twice(session)
    except Exception:  # noqa: BLE001 - the defect
        query: Select[Any] = select(Book)
        await session.execute(query)


async def nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    async with httpx.AsyncClient() as client:
        await client.get(f"http://127.0.0.1:{port}/")


async def swallowing() -> AsyncIterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the defect
        del error


async def swallowed(_: Annotated[None, Depends(swallowing)]) -> None:
    raise ValueError("of the endpoint")


async def refused() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(500))
    async with httpx.AsyncClient(transport=transport) as client:
        (await client.get("http://shop/")).raise_for_status()


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        (another_loop, "A loop is running here already"),
        (the_same_loop_again, "A loop is running here already"),
        (a_task_in_a_thread, "make the endpoint `async def`"),
        (a_loop_in_a_thread, "make the endpoint `async def`"),
        (a_closed_loop, "belongs to another event loop, or to one that is closed"),
        (a_lock_of_two_loops, "belongs to another event loop"),
        (nothing_to_await, "gives None at once and is no coroutine: leave out await"),
        (nothing_asynchronous, "leave out async"),
        (no_manager, "`asynccontextmanager(name)()`"),
        (no_plain_manager, "`contextmanager(name)()`"),
        (a_moment, "JSON has no datetime: `jsonable_encoder`"),
        (a_function, "its parentheses are missing"),
        (nobody, "answer 404 before this line"),
        (no_mapping, "Something is None here"),
        (an_old_query, "AsyncSession has no query()"),
        (a_circle, "leave out one of the two directions"),
        (the_same_twice, "answer 409"),
        (no_partner, "The row that is referred to is not there"),
        (no_value, "A column that needs a value was given none"),
        (not_rolled_back, "call `rollback()` there"),
        (nobody_listens, "answer 502 or 504"),
        (swallowed, "put `raise` at the end of its `except` block"),
        (refused, "catch `httpx.HTTPStatusError` here"),
    ],
)
def test_the_error_of_the_library_says_what_mends_it(endpoint, words) -> None:
    assert words in fix_of(endpoint).summary


def test_what_is_left_out_is_named() -> None:
    leave_out, change = fix_of(nothing_to_await), fix_of(nothing_asynchronous)

    assert (leave_out.replaces, leave_out.code) == ("await ", "")
    assert (change.replaces, change.code) == ("async for ", "for ")


@pytest.mark.parametrize(
    ("type_", "message", "words"),
    [
        (
            "sqlalchemy.exc.IntegrityError",
            '(psycopg.errors.UniqueViolation) duplicate key value violates unique constraint "b"',
            "answer 409",
        ),
        (
            "sqlalchemy.exc.IntegrityError",
            '(psycopg.errors.X) insert on table "b" violates foreign key constraint "c"',
            "The row that is referred to",
        ),
        (
            "sqlalchemy.exc.IntegrityError",
            'null value in column "a" of relation "b" violates not-null constraint',
            "A column that needs a value",
        ),
        ("TypeError", "'NoneType' object can't be awaited", "gives None at once"),  # Python 3.14
    ],
)
def test_other_wordings_are_known_as_well(type_, message, words) -> None:
    fix = known_fix(ExceptionFact(type=type_, message=message, phase="endpoint"))

    assert fix is not None
    assert words in fix.summary


@pytest.mark.parametrize(
    ("type_", "message", "phase"),
    [
        ("RuntimeError", "the event loop of history", "endpoint"),
        ("shop.RuntimeError", "no running event loop", "endpoint"),
        ("TypeError", "'Book' object is not subscriptable", "endpoint"),
        ("RecursionError", "maximum recursion depth exceeded", "endpoint"),
        ("sqlalchemy.exc.IntegrityError", "CHECK constraint failed: price", "endpoint"),
        ("KeyError", "'coroutine' object", "endpoint"),
        ("TypeError", "'int' object is not callable", "endpoint"),
    ],
)
def test_what_only_sounds_alike_gets_the_general_advice(type_, message, phase) -> None:
    assert known_fix(ExceptionFact(type=type_, message=message, phase=phase)) is None
