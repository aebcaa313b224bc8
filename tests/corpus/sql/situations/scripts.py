"""Scripts, jobs and the code of tests: no request at all."""

import asyncio

from fastapi import APIRouter
from sqlalchemy import insert, select
from sqlalchemy.orm import selectinload

from tests.corpus.sql.shop.database import new_async_session, new_session
from tests.corpus.sql.shop.models import Author, Book, Customer, Tag

router = APIRouter()

FEED = [f"tag {number}" for number in range(1, 9)]


# situation: script-lazy
def script_lazy() -> list[str]:
    lines = []
    with new_session() as session:
        for author in session.scalars(select(Author).order_by(Author.id)):
            lines.append(f"{author.name}: {len(author.books)}")  # expect: SQL101 Author.books
    return lines


# situation: script-loaded (clean, like SQL101, mends script-lazy)
def script_loaded() -> list[str]:
    query = select(Author).options(selectinload(Author.books)).order_by(Author.id)
    with new_session() as session:
        return [f"{author.name}: {len(author.books)}" for author in session.scalars(query)]


# situation: script-lookup
def script_lookup() -> int:
    known = 0
    with new_session() as session:
        for name in FEED:
            query = select(Tag).where(Tag.name == name)
            tag = session.scalars(query).one_or_none()  # expect: SQL103
            known += tag is not None
    return known


# situation: script-lookup-at-once (clean, like SQL103, mends script-lookup)
def script_lookup_at_once() -> int:
    with new_session() as session:
        return len(session.scalars(select(Tag).where(Tag.name.in_(FEED))).all())


# situation: script-import (clean, like SQL104)
def script_import() -> int:
    with new_session() as session:
        known = set(session.scalars(select(Tag.name).where(Tag.name.in_(FEED))))
        missing = [{"name": name} for name in FEED if name not in known]
        session.execute(insert(Tag), missing)
        session.commit()
    return len(missing)


# situation: script-in-portions (clean, like SQL101)
def script_in_portions() -> int:
    query = select(Customer).options(selectinload(Customer.orders)).execution_options(yield_per=100)
    with new_session() as session:
        return sum(order.cents for customer in session.scalars(query) for order in customer.orders)


# situation: async-script-lazy
async def async_script_lazy() -> int:
    total = 0
    async with new_async_session() as session:
        for book in (await session.scalars(select(Book).order_by(Book.id))).all():
            total += len(await book.awaitable_attrs.reviews)  # expect: SQL101 Book.reviews
    return total


# situation: async-script-gathered (clean, like SQL103)
async def async_script_gathered() -> list[str]:
    async def names(model: type[Author] | type[Tag]) -> list[str]:
        async with new_async_session() as session:
            return list(await session.scalars(select(model.name).order_by(model.name)))

    authors, tags = await asyncio.gather(names(Author), names(Tag))
    return authors + tags
