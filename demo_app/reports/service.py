"""Reading what the reports show."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from sqlmodel import col

from demo_app.books.models import Book
from demo_app.reports.reports_config import reports_settings


async def dearest_books(db: AsyncSession) -> Sequence[Book]:
    """Fetch the ten dearest books."""
    return (await db.scalars(select(Book).order_by(col(Book.price_cents).desc()).limit(10))).all()


async def low_stock(db: AsyncSession) -> Sequence[Book]:
    """Fetch the books that run out, with their authors."""
    query = (
        select(Book)
        .options(selectinload(Book.author))
        .where(Book.stock < reports_settings.low_stock)
        .order_by(Book.stock, Book.id)
    )
    return (await db.scalars(query)).all()


def margin(book: Book) -> float:
    """Tell which part of the price is ours."""
    return round(1 - book.cost_cents / book.price_cents, 2)
