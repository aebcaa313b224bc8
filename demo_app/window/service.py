"""Choosing what is shown, and who chooses it."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from demo_app.authors.models import Author
from demo_app.books.models import Book
from demo_app.errors import AppException
from demo_app.users.models import User


async def book(db: AsyncSession, book_id: int) -> Book:
    """Fetch a book.

    Raises:
        AppException: There is none.
    """
    found = await db.get(Book, book_id)
    if found is None:
        raise AppException(404, "No such book.", "book_not_found")
    return found


async def author_of_the_month(db: AsyncSession) -> Author:
    """Fetch the author with the books, which take a query of their own."""
    query = select(Author).where(Author.id == 2).options(selectinload(Author.books))
    return (await db.scalars(query)).one()


async def curators(db: AsyncSession) -> Sequence[User]:
    """Fetch who looks after the window."""
    return (await db.scalars(select(User).where(User.is_admin))).all()
