"""Reading books, converting prices, asking the warehouse."""

import asyncio
import time

from sqlalchemy import desc, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from demo_app.books.books_config import books_settings
from demo_app.books.models import Book, ExchangeRate
from demo_app.books.schemas import Availability, Bestseller, BookListing, Price
from demo_app.errors import AppException
from demo_app.orders.models import OrderItem


async def list_books(db: AsyncSession, page: int) -> list[BookListing]:
    """List one page of books with author and average stars, in three queries."""
    query = (
        select(Book)
        .options(selectinload(Book.author), selectinload(Book.reviews))
        .order_by(Book.id)
        .limit(books_settings.page_size)
        .offset((page - 1) * books_settings.page_size)
    )
    return [
        BookListing(
            id=book.id,
            title=book.title,
            author=book.author.name,
            stars=_average([review.stars for review in book.reviews]),
        )
        for book in await db.scalars(query)
    ]


async def get_book(db: AsyncSession, book_id: int) -> Book:
    """Fetch a book.

    Raises:
        AppException: There is none (404).
    """
    book = await db.get(Book, book_id)
    if book is None:
        raise AppException(404, "No such book.", "book_not_found")
    return book


async def bestsellers(db: AsyncSession) -> list[Bestseller]:
    """List the ten titles that were ordered most."""
    sold = func.sum(OrderItem.quantity)
    query = (
        select(Book.title, sold).join(OrderItem).group_by(Book.id).order_by(desc(sold)).limit(10)
    )
    return [Bestseller(title=title, sold=count) for title, count in await db.execute(query)]


async def exchange_rate(db: AsyncSession, currency: str) -> float:
    """Look up how much of a currency one euro buys."""
    query = select(ExchangeRate.per_euro).where(ExchangeRate.currency == currency)
    rate = await db.scalar(query)
    if rate is None:
        raise AppException(404, f"No rate for {currency}.", "unknown_currency")
    return rate


async def price_list(db: AsyncSession, currency: str) -> list[Price]:
    """Convert prices; asks for the same exchange rate once per book."""
    prices = []
    for book in await _first_books(db):
        rate = await exchange_rate(db, currency)  # defect: SQL105 same-rate-again
        prices.append(_price(book, rate, currency))
    return prices


async def price_list_v2(db: AsyncSession, currency: str) -> list[Price]:
    """Mended: asks once and passes the rate on."""
    rate = await exchange_rate(db, currency)
    return [_price(book, rate, currency) for book in await _first_books(db)]


async def availability(book_id: int) -> Availability:
    """Ask the warehouse; `time.sleep` keeps everybody else waiting too."""
    time.sleep(books_settings.warehouse_pause_s)  # defect: LOOP101 sleep
    return Availability(book_id=book_id, available=True)


async def availability_v2(book_id: int) -> Availability:
    """Mended: only this request waits."""
    await asyncio.sleep(books_settings.warehouse_pause_s)
    return Availability(book_id=book_id, available=True)


async def _first_books(db: AsyncSession) -> list[Book]:
    query = select(Book).order_by(Book.id).limit(books_settings.page_size)
    return list(await db.scalars(query))


def _price(book: Book, rate: float, currency: str) -> Price:
    return Price(
        title=book.title, amount=round(book.price_cents * rate / 100, 2), currency=currency
    )


def _average(numbers: list[int]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None
