"""Single rows that are asked for in loops, with the ORM, with Core and as text."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy import bindparam, exists, func, select, text
from sqlalchemy.orm import Session

from tests.corpus.sql.shop.database import AsyncDb, Db, new_async_session
from tests.corpus.sql.shop.models import (
    Author,
    Book,
    Place,
    Review,
    Shelf,
)

router = APIRouter()

BASKET = (3, 5, 7, 11, 13)


# situation: get-in-loop
@router.get("/get-in-loop")
def get_in_loop(session: Db) -> list[str]:
    titles = []
    for book_id in BASKET:
        book = session.get(Book, book_id)  # expect: SQL103
        titles.append(book.title)
    return titles


# situation: get-all-at-once (clean, like SQL103, mends get-in-loop)
@router.get("/get-all-at-once")
def get_all_at_once(session: Db) -> list[str]:
    found = session.scalars(select(Book).where(Book.id.in_(BASKET)))
    books = {book.id: book for book in found}
    return [books[book_id].title for book_id in BASKET]


# situation: get-what-is-loaded (clean, like SQL103)
@router.get("/get-what-is-loaded")
def get_what_is_loaded(session: Db) -> list[str]:
    books = session.scalars(select(Book)).all()
    return [session.get_one(Book, book.id).title for book in books]


# situation: async-get-in-loop
@router.get("/async-get-in-loop")
async def async_get_in_loop(session: AsyncDb) -> list[str]:
    titles = []
    for book_id in BASKET:
        book = await session.get_one(Book, book_id)  # expect: SQL103
        titles.append(book.title)
    return titles


# situation: async-get-at-once (clean, like SQL103, mends async-get-in-loop)
@router.get("/async-get-at-once")
async def async_get_at_once(session: AsyncDb) -> list[str]:
    found = await session.scalars(select(Book).where(Book.id.in_(BASKET)))
    books = {book.id: book for book in found}
    return [books[book_id].title for book_id in BASKET]


# situation: select-one-in-loop
@router.get("/select-one-in-loop")
def select_one_in_loop(session: Db) -> dict[str, str]:
    books = session.scalars(select(Book).order_by(Book.id)).all()
    authors = {}
    for book in books:
        query = select(Author).where(Author.id == book.author_id)
        author = session.scalars(query).one()  # expect: SQL103
        authors[book.title] = author.name
    return authors


# situation: select-all-before (clean, like SQL103, mends select-one-in-loop)
@router.get("/select-all-before")
def select_all_before(session: Db) -> dict[str, str]:
    books = session.scalars(select(Book).order_by(Book.id)).all()
    keys = {book.author_id for book in books}
    found = session.scalars(select(Author).where(Author.id.in_(keys)))
    authors = {author.id: author for author in found}
    return {book.title: authors[book.author_id].name for book in books}


# situation: count-per-row
@router.get("/count-per-row")
def count_per_row(session: Db) -> dict[str, int]:
    counts = {}
    for book in session.scalars(select(Book).order_by(Book.id)):
        query = select(func.count()).select_from(Review).where(Review.book_id == book.id)
        counts[book.title] = session.scalar(query)  # expect: SQL103
    return counts


# situation: count-grouped (clean, like SQL103, mends count-per-row)
@router.get("/count-grouped")
def count_grouped(session: Db) -> dict[str, int]:
    query = (
        select(Book.title, func.count(Review.id))
        .join(Book.reviews)
        .group_by(Book.id)
        .order_by(Book.id)
    )
    return dict(session.execute(query).all())


# situation: exists-per-row
@router.get("/exists-per-row")
def exists_per_row(session: Db) -> list[bool]:
    authors = session.scalars(select(Author).order_by(Author.id)).all()
    return [
        session.scalar(select(exists().where(Book.author_id == author.id)))  # expect: SQL103
        for author in authors
    ]


# situation: exists-at-once (clean, like SQL103, mends exists-per-row)
@router.get("/exists-at-once")
def exists_at_once(session: Db) -> list[bool]:
    authors = session.scalars(select(Author).order_by(Author.id)).all()
    keys = [author.id for author in authors]
    found = set(session.scalars(select(Book.author_id).where(Book.author_id.in_(keys)).distinct()))
    return [author.id in found for author in authors]


# situation: raw-text-in-loop
@router.get("/raw-text-in-loop")
def raw_text_in_loop(session: Db) -> list[str]:
    titles = []
    for book_id in BASKET:
        sql = text("SELECT title FROM book WHERE id = :id")
        row = session.execute(sql, {"id": book_id})  # expect: SQL103
        titles.append(row.scalar_one())
    return titles


# situation: raw-text-with-literals
@router.get("/raw-text-with-literals")
def raw_text_with_literals(session: Db) -> list[str]:
    titles = []
    for book_id in BASKET:
        sql = text(f"SELECT title FROM book WHERE id = {book_id}")  # noqa: S608 - as people do
        titles.append(session.scalar(sql))  # expect: SQL103
    return titles


# situation: text-without-literals (clean, like SQL103, mends raw-text-with-literals)
@router.get("/text-without-literals")
def text_without_literals(session: Db) -> list[str]:
    book = Book.__table__
    rows = session.execute(select(book).where(book.c.id.in_(BASKET)))
    titles = {row.id: row.title for row in rows}
    return [titles[book_id] for book_id in BASKET]


# situation: raw-text-expanding (clean, like SQL103, mends raw-text-in-loop)
@router.get("/raw-text-expanding")
def raw_text_expanding(session: Db) -> list[str]:
    sql = text("SELECT id, title FROM book WHERE id IN :ids").bindparams(
        bindparam("ids", expanding=True)
    )
    titles = {row.id: row.title for row in session.execute(sql, {"ids": list(BASKET)})}
    return [titles[book_id] for book_id in BASKET]


# situation: core-in-loop
@router.get("/core-in-loop")
def core_in_loop(session: Db) -> list[int]:
    connection = session.connection()
    reviews = Review.__table__
    stars = []
    for book_id in BASKET:
        query = select(func.sum(reviews.c.stars)).where(reviews.c.book_id == book_id)
        stars.append(connection.execute(query).scalar_one())  # expect: SQL103
    return stars


# situation: core-grouped (clean, like SQL103, mends core-in-loop)
@router.get("/core-grouped")
def core_grouped(session: Db) -> list[int]:
    reviews = Review.__table__
    query = (
        select(reviews.c.book_id, func.sum(reviews.c.stars))
        .where(reviews.c.book_id.in_(BASKET))
        .group_by(reviews.c.book_id)
    )
    stars = dict(session.connection().execute(query).all())
    return [stars[book_id] for book_id in BASKET]


# situation: write-only-per-parent
@router.get("/write-only-per-parent")
def write_only_per_parent(session: Db) -> list[int]:
    shelves = session.scalars(select(Shelf).order_by(Shelf.id)).all()
    places = []
    for shelf in shelves:
        query = shelf.places.select().order_by(Place.id)
        places += [place.id for place in session.scalars(query)]  # expect: SQL103
    return places


# situation: write-only-at-once (clean, like SQL103, mends write-only-per-parent)
@router.get("/write-only-at-once")
def write_only_at_once(session: Db) -> list[int]:
    keys = session.scalars(select(Shelf.id).order_by(Shelf.id)).all()
    query = select(Place).where(Place.shelf_id.in_(keys)).order_by(Place.shelf_id, Place.id)
    return [place.id for place in session.scalars(query)]


# situation: lookup-behind-helpers
class Books:
    def __init__(self, session: Session) -> None:
        self.session = session

    def find(self, book_id: int) -> Book:
        return self.session.scalars(select(Book).where(Book.id == book_id)).one()


def label_of(books: Books, book_id: int) -> str:
    return books.find(book_id).title.upper()


@router.get("/lookup-behind-helpers")
def lookup_behind_helpers(session: Db) -> list[str]:
    books = Books(session)
    return [label_of(books, book_id) for book_id in BASKET]  # expect: SQL103


# situation: found-together (clean, like SQL103, mends lookup-behind-helpers)
@router.get("/found-together")
def found_together(session: Db) -> list[str]:
    found = {book.id: book for book in session.scalars(select(Book).where(Book.id.in_(BASKET)))}
    return [found[book_id].title.upper() for book_id in BASKET]


# situation: lookup-in-dependency
def basket(session: Db) -> list[Book]:
    books = []
    for book_id in BASKET:
        books.append(session.get_one(Book, book_id))  # expect: SQL103
    return books


@router.get("/lookup-in-dependency")
def lookup_in_dependency(books: Annotated[list[Book], Depends(basket)]) -> int:
    return sum(book.stock for book in books)


# situation: basket-in-dependency (clean, like SQL103, mends lookup-in-dependency)
def whole_basket(session: Db) -> list[Book]:
    return list(session.scalars(select(Book).where(Book.id.in_(BASKET))))


@router.get("/basket-in-dependency")
def basket_in_dependency(books: Annotated[list[Book], Depends(whole_basket)]) -> int:
    return sum(book.stock for book in books)


# situation: gathered-lookups
async def title_of(book_id: int) -> str:
    async with new_async_session() as session:
        return await session.scalar(select(Book.title).where(Book.id == book_id))  # expect: SQL103


@router.get("/gathered-lookups")
async def gathered_lookups() -> list[str]:
    return await asyncio.gather(*(title_of(book_id) for book_id in BASKET))


# situation: gathered-once (clean, like SQL103, mends gathered-lookups)
@router.get("/gathered-once")
async def gathered_once(session: AsyncDb) -> list[str]:
    rows = await session.execute(select(Book.id, Book.title).where(Book.id.in_(BASKET)))
    titles = dict(rows.all())
    return [titles[book_id] for book_id in BASKET]


# situation: gathered-different-questions (clean, like SQL103)
async def number_of(model: type) -> int:
    async with new_async_session() as session:
        return await session.scalar(select(func.count()).select_from(model))


@router.get("/gathered-different-questions")
async def gathered_different_questions() -> list[int]:
    return await asyncio.gather(number_of(Author), number_of(Book), number_of(Review))
