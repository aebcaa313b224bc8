"""The same patterns with AsyncSession: MissingGreenlet, and loops that await."""

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.orm import Session, defer, selectinload, undefer

from tests.corpus.sql.shop.database import AsyncDb, ExpiringDb, new_async_session
from tests.corpus.sql.shop.models import Author, Award, Book, Invoice, Publisher, User

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


# situation: async-never-loaded
@router.get("/async-never-loaded")
async def async_never_loaded(session: AsyncDb) -> list[str]:
    author = await session.get_one(Author, 1)
    return [book.title for book in author.books]  # expect: SQL201 Author.books


# situation: async-loaded (clean, like SQL201)
@router.get("/async-loaded")
async def async_loaded(session: AsyncDb) -> list[str]:
    author = await session.get_one(Author, 1, options=[selectinload(Author.books)])
    return [book.title for book in author.books]


# situation: async-many-to-one
@router.get("/async-many-to-one")
async def async_many_to_one(session: AsyncDb) -> list[str]:
    books = (await session.scalars(select(Book).order_by(Book.id))).all()
    return [f"{b.title}: {b.publisher.name}" for b in books]  # expect: SQL201 Book.publisher


# situation: async-second-level
@router.get("/async-second-level")
async def async_second_level(session: AsyncDb) -> int:
    query = select(Author).options(selectinload(Author.books)).order_by(Author.id)
    total = 0
    for author in await session.scalars(query):
        for book in author.books:
            total += len(book.reviews)  # expect: SQL201 Book.reviews
    return total


# situation: async-behind-property
@router.get("/async-behind-property")
async def async_behind_property(session: AsyncDb) -> int:
    author = await session.scalar(select(Author).where(Author.id == 2))
    return count_of(author)


def count_of(author: Author) -> int:
    return len(author.awards)  # expect: SQL201 Author.awards


# situation: async-deferred
@router.get("/async-deferred")
async def async_deferred(session: AsyncDb) -> str:
    book = await session.get_one(Book, 1)
    return book.blurb  # expect: SQL201 Book.blurb


# situation: async-undeferred (clean, like SQL201)
@router.get("/async-undeferred")
async def async_undeferred(session: AsyncDb) -> str:
    book = await session.get_one(Book, 1, options=[undefer(Book.blurb)])
    return book.blurb


# situation: async-deferred-by-option
@router.get("/async-deferred-by-option")
async def async_deferred_by_option(session: AsyncDb) -> str:
    author = (await session.scalars(select(Author).options(defer(Author.country)).limit(1))).one()
    return author.country  # expect: SQL201 Author.country


# situation: async-undeferred-instead (clean, like SQL201, mends async-deferred-by-option)
@router.get("/async-undeferred-instead")
async def async_undeferred_instead(session: AsyncDb) -> str:
    author = (await session.scalars(select(Author).options(undefer(Author.country)).limit(1))).one()
    return author.country


# situation: async-expired-by-commit
@router.post("/async-expired-by-commit")
async def async_expired_by_commit(session: ExpiringDb) -> str:
    user = User(name="Ada", email="ada@example.org")
    session.add(user)
    await session.commit()
    return user.name  # expect: SQL201 User.name


# situation: async-refreshed (clean, like SQL201)
@router.post("/async-refreshed")
async def async_refreshed(session: ExpiringDb) -> str:
    user = User(name="Ada", email="ada@example.org")
    session.add(user)
    await session.commit()
    await session.refresh(user)
    return user.name


# situation: async-kept-after-commit (clean, like SQL201, mends async-expired-by-commit)
@router.post("/async-kept-after-commit")
async def async_kept_after_commit(session: AsyncDb) -> str:
    user = User(name="Ada", email="ada@example.org")
    session.add(user)
    await session.commit()
    return user.name


# situation: async-refreshed-without
@router.post("/async-refreshed-without", response_model=AuthorOut)
async def async_refreshed_without(session: ExpiringDb):
    author = Author(name="Ada", country="AT", awards=[Award(name="first")])
    session.add(author)
    await session.commit()
    await session.refresh(author)  # expect: SQL201 Author.awards
    return author


# situation: async-refreshed-with (clean, like SQL201, mends async-refreshed-without)
@router.post("/async-refreshed-with", response_model=AuthorOut)
async def async_refreshed_with(session: ExpiringDb):
    author = Author(name="Ada", country="AT", awards=[Award(name="first")])
    session.add(author)
    await session.commit()
    await session.refresh(author)
    await session.refresh(author, ["awards"])
    return author


# situation: async-response-after-commit
@router.post("/async-response-after-commit", response_model=AuthorOut)
async def async_response_after_commit(session: ExpiringDb):
    author = await session.get_one(Author, 1, options=[selectinload(Author.awards)])
    author.name = "renamed"
    await session.commit()  # expect: SQL201
    return author


# situation: async-response-kept (clean, like SQL201, mends async-response-after-commit)
@router.post("/async-response-kept", response_model=AuthorOut)
async def async_response_kept(session: AsyncDb):
    author = await session.get_one(Author, 1, options=[selectinload(Author.awards)])
    author.name = "renamed"
    await session.commit()
    return author


# situation: async-awaitable-in-loop
@router.get("/async-awaitable-in-loop")
async def async_awaitable_in_loop(session: AsyncDb) -> list[int]:
    counts = []
    for author in await session.scalars(select(Author).order_by(Author.id)):
        books = await author.awaitable_attrs.books  # expect: SQL101 Author.books
        counts.append(len(books))
    return counts


# situation: async-awaitable-once (clean, like SQL101)
@router.get("/async-awaitable-once")
async def async_awaitable_once(session: AsyncDb) -> int:
    author = await session.get_one(Author, 1)
    return len(await author.awaitable_attrs.books)


# situation: async-run-sync-loop
def titles_by_author(session: Session) -> dict[str, list[str]]:
    titles = {}
    for author in session.scalars(select(Author).order_by(Author.id)):
        titles[author.name] = [book.title for book in author.books]  # expect: SQL101 Author.books
    return titles


@router.get("/async-run-sync-loop")
async def async_run_sync_loop(session: AsyncDb) -> dict[str, list[str]]:
    return await session.run_sync(titles_by_author)


# situation: async-run-sync-loaded (clean, like SQL101)
def titles_of_all(session: Session) -> list[str]:
    query = select(Author).options(selectinload(Author.books))
    return [book.title for author in session.scalars(query) for book in author.books]


@router.get("/async-run-sync-loaded")
async def async_run_sync_loaded(session: AsyncDb) -> list[str]:
    return await session.run_sync(titles_of_all)


# situation: async-refresh-attribute-loop
@router.get("/async-refresh-attribute-loop")
async def async_refresh_attribute_loop(session: AsyncDb) -> int:
    total = 0
    for author in (await session.scalars(select(Author).order_by(Author.id))).all():
        await session.refresh(author, ["awards"])  # expect: SQL101 Author.awards
        total += len(author.awards)
    return total


# situation: async-attribute-loaded-before (clean, like SQL101, mends async-refresh-attribute-loop)
@router.get("/async-attribute-loaded-before")
async def async_attribute_loaded_before(session: AsyncDb) -> int:
    query = select(Author).options(selectinload(Author.awards))
    return sum(len(author.awards) for author in await session.scalars(query))


# situation: async-select-children-in-loop
@router.get("/async-select-children-in-loop")
async def async_select_children_in_loop(session: AsyncDb) -> dict[str, int]:
    authors = (await session.scalars(select(Author).order_by(Author.id))).all()
    result = {}
    for author in authors:
        query = select(Book).where(Book.author_id == author.id)
        books = await session.scalars(query)  # expect: SQL103
        result[author.name] = len(books.all())
    return result


# situation: async-children-at-once (clean, like SQL103, mends async-select-children-in-loop)
@router.get("/async-children-at-once")
async def async_children_at_once(session: AsyncDb) -> dict[str, int]:
    authors = (await session.scalars(select(Author).order_by(Author.id))).all()
    query = select(Book).where(Book.author_id.in_([author.id for author in authors]))
    books: dict[int, list[Book]] = {}
    for book in await session.scalars(query):
        books.setdefault(book.author_id, []).append(book)
    return {author.name: len(books.get(author.id, ())) for author in authors}


# situation: async-stream-of-rows (clean, like SQL103)
@router.get("/async-stream-of-rows")
async def async_stream_of_rows(session: AsyncDb) -> int:
    total = 0
    async for book in await session.stream_scalars(select(Book)):
        total += book.stock
    return total


# situation: async-caught-on-purpose
@router.get("/async-caught-on-purpose")
async def async_caught_on_purpose(session: AsyncDb) -> int:
    publisher = await session.get_one(Publisher, 1)
    try:
        return len(publisher.books)  # expect: SQL201 Publisher.books info
    except Exception:  # noqa: BLE001 - as people write it
        return -1


# situation: async-own-sessions (clean, like SQL203)
async def renamed(author_id: int) -> str:
    async with new_async_session() as session:
        author = await session.get_one(Author, author_id)
        author.country = "CH"
        await session.commit()
        return author.name


@router.post("/async-own-sessions")
async def async_own_sessions() -> list[str]:
    return await asyncio.gather(renamed(1), renamed(2))


# situation: async-delete-cascade
@router.delete("/async-delete-cascade")
async def async_delete_cascade(session: AsyncDb) -> int:
    invoices = (await session.scalars(select(Invoice).order_by(Invoice.id))).all()
    for invoice in invoices:
        await session.delete(invoice)  # expect: SQL101 Invoice.lines
    await session.commit()
    return len(invoices)
