"""Loops over statements that are no lookups row by row: pages, chunks, searches, locks."""

from collections.abc import AsyncIterator

from fastapi import APIRouter
from sqlalchemy import func, select, text

from tests.corpus.sql.shop.database import AsyncDb, Db, new_async_session
from tests.corpus.sql.shop.models import (
    Author,
    Book,
    Customer,
    LogEntry,
    Order,
    Rate,
    Review,
    Tag,
)

router = APIRouter()

BASKET = (3, 5, 7, 11, 13)


# situation: pages (clean, like SQL103)
@router.get("/pages")
def pages(session: Db) -> int:
    total = 0
    for page in range(6):
        query = select(LogEntry.id).order_by(LogEntry.id).limit(200).offset(page * 200)
        total += len(session.scalars(query).all())
    return total


# situation: keyset-pages (clean, like SQL103)
@router.get("/keyset-pages")
def keyset_pages(session: Db) -> int:
    last, total = 0, 0
    while rows := session.scalars(
        select(LogEntry.id).where(LogEntry.id > last).order_by(LogEntry.id).limit(300)
    ).all():
        last, total = rows[-1], total + len(rows)
    return total


# situation: chunked-in (clean, like SQL103)
@router.get("/chunked-in")
def chunked_in(session: Db) -> int:
    ids = list(range(1, 1201))
    total = 0
    for start in range(0, len(ids), 300):
        chunk = ids[start : start + 300]
        total += sum(session.scalars(select(Order.cents).where(Order.id.in_(chunk))))
    return total


# situation: windows (clean, like SQL103)
@router.get("/windows")
def windows(session: Db) -> list[int]:
    sums = []
    for start in range(0, 1200, 200):
        window = Order.id.between(start + 1, start + 200)
        sums.append(session.scalar(select(func.sum(Order.cents)).where(window)))
    return sums


# situation: sender-and-receiver (clean, like SQL103)
@router.get("/sender-and-receiver")
def sender_and_receiver(session: Db) -> list[str]:
    return [session.get_one(Customer, customer_id).email for customer_id in (1, 2)]


# situation: three-named-rows (clean, like SQL103)
@router.get("/three-named-rows")
def three_named_rows(session: Db) -> list[str]:
    author = session.get_one(Author, 1)
    rival = session.get_one(Author, 2)
    friend = session.get_one(Author, 3)
    return [author.name, rival.name, friend.name]


# situation: one-query-per-kind (clean, like SQL103)
@router.get("/one-query-per-kind")
def one_query_per_kind(session: Db) -> list[int]:
    return [
        session.scalar(select(func.count()).select_from(model)) for model in (Author, Book, Tag)
    ]


# situation: up-the-tree (clean, like SQL103)
@router.get("/up-the-tree")
def up_the_tree(session: Db) -> list[str]:
    path = []
    category_id: int | None = 11
    while category_id is not None:
        row = session.execute(
            text("SELECT name, parent_id FROM category WHERE id = :id"), {"id": category_id}
        ).one()
        path.append(row.name)
        category_id = row.parent_id
    return path


# situation: locking-in-order (clean, like SQL103)
@router.post("/locking-in-order")
def locking_in_order(session: Db) -> list[int]:
    stocks = []
    for book_id in sorted(BASKET):  # one after the other, so that no two requests lock crosswise
        book = session.scalars(select(Book).where(Book.id == book_id).with_for_update()).one()
        stocks.append(book.stock)
    return stocks


# situation: first-that-answers (clean, like SQL103)
@router.get("/first-that-answers")
def first_that_answers(session: Db) -> float | None:
    for currency in ("XAU", "XAG", "XPT", "USD"):
        rate = session.get(Rate, currency)
        if rate is not None:
            return rate.per_euro
    return None


# situation: looked-up-per-streamed-row
@router.get("/looked-up-per-streamed-row")
async def looked_up_per_streamed_row(session: AsyncDb) -> int:
    stars = 0
    async with new_async_session() as other:
        async for book in await session.stream_scalars(select(Book).order_by(Book.id)):
            query = select(func.count()).select_from(Review).where(Review.book_id == book.id)
            stars += await other.scalar(query)  # expect: SQL103
    return stars


# situation: streamed-with-its-count (clean, like SQL103, mends looked-up-per-streamed-row)
@router.get("/streamed-with-its-count")
async def streamed_with_its_count(session: AsyncDb) -> int:
    stars = 0
    query = select(Book.id, func.count(Review.id)).join(Book.reviews).group_by(Book.id)
    async for _, count in await session.stream(query):
        stars += count
    return stars


# situation: looked-up-per-message (undecided: unless they go over the rows of a query)
async def messages() -> AsyncIterator[int]:
    for number in (3, 5, 7):
        yield number


@router.get("/looked-up-per-message")
async def looked_up_per_message(session: AsyncDb) -> list[str]:
    titles = []
    async for number in messages():
        query = select(Book.title).where(Book.id == number)
        titles.append(await session.scalar(query))  # expect: SQL103
    return titles


# situation: free-slug (undecided: tries values until one is free looks the same)
@router.get("/free-slug")
def free_slug(session: Db) -> str:
    for number in range(1, 100):
        name = f"tag {number}"
        if session.scalar(select(Tag.id).where(Tag.name == name)) is None:  # expect: SQL103 warning
            return name
    return ""
