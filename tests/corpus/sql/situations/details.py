"""Pages of one object and lists of them, with what hangs below."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectin_polymorphic, selectinload

from tests.corpus.sql.shop.database import (
    AsyncDb,
    Db,
)
from tests.corpus.sql.shop.models import (
    Author,
    Book,
    Buyer,
    Category,
    Employee,
    Publisher,
)

router = APIRouter()


class OfRow(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ReviewOut(OfRow):
    id: int
    stars: int
    book_id: int


class BookOut(OfRow):
    id: int
    title: str
    stock: int
    author_id: int
    publisher_id: int
    reviews: list[ReviewOut]


class AuthorOut(OfRow):
    id: int
    name: str
    country: str
    books: list[BookOut]


class CategoryOut(OfRow):
    id: int
    name: str
    parent_id: int | None
    children: list["CategoryOut"]


# situation: detail-reads-two-levels
@router.get("/detail-reads-two-levels", response_model=AuthorOut)
def detail_reads_two_levels(session: Db):
    return session.get_one(Author, 1)  # expect: SQL101 Book.reviews


# situation: detail-loaded (clean, like SQL101, mends detail-reads-two-levels)
@router.get("/detail-loaded", response_model=AuthorOut)
def detail_loaded(session: Db):
    option = selectinload(Author.books).selectinload(Book.reviews)
    return session.get_one(Author, 1, options=[option])


# situation: response-reads-a-tree
@router.get("/response-reads-a-tree", response_model=CategoryOut)
def response_reads_a_tree(session: Db):
    return session.scalars(select(Category).where(Category.id == 1)).one()  # expect: SQL101


# situation: response-tree-loaded (clean, like SQL101, mends response-reads-a-tree)
@router.get("/response-tree-loaded", response_model=CategoryOut)
async def response_tree_loaded(session: AsyncDb):
    option = selectinload(Category.children, recursion_depth=-1)
    return (await session.scalars(select(Category).where(Category.id == 1).options(option))).one()


# situation: one-child-each
@router.get("/one-child-each")
def one_child_each(session: Db) -> list[str]:
    found = []
    for publisher in session.scalars(select(Publisher).order_by(Publisher.id)):
        for book in publisher.books:  # expect: SQL101 Publisher.books
            found.append(book.author.name)
    return found


# situation: one-child-each-loaded (clean, like SQL101, mends one-child-each)
@router.get("/one-child-each-loaded")
def one_child_each_loaded(session: Db) -> list[str]:
    option = selectinload(Publisher.books).joinedload(Book.author)
    query = select(Publisher).options(option).order_by(Publisher.id)
    return [book.author.name for one in session.scalars(query) for book in one.books]


# situation: below-a-get-with-options
@router.get("/below-a-get-with-options")
def below_a_get_with_options(session: Db) -> list[int]:
    author = session.get_one(Author, 1, options=[selectinload(Author.books)])
    return [len(book.reviews) for book in author.books]  # expect: SQL101 Book.reviews


# situation: get-with-a-chain (clean, like SQL101, mends below-a-get-with-options)
@router.get("/get-with-a-chain")
def get_with_a_chain(session: Db) -> list[int]:
    option = selectinload(Author.books).selectinload(Book.reviews)
    author = session.get_one(Author, 1, options=[option])
    return [len(book.reviews) for book in author.books]


# situation: async-below-a-get-with-options
@router.get("/async-below-a-get-with-options")
async def async_below_a_get_with_options(session: AsyncDb) -> list[int]:
    author = await session.get_one(Author, 1, options=[selectinload(Author.books)])
    return [len(book.reviews) for book in author.books]  # expect: SQL201 Book.reviews


# situation: async-get-with-a-chain (clean, like SQL201, mends async-below-a-get-with-options)
@router.get("/async-get-with-a-chain")
async def async_get_with_a_chain(session: AsyncDb) -> list[int]:
    option = selectinload(Author.books).selectinload(Book.reviews)
    author = await session.get_one(Author, 1, options=[option])
    return [len(book.reviews) for book in author.books]


# situation: rows-on-another-line
@router.get("/rows-on-another-line")
def rows_on_another_line(session: Db) -> list[int]:
    result = session.execute(select(Author).options(selectinload(Author.books)))
    authors = result.scalars().all()
    return [len(book.reviews) for one in authors for book in one.books]  # expect: SQL101


# situation: subclass-columns-in-async
@router.get("/subclass-columns-in-async")
async def subclass_columns_in_async(session: AsyncDb) -> list[int]:
    staff = (await session.scalars(select(Employee).order_by(Employee.id))).all()
    return [one.budget for one in staff]  # expect: SQL201 Buyer.budget


# situation: subclass-loaded-in-async (clean, like SQL201, mends subclass-columns-in-async)
@router.get("/subclass-loaded-in-async")
async def subclass_loaded_in_async(session: AsyncDb) -> list[int]:
    query = select(Employee).options(selectin_polymorphic(Employee, [Buyer])).order_by(Employee.id)
    return [one.budget for one in await session.scalars(query)]


# situation: joined-and-read-later (clean, like SQL107)
def name_of(book: Book) -> str:
    return getattr(getattr(book, "author"), "name")  # noqa: B009 - as generic helpers do


@router.get("/joined-and-read-later")
def joined_and_read_later(session: Db) -> list[str]:
    query = select(Book).options(joinedload(Book.author)).order_by(Book.id)
    return [name_of(book) for book in session.scalars(query)]
