"""Gift cards, sold, engraved and counted: as first written and mended."""

import asyncio

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, selectinload
from sqlmodel import col

from demo_app.authors.models import Author
from demo_app.books.models import Book
from demo_app.database import new_session, new_sync_session
from demo_app.errors import AppException
from demo_app.gifts.models import GiftCard
from demo_app.gifts.sessions import till_session
from demo_app.orders.models import Customer

ENGRAVER_S = 0.25


async def engrave(text: str) -> str:
    """Ask the engraver, who takes his time."""
    await asyncio.sleep(ENGRAVER_S)
    return text.upper()


async def favourites(author_id: int) -> list[str]:
    """List the books of an author, who came from a session that is closed."""
    author = await _author(author_id)
    return [book.title for book in author.books]  # defect: SQL202 read-after-close


async def favourites_v2(author_id: int) -> list[str]:
    """Mended: the books come along with their author."""
    async with new_session() as db:
        query = select(Author).where(Author.id == author_id).options(selectinload(Author.books))
        author = (await db.scalars(query)).one()
    return [book.title for book in author.books]


async def _author(author_id: int) -> Author:
    async with new_session() as db:
        return (await db.scalars(select(Author).where(Author.id == author_id))).one()


async def overview(db: AsyncSession) -> int:
    """Count what we have, all at once on one session."""
    counts = await asyncio.gather(_count(db, Book), _count(db, Customer), _count(db, Author))
    return sum(counts)


async def overview_v2(db: AsyncSession) -> int:
    """Mended: one after the other."""
    tables = (Book, Customer, Author)
    return sum([await _count_v2(db, table) for table in tables])


async def _count(db: AsyncSession, table: type) -> int:
    return await db.scalar(select(func.count(table.id)))  # defect: SQL203 gathered


async def _count_v2(db: AsyncSession, table: type) -> int:
    """Count (mended: its caller awaits each count)."""
    return await db.scalar(select(func.count(table.id)))


async def greeting(db: AsyncSession, customer_id: int) -> str:
    """Have a name engraved, with a connection in hand all the while."""
    name = await db.scalar(select(Customer.name).where(Customer.id == customer_id))
    return await engrave(name)  # defect: SQL302 engraver


async def greeting_v2(db: AsyncSession, customer_id: int) -> str:
    """Mended: gives the connection back before it waits."""
    name = await db.scalar(select(Customer.name).where(Customer.id == customer_id))
    await db.commit()
    return await engrave(name)


async def change(db: AsyncSession, customer_id: int) -> str:
    """Serve at the till, and need a second connection to do so."""
    name = await db.scalar(select(Customer.name).where(Customer.id == customer_id))
    async with till_session() as second:
        query = select(Customer.language).where(Customer.id == customer_id)
        language = await second.scalar(query)  # defect: SQL301 second-connection
    return f"{name} ({language})"


async def change_v2(db: AsyncSession, customer_id: int) -> str:
    """Mended: the session at hand serves for both."""
    query = select(Customer.name, Customer.language).where(Customer.id == customer_id)
    name, language = (await db.execute(query)).one()
    return f"{name} ({language})"


def titles(db: Session) -> list[str]:
    """List a few titles; its caller decides about the thread."""
    query = select(Book.title).order_by(col(Book.id)).limit(3)
    return list(db.scalars(query))  # defect: SQL305 async-endpoint


def titles_v2(db: Session) -> list[str]:
    """List a few titles (mended: the endpoint is a plain `def`)."""
    query = select(Book.title).order_by(col(Book.id)).limit(3)
    return list(db.scalars(query))


def cards(db: Session) -> int:
    """Count the cards."""
    return db.scalar(select(func.count(GiftCard.id)))


async def sell(db: AsyncSession, code: str) -> str:
    """Sell a card, and never commit it."""
    db.add(GiftCard(code=code, cents=2500))
    await db.flush()  # defect: SQL306 never-committed
    return code


async def sell_v2(db: AsyncSession, code: str) -> str:
    """Mended: the sale is committed."""
    db.add(GiftCard(code=code, cents=2500))
    await db.commit()
    return code


async def reserve(db: AsyncSession, code: str) -> str:
    """Reserve a code; whether it is free shows only at the commit."""
    db.add_all([GiftCard(code=code, cents=0), GiftCard(code=code, cents=0)])
    return code


async def reserve_v2(db: AsyncSession, code: str) -> str:
    """Mended: commits while the client can still be told."""
    db.add_all([GiftCard(code=code, cents=0), GiftCard(code=code, cents=0)])
    try:
        await db.commit()
    except IntegrityError as error:
        await db.rollback()
        raise AppException(409, "This code is taken.", "code_taken") from error
    return code


def thank(db: Session, customer_id: int) -> None:
    """Thank a customer after the answer, with a session that was closed with it."""
    customer = db.get(Customer, customer_id)  # defect: SQL304 thanks-too-late
    customer.language = customer.language.lower()


def thank_v2(customer_id: int) -> None:
    """Mended: opens a session of its own."""
    with new_sync_session() as db:
        customer = db.get(Customer, customer_id)
        customer.language = customer.language.lower()
        db.commit()
