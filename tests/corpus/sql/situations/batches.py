"""Rows looked up in batches, by words, under locks, in threads, by recursion."""

import asyncio

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from tests.corpus.sql.shop.database import (
    AsyncDb,
    Db,
    new_session,
)
from tests.corpus.sql.shop.models import (
    Book,
    Category,
    Job,
    Review,
    User,
)

router = APIRouter()


# situation: chunks-as-one-value (clean, like SQL103)
@router.get("/chunks-as-one-value")
async def chunks_as_one_value(session: AsyncDb) -> list[str]:
    on_postgres = session.bind.dialect.name == "postgresql"
    rows = "unnest(cast(:ids as int[]))" if on_postgres else "json_each(:ids)"
    number = "unnest" if on_postgres else "value"
    chosen = f"(SELECT {number} FROM {rows})"  # noqa: S608
    titles: list[str] = []
    for start in (1, 4, 7):
        ids = list(range(start, start + 3))
        query = text(f"SELECT title FROM book WHERE id IN {chosen} ORDER BY id")  # noqa: S608
        titles += await session.scalars(query, {"ids": ids if on_postgres else str(ids)})
    return titles


# situation: chunks-of-pairs (clean, like SQL103)
@router.get("/chunks-of-pairs")
async def chunks_of_pairs(session: AsyncDb) -> int:
    pairs = [(number, 3) for number in range(1, 13)]
    found = 0
    for start in range(0, 12, 4):
        chunk = pairs[start : start + 4]
        query = select(Review).where(tuple_(Review.book_id, Review.stars).in_(chunk))
        found += len((await session.scalars(query)).all())
    return found


# situation: read-over-what-is-there (clean, like SQL105)
@router.get("/read-over-what-is-there")
async def read_over_what_is_there(session: AsyncDb) -> bool:
    query = select(Job).where(Job.id == 1)
    before = (await session.scalars(query)).one().state
    await asyncio.sleep(0)  # others work meanwhile
    again = await session.scalars(query.execution_options(populate_existing=True))
    return again.one().state == before


# situation: asked-for-what-is-not-there
@router.get("/asked-for-what-is-not-there")
async def asked_for_what_is_not_there(session: AsyncDb) -> int:
    missing = 0
    for _ in range(4):
        missing += await session.get(User, 999) is None  # expect: SQL105 warning
    return missing


# situation: asked-once-for-nothing (clean, like SQL105, mends asked-for-what-is-not-there)
@router.get("/asked-once-for-nothing")
async def asked_once_for_nothing(session: AsyncDb) -> int:
    user = await session.get(User, 999)
    return sum(user is None for _ in range(4))


# situation: may-they-see
async def is_reviewed(session: AsyncSession, book: Book) -> bool:
    query = select(func.count()).select_from(Review).where(Review.book_id == book.id)
    return await session.scalar(query) > 0


@router.get("/may-they-see")
async def may_they_see(session: AsyncDb) -> list[str]:
    books = (await session.scalars(select(Book).order_by(Book.id))).all()
    return [book.title for book in books if await is_reviewed(session, book)]  # expect: SQL103


# situation: what-they-may-see (clean, like SQL103, mends may-they-see)
@router.get("/what-they-may-see")
async def what_they_may_see(session: AsyncDb) -> list[str]:
    query = select(Book.title).where(Book.reviews.any()).order_by(Book.id)
    return list(await session.scalars(query))


# situation: looked-up-under-a-lock
async def owner_of(session: AsyncSession, lock: asyncio.Lock, number: int) -> str:
    async with lock:
        query = select(User.name).where(User.id == number)
        return await session.scalar(query)  # expect: SQL103


@router.get("/looked-up-under-a-lock")
async def looked_up_under_a_lock(session: AsyncDb) -> list[str]:
    lock = asyncio.Lock()
    return await asyncio.gather(*(owner_of(session, lock, number) for number in (1, 2, 3, 4)))


# situation: names-at-once (clean, like SQL103, mends looked-up-under-a-lock)
@router.get("/names-at-once")
async def names_at_once(session: AsyncDb) -> list[str]:
    query = select(User.name).where(User.id.in_((1, 2, 3, 4))).order_by(User.id)
    return list(await session.scalars(query))


# situation: one-thread-after-another
def stock_in_thread(number: int) -> int:
    with new_session() as session:
        return session.get_one(Book, number).stock


@router.get("/one-thread-after-another")
async def one_thread_after_another() -> list[int]:
    numbers = (1, 2, 3, 4)
    return [await run_in_threadpool(stock_in_thread, n) for n in numbers]  # expect: SQL103


# situation: one-thread-for-all (clean, like SQL103, mends one-thread-after-another)
def stocks_in_thread(numbers: tuple[int, ...]) -> list[int]:
    with new_session() as session:
        query = select(Book.stock).where(Book.id.in_(numbers)).order_by(Book.id)
        return list(session.scalars(query))


@router.get("/one-thread-for-all")
async def one_thread_for_all() -> list[int]:
    return await run_in_threadpool(stocks_in_thread, (1, 2, 3, 4))


# situation: tried-until-it-answers (clean, like SQL105)
def books_of(attempt: int) -> int:
    with new_session() as session:
        found = len(session.scalars(select(Book).where(Book.author_id == 1)).all())
        if attempt < 2:
            raise ConnectionError
        return found


@router.get("/tried-until-it-answers")
def tried_until_it_answers() -> int:
    for attempt in range(3):
        try:
            return books_of(attempt)
        except ConnectionError:
            continue
    return 0


# situation: one-search-per-word (clean, like SQL103)
@router.get("/one-search-per-word")
async def one_search_per_word(session: AsyncDb) -> list[int]:
    found: set[int] = set()
    for word in ("title 1", "TITLE 2", "none", "5"):
        found.update(await session.scalars(select(Book.id).where(Book.title.ilike(f"%{word}%"))))
    return sorted(found)


# situation: found-whatever-the-case
@router.get("/found-whatever-the-case")
async def found_whatever_the_case(session: AsyncDb) -> list[int]:
    found = []
    for email in ("U1@example.org", "U2@example.org", "u3@example.org"):
        query = select(User.id).where(func.lower(User.email) == func.lower(email))
        found.append(await session.scalar(query))  # expect: SQL103
    return found


# situation: found-in-lower-case (clean, like SQL103, mends found-whatever-the-case)
@router.get("/found-in-lower-case")
async def found_in_lower_case(session: AsyncDb) -> list[int]:
    emails = [email.lower() for email in ("U1@example.org", "U2@example.org", "u3@example.org")]
    query = select(User.id).where(func.lower(User.email).in_(emails)).order_by(User.id)
    return list(await session.scalars(query))


# situation: walked-by-queries
def size_below(session: Session, category_id: int) -> int:
    query = select(Category.id).where(Category.parent_id == category_id)
    keys = session.scalars(query).all()
    return 1 + sum(size_below(session, key) for key in keys)  # expect: SQL103


@router.get("/walked-by-queries")
def walked_by_queries(session: Db) -> int:
    return size_below(session, 1)


# situation: walked-in-the-database (clean, like SQL103, mends walked-by-queries)
@router.get("/walked-in-the-database")
def walked_in_the_database(session: Db) -> int:
    top = select(Category.id).where(Category.id == 1).cte(recursive=True)
    tree = top.union_all(select(Category.id).join(top, Category.parent_id == top.c.id))
    return session.scalar(select(func.count()).select_from(tree))
