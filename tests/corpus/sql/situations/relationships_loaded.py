"""Relationships that are read in loops, and are no N+1."""

from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.orm import (
    contains_eager,
    joinedload,
    raiseload,
    selectinload,
    subqueryload,
)

from tests.corpus.sql.shop.database import Db
from tests.corpus.sql.shop.models import Author, Book, Customer

router = APIRouter()


# situation: two-batches (clean, like SQL101)
@router.get("/two-batches")
def two_batches(session: Db) -> int:
    customers = session.scalars(select(Customer).options(selectinload(Customer.orders))).all()
    return sum(order.cents for customer in customers for order in customer.orders)


# situation: joined-unique (clean, like SQL101)
@router.get("/joined-unique")
def joined_unique(session: Db) -> list[int]:
    query = select(Author).options(joinedload(Author.books))
    return [len(author.books) for author in session.scalars(query).unique()]


# situation: subquery-load (clean, like SQL101)
@router.get("/subquery-load")
def subquery_load(session: Db) -> int:
    authors = session.scalars(select(Author).options(subqueryload(Author.books)))
    return sum(len(author.books) for author in authors)


# situation: own-join (clean, like SQL101)
@router.get("/own-join")
def own_join(session: Db) -> list[str]:
    query = select(Book).join(Book.author).options(contains_eager(Book.author))
    return [book.author.name for book in session.scalars(query.where(Author.country == "AT"))]


# situation: two-named-authors (clean, like SQL101)
@router.get("/two-named-authors")
def two_named_authors(session: Db) -> bool:
    first = session.get_one(Author, 1)
    second = session.get_one(Author, 2)
    return len(first.books) == len(second.books)


# situation: same-collection-again (clean, like SQL101)
@router.get("/same-collection-again")
def same_collection_again(session: Db) -> list[int]:
    author = session.get_one(Author, 1)
    return [len(author.books) for _ in range(5)]


# situation: detail-page (clean, like SQL101)
@router.get("/detail-page")
def detail_page(session: Db) -> dict[str, int]:
    author = session.scalars(select(Author).where(Author.name == "author 3")).one()
    return {"books": len(author.books), "awards": len(author.awards)}


# situation: only-columns (clean, like SQL101)
@router.get("/only-columns")
def only_columns(session: Db) -> list[str]:
    rows = session.execute(select(Author.name, Book.title).join(Author.books)).all()
    return [f"{name}: {title}" for name, title in rows]


# situation: raise-load (clean, like SQL101)
@router.get("/raise-load")
def raise_load(session: Db) -> list[str]:
    return [author.name for author in session.scalars(select(Author).options(raiseload("*")))]


# situation: already-known (clean, like SQL101)
@router.get("/already-known")
def already_known(session: Db) -> list[str]:
    authors = session.scalars(select(Author)).all()  # noqa: F841 - keeps them
    return [book.author.name for book in session.scalars(select(Book))]


# situation: chain-of-single-objects (clean, like SQL101)
@router.get("/chain-of-single-objects")
def chain_of_single_objects(session: Db) -> str:
    book = session.get_one(Book, 3)
    return f"{book.publisher.name} {book.author.name} {len(book.author.awards)}"
