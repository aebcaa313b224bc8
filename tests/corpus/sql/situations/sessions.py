# ruff: noqa: S608 - a constant
"""Sessions and connections: shared, waited for, held, left open, used too late, not committed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from tests.corpus.sql.shop.database import (
    AsyncDb,
    Db,
    forgotten,
    new_async_session,
    new_narrow_session,
    new_session,
)
from tests.corpus.sql.shop.models import Author, Book, Tag, User

router = APIRouter()


# situation: detached
def author_by_id(author_id: int) -> Author:
    with new_session() as session:
        return session.scalars(select(Author).where(Author.id == author_id)).one()


@router.get("/detached")
def detached() -> list[str]:
    author = author_by_id(1)
    return [book.title for book in author.books]  # expect: SQL202 Author.books


# situation: detached-but-loaded (clean, like SQL202)
def book_by_id(book_id: int) -> Book:
    with new_session() as session:
        query = select(Book).where(Book.id == book_id).options(joinedload(Book.publisher))
        return session.scalars(query).one()


@router.get("/detached-but-loaded")
def detached_but_loaded() -> str:
    return book_by_id(1).publisher.name


# situation: shared-session
@router.get("/shared-session")
async def shared_session(session: AsyncDb) -> list[int]:
    await session.execute(text("SELECT 1"))  # from here on it has its connection
    counts = await asyncio.gather(  # expect: SQL203
        session.scalar(text(f"{LONG} SELECT count(*) FROM book, numbers")),
        session.scalar(text(f"{LONG} SELECT count(*) FROM author, numbers")),
    )
    return list(counts)


LONG = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 500)"


# situation: sessions-apart (clean, like SQL203)
async def names_of(model: type[Author] | type[Tag]) -> list[str]:
    async with new_async_session() as session:
        return list(await session.scalars(select(model.name).order_by(model.id)))


@router.get("/sessions-apart")
async def sessions_apart() -> list[list[str]]:
    return await asyncio.gather(names_of(Author), names_of(Tag))


# situation: pool-of-one (times 3)
@router.get("/pool-of-one")
async def pool_of_one() -> str:
    async with new_narrow_session() as session:
        user = await session.get_one(User, 1)  # expect: SQL301
        await asyncio.sleep(0.12)
        return user.name


# situation: wide-enough (clean, like SQL301, times 3)
@router.get("/wide-enough")
async def wide_enough() -> str:
    async with new_async_session() as session:
        user = await session.get_one(User, 1)
        await asyncio.sleep(0.12)
        return user.name


# situation: held-while-waiting
@router.get("/held-while-waiting")
async def held_while_waiting(session: AsyncDb) -> str:
    user = await session.get_one(User, 1)
    await asyncio.sleep(0.45)  # expect: SQL302
    return user.name


# situation: given-back-before-waiting (clean, like SQL302)
@router.get("/given-back-before-waiting")
async def given_back_before_waiting() -> str:
    async with new_async_session() as session:
        user = await session.get_one(User, 1)
    await asyncio.sleep(0.45)
    return user.name


# situation: left-open
@router.get("/left-open")
def left_open() -> list[str]:
    session = new_session()  # expect: SQL303
    forgotten.append(session)
    return list(session.scalars(select(Author.name).order_by(Author.id)))


# situation: closed-by-hand (clean, like SQL303)
@router.get("/closed-by-hand")
def closed_by_hand() -> list[str]:
    session = new_session()
    try:
        return list(session.scalars(select(Author.name).order_by(Author.id)))
    finally:
        session.close()


# situation: session-in-background
async def write_tag(session: AsyncSession, name: str) -> None:
    session.add(Tag(name=name))
    await session.flush()  # expect: SQL304
    forgotten.append(session)


@router.post("/session-in-background")
async def session_in_background(tasks: BackgroundTasks) -> str:
    async with new_async_session() as session:
        await session.get_one(User, 1)
        tasks.add_task(write_tag, session, "late")
    return "accepted"


# situation: own-session-in-background (clean, like SQL304)
async def write_own_tag(name: str) -> None:
    async with new_async_session() as session:
        session.add(Tag(name=name))
        await session.commit()


@router.post("/own-session-in-background")
async def own_session_in_background(tasks: BackgroundTasks) -> str:
    tasks.add_task(write_own_tag, "late")
    return "accepted"


# situation: sync-on-the-loop
@router.get("/sync-on-the-loop")
async def sync_on_the_loop(session: Db) -> list[str]:
    return list(session.scalars(select(Author.name).order_by(Author.id)))  # expect: SQL305


# situation: sync-in-a-thread (clean, like SQL305)
@router.get("/sync-in-a-thread")
def sync_in_a_thread(session: Db) -> list[str]:
    return list(session.scalars(select(Author.name).order_by(Author.id)))


# situation: never-committed
@router.post("/never-committed")
async def never_committed(session: AsyncDb) -> str:
    session.add(Tag(name="lost"))
    await session.flush()  # expect: SQL306
    return "stored"


# situation: rolled-back-on-purpose (clean, like SQL306)
@router.post("/rolled-back-on-purpose")
async def rolled_back_on_purpose(session: AsyncDb) -> str:
    session.add(Tag(name="tried"))
    await session.flush()
    await session.rollback()
    return "it would work"


# situation: committed (clean, like SQL306)
@router.post("/committed")
async def committed(session: AsyncDb) -> str:
    session.add(Tag(name="kept"))
    await session.commit()
    return "stored"


# situation: commit-after-response
async def committing_session() -> AsyncIterator[AsyncSession]:
    async with new_async_session() as session:
        yield session
        await session.commit()  # expect: SQL307


@router.post("/commit-after-response")
async def commit_after_response(
    session: Annotated[AsyncSession, Depends(committing_session)],
) -> str:
    session.add(Tag(name="tag 1"))  # there is one with this name
    return "stored"


# situation: commit-after-response-succeeds (clean, like SQL307)
@router.post("/commit-after-response-succeeds")
async def commit_after_response_succeeds(
    session: Annotated[AsyncSession, Depends(committing_session)],
) -> str:
    await session.execute(insert(Tag).values(name="a new one"))
    return "stored"
