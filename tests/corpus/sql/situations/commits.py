"""Drivers on the loop, commits, rows and websockets: the careful ones beside the careless ones."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, WebSocket
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, joinedload, selectinload

from tests.corpus.sql.shop.database import (
    AsyncDb,
    Db,
    new_async_session,
    new_impatient_session,
    new_narrow_session,
    new_session,
)
from tests.corpus.sql.shop.models import Author, Book, LogEntry, Tag, User

router = APIRouter()


class AwardOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    author_id: int


class AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    country: str
    awards: list[AwardOut]


# situation: sync-in-async-dependency
async def first_user(session: Db) -> str:
    return session.get_one(User, 1).name  # expect: SQL305


@router.get("/sync-in-async-dependency")
async def sync_in_async_dependency(name: Annotated[str, Depends(first_user)]) -> str:
    return name


# situation: sync-in-threadpool (clean, like SQL305)
def count_users() -> int:
    with new_session() as session:
        return session.scalar(select(func.count()).select_from(User))


@router.get("/sync-in-threadpool")
async def sync_in_threadpool() -> int:
    return await run_in_threadpool(count_users)


# situation: sync-by-run-sync (clean, like SQL305)
def count_authors(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Author))


@router.get("/sync-by-run-sync")
async def sync_by_run_sync(session: AsyncDb) -> int:
    return await session.run_sync(count_authors)


# situation: core-never-committed
@router.post("/core-never-committed")
def core_never_committed(session: Db) -> str:
    session.execute(insert(Tag).values(name="lost"))  # expect: SQL306
    return "stored"


# situation: begin-commits (clean, like SQL306)
@router.post("/begin-commits")
def begin_commits() -> str:
    with new_session() as session, session.begin():
        session.execute(insert(Tag).values(name="kept"))
    return "stored"


# situation: nothing-changed (clean, like SQL306)
@router.post("/nothing-changed")
def nothing_changed(session: Db) -> str:
    session.execute(update(Tag).where(Tag.name == "no such tag").values(name="x"))
    return "nothing to do"


# situation: refused-and-rolled-back (clean, like SQL306)
@router.post("/refused-and-rolled-back")
async def refused_and_rolled_back(session: AsyncDb) -> str:
    try:
        async with session.begin_nested():
            session.add(Tag(name="tag 1"))  # there is one with this name
    except IntegrityError:
        return "taken"
    await session.commit()
    return "stored"


# situation: sync-commit-after-response
def committing(session: Db):
    yield session
    session.commit()  # expect: SQL307


@router.post("/sync-commit-after-response")
def sync_commit_after_response(session: Annotated[Session, Depends(committing)]) -> str:
    session.add(Tag(name="tag 1"))  # there is one with this name
    return "stored"


# situation: flushed-before-response (clean, like SQL307)
async def committing_later() -> AsyncIterator[AsyncSession]:
    async with new_async_session() as session:
        yield session
        await session.commit()


@router.post("/flushed-before-response")
async def flushed_before_response(
    session: Annotated[AsyncSession, Depends(committing_later)],
) -> str:
    session.add(Tag(name="tag 1"))
    try:
        await session.flush()
    except IntegrityError:
        await session.rollback()
        return "taken"
    return "stored"


# situation: committed-before-waiting (clean, like SQL302)
@router.post("/committed-before-waiting")
async def committed_before_waiting(session: AsyncDb) -> str:
    user = await session.get_one(User, 1)
    await session.commit()
    await asyncio.sleep(0.3)
    return user.name


# situation: short-turns (clean, like SQL301, times 3)
@router.get("/short-turns")
async def short_turns() -> str:
    async with new_narrow_session() as session:
        return (await session.get_one(User, 1)).name


# situation: two-collections-of-books
@router.get("/two-collections-of-books")
def two_collections_of_books(session: Db) -> int:
    query = select(Book).options(joinedload(Book.reviews), joinedload(Book.tags))
    books = session.scalars(query).unique().all()  # expect: SQL108 info
    return sum(len(book.reviews) * len(book.tags) for book in books)


# situation: joined-chain (clean, like SQL108)
@router.get("/joined-chain")
def joined_chain(session: Db) -> int:
    query = select(Author).options(joinedload(Author.books).joinedload(Book.reviews))
    authors = session.scalars(query).unique().all()
    return sum(len(book.reviews) for author in authors for book in author.books)


# situation: core-reads-everything
@router.get("/core-reads-everything")
async def core_reads_everything(session: AsyncDb) -> int:
    query = text("SELECT id, text FROM log_entry")
    rows = (await session.execute(query)).all()  # expect: SQL109 info
    return len(rows)


# situation: counted-in-sql (clean, like SQL109)
@router.get("/counted-in-sql")
async def counted_in_sql(session: AsyncDb) -> int:
    return await session.scalar(select(func.count()).select_from(LogEntry))


# situation: eager-read-by-response (clean, like SQL107)
@router.get("/eager-read-by-response", response_model=AuthorOut)
async def eager_read_by_response(session: AsyncDb):
    return await session.get_one(Author, 1, options=[selectinload(Author.awards)])


# situation: eager-read-in-background (clean, like SQL107)
def recount(author: Author) -> None:
    print(end=" " * 0 * len(author.awards))


@router.post("/eager-read-in-background")
async def eager_read_in_background(session: AsyncDb, tasks: BackgroundTasks) -> str:
    author = await session.get_one(Author, 1, options=[selectinload(Author.awards)])
    tasks.add_task(recount, author)
    return "accepted"


# situation: response-drops-eager
class NameOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    country: str


@router.get("/response-drops-eager", response_model=list[NameOut])
def response_drops_eager(session: Db):  # expect: RES102
    query = select(Author).options(selectinload(Author.awards)).order_by(Author.id)
    return session.scalars(query).all()


# situation: first-of-a-list (clean, like SQL110, select SQL110)
@router.get("/first-of-a-list")
def first_of_a_list(session: Db) -> list[str]:
    author = session.scalars(select(Author).order_by(Author.name).limit(1)).one()
    return [book.title for book in author.books]


# situation: one-by-its-name (clean, like SQL110, select SQL110)
@router.get("/one-by-its-name")
def one_by_its_name(session: Db) -> str:
    book = session.scalars(select(Book).where(Book.title == "title 3")).one()
    return book.author.name


# situation: websocket-lookups
@router.websocket("/websocket-lookups")
async def websocket_lookups(websocket: WebSocket) -> None:
    await websocket.accept()
    async with new_async_session() as session:
        async for message in websocket.iter_text():
            first = int(message)
            for number in (first, first + 3, first + 6):
                book = await session.get_one(Book, number)  # expect: SQL103
                await websocket.send_text(book.title)


# situation: websocket-one-query-per-message (clean, like SQL103, mends websocket-lookups)
@router.websocket("/websocket-one-query-per-message")
async def websocket_one_query_per_message(websocket: WebSocket) -> None:
    await websocket.accept()
    async with new_async_session() as session:
        async for message in websocket.iter_text():
            first = int(message)
            query = select(Book).where(Book.id.in_((first, first + 3, first + 6))).order_by(Book.id)
            for book in (await session.scalars(query)).all():
                await websocket.send_text(book.title)


# situation: thread-sleeps-with-connection
@router.get("/thread-sleeps-with-connection")
def thread_sleeps_with_connection(session: Db) -> str:
    user = session.get_one(User, 1)
    time.sleep(0.45)  # expect: SQL302
    return user.name


# situation: changes-wait-for-others
@router.post("/changes-wait-for-others")
async def changes_wait_for_others(session: AsyncDb) -> str:
    await session.execute(update(Book).where(Book.id == 1).values(stock=1))
    await asyncio.sleep(0.45)  # expect: SQL302 error
    await session.commit()
    return "stored"


# situation: pool-gives-up (times 2)
@router.get("/pool-gives-up")
async def pool_gives_up() -> str:
    async with new_impatient_session() as session:
        user = await session.get_one(User, 1)  # expect: SQL301
        await asyncio.sleep(0.25)  # expect: SQL302
        return user.name


# situation: two-sessions-in-turn (clean, like SQL301)
@router.get("/two-sessions-in-turn")
async def two_sessions_in_turn() -> list[str]:
    names = []
    for user_id in (1, 2):
        async with new_narrow_session() as session:
            names.append((await session.get_one(User, user_id)).name)
    return names


# situation: latent-in-response (select SQL110, undecided: while the response is made are passed)
@router.get("/latent-in-response", response_model=list[AuthorOut])
def latent_in_response(session: Db):
    query = select(Author).where(Author.name.like("%7"))
    return session.scalars(query).all()  # expect: SQL110 Author.awards


# situation: same-user-in-three-helpers
def name_of(session: Session) -> str:
    return session.scalar(select(User.name).where(User.id == 1))


def mail_of(session: Session) -> str:
    return session.scalar(select(User.email).where(User.id == 1))


@router.get("/same-user-in-three-helpers")
def same_user_in_three_helpers(session: Db) -> list[str]:
    first = name_of(session)
    mail = mail_of(session)
    second = name_of(session)  # expect: SQL105 info
    return [first, mail, second]


# situation: name-handed-on (clean, like SQL105, mends same-user-in-three-helpers)
@router.get("/name-handed-on")
def name_handed_on(session: Db) -> list[str]:
    name = name_of(session)
    return [name, mail_of(session), name]


# situation: websocket-asks-again
@router.websocket("/websocket-asks-again")
async def websocket_asks_again(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()
    async with new_async_session() as session:
        for number in range(3):
            query = select(User.name).where(User.id == 1)
            name = await session.scalar(query)  # expect: SQL105 warning
            await websocket.send_text(f"{name} {number}")


# situation: websocket-asks-once (clean, like SQL105, mends websocket-asks-again)
@router.websocket("/websocket-asks-once")
async def websocket_asks_once(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()
    async with new_async_session() as session:
        name = await session.scalar(select(User.name).where(User.id == 1))
        for number in range(3):
            await websocket.send_text(f"{name} {number}")


# situation: expired-in-response
class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    email: str


@router.post("/expired-in-response", response_model=list[UserOut])
def expired_in_response(session: Db):
    users = session.scalars(select(User).order_by(User.id)).all()
    for user in users:
        user.name = user.name.title()
    session.commit()  # expect: SQL102 User
    return users


# situation: kept-in-response (clean, like SQL102, mends expired-in-response)
@router.post("/kept-in-response", response_model=list[UserOut])
def kept_in_response():
    with new_session(expire_on_commit=False) as session:
        users = session.scalars(select(User).order_by(User.id)).all()
        for user in users:
            user.name = user.name.title()
        session.commit()
        return users
