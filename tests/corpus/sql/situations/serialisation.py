"""ORM objects that are returned, so that the response model reads what was not loaded."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from tests.corpus.sql.shop.database import AsyncDb, Db
from tests.corpus.sql.shop.models import Author, Book

router = APIRouter()


class OfRow(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class AwardOut(OfRow):
    id: int
    name: str
    author_id: int


class AuthorOut(OfRow):
    id: int
    name: str
    country: str
    awards: list[AwardOut]


class PublisherOut(OfRow):
    id: int
    name: str


class BookOut(OfRow):
    id: int
    title: str
    stock: int
    author_id: int
    publisher_id: int
    publisher: PublisherOut


class ShelfOut(OfRow):
    id: int
    name: str
    country: str
    books: list[BookOut]


class TreeOut(OfRow):
    id: int
    name: str
    country: str
    books: list[BookOut]
    awards: list[AwardOut]


# situation: response-reads-list
@router.get("/response-reads-list", response_model=list[AuthorOut])
def response_reads_list(session: Db):
    return session.scalars(select(Author).order_by(Author.id)).all()  # expect: SQL101 Author.awards


# situation: response-list-loaded (clean, like SQL101, mends response-reads-list)
@router.get("/response-list-loaded", response_model=list[AuthorOut])
def response_list_loaded(session: Db):
    query = select(Author).options(selectinload(Author.awards)).order_by(Author.id)
    return session.scalars(query).all()


# situation: response-reads-one
@router.get("/response-reads-one", response_model=list[BookOut])
def response_reads_one(session: Db):
    books = session.scalars(select(Book).order_by(Book.id))  # expect: SQL101 Book.publisher
    return books.all()


# situation: response-reads-two-levels
@router.get("/response-reads-two-levels", response_model=list[ShelfOut])
def response_reads_two_levels(session: Db):
    query = select(Author).order_by(Author.id)
    return session.scalars(query).all()  # expect: SQL101 Author.books


# situation: response-two-levels-loaded (clean, like SQL101, mends response-reads-two-levels)
@router.get("/response-two-levels-loaded", response_model=list[ShelfOut])
def response_two_levels_loaded(session: Db):
    option = selectinload(Author.books).joinedload(Book.publisher)
    return session.scalars(select(Author).options(option).order_by(Author.id)).all()


# situation: response-reads-branches
@router.get("/response-reads-branches", response_model=list[TreeOut])
def response_reads_branches(session: Db):
    query = select(Author).order_by(Author.id)
    return session.scalars(query).all()  # expect: SQL101 Author.books; SQL101 Author.awards


# situation: response-of-one (clean, like SQL101)
@router.get("/response-of-one", response_model=AuthorOut)
def response_of_one(session: Db):
    return session.get_one(Author, 1)


# situation: response-joined (clean, like SQL101)
@router.get("/response-joined", response_model=list[BookOut])
def response_joined(session: Db):
    return session.scalars(select(Book).options(joinedload(Book.publisher))).all()


# situation: validated-in-endpoint
@router.get("/validated-in-endpoint")
def validated_in_endpoint(session: Db) -> list[AuthorOut]:
    authors = session.scalars(select(Author).order_by(Author.id)).all()
    return [AuthorOut.model_validate(author) for author in authors]  # expect: SQL101 Author.awards


# situation: async-response-loaded (clean, like SQL201)
@router.get("/async-response-loaded", response_model=list[AuthorOut])
async def async_response_loaded(session: AsyncDb):
    query = select(Author).options(selectinload(Author.awards)).order_by(Author.id)
    return (await session.scalars(query)).all()


# situation: async-response-reads-list
@router.get("/async-response-reads-list", response_model=list[AuthorOut])
async def async_response_reads_list(session: AsyncDb):
    query = select(Author).order_by(Author.id)
    return (await session.scalars(query)).all()  # expect: SQL201 Author.awards
