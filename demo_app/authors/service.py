"""Reading and renaming authors."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, selectinload

from demo_app.authors.models import Author
from demo_app.authors.schemas import Bibliography
from demo_app.errors import AppException


async def list_authors(db: AsyncSession) -> Sequence[Author]:
    """Fetch all authors, without their books."""
    return (await db.scalars(select(Author).order_by(Author.name))).all()


async def bibliographies(db: AsyncSession) -> list[Bibliography]:
    """List the titles of every author: one query for the authors, one more for each of them."""
    found = []
    for author in (await db.scalars(select(Author))).all():
        books = await author.awaitable_attrs.books  # defect: SQL101 lazy-load-in-loop
        found.append(Bibliography(name=author.name, titles=[book.title for book in books]))
    return found


async def bibliographies_v2(db: AsyncSession) -> list[Bibliography]:
    """Mended: the query for the authors brings their books along; two queries in all."""
    authors = await db.scalars(select(Author).options(selectinload(Author.books)))
    return [
        Bibliography(name=author.name, titles=[book.title for book in author.books])
        for author in authors
    ]


def catalogue(db: Session) -> Sequence[Author]:
    """Fetch authors whose books the response model will ask for, one author at a time."""
    return db.scalars(select(Author)).all()  # defect: SQL101 lazy-load-in-response


def catalogue_v2(db: Session) -> Sequence[Author]:
    """Mended: loads what the response model shows."""
    return db.scalars(select(Author).options(selectinload(Author.books))).all()


async def author_with_books(db: AsyncSession, author_id: int) -> Author:
    """Fetch an author whose books nobody loaded; the response model fails on them."""
    query = select(Author).where(Author.id == author_id)
    return _found(await db.scalar(query))  # defect: SQL201 unloaded


async def author_with_books_v2(db: AsyncSession, author_id: int) -> Author:
    """Mended: loads the books with the author."""
    query = select(Author).where(Author.id == author_id).options(selectinload(Author.books))
    return _found(await db.scalar(query))


async def rename(db: AsyncSession, author_id: int, name: str) -> Bibliography:
    """Rename an author; `refresh` brings back the columns, but no relationship."""
    author = _found(await db.get(Author, author_id))
    author.name = name
    await db.commit()
    await db.refresh(author)
    titles = [book.title for book in author.books]  # defect: SQL201 refreshed
    return Bibliography(name=author.name, titles=titles)


async def rename_v2(db: AsyncSession, author_id: int, name: str) -> Bibliography:
    """Mended: asks for the relationship by name as well."""
    author = _found(await db.get(Author, author_id))
    author.name = name
    await db.commit()
    await db.refresh(author)
    await db.refresh(author, ["books"])
    titles = [book.title for book in author.books]
    return Bibliography(name=author.name, titles=titles)


def _found(author: Author | None) -> Author:
    if author is None:
        raise AppException(404, "No such author.", "author_not_found")
    return author
