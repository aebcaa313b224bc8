"""Ways to go through rows, and ways to load them, as people write them."""

import asyncio
from collections.abc import Iterable
from itertools import chain

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import lambda_stmt, select, text
from sqlalchemy.orm import (
    aliased,
    contains_eager,
    joinedload,
    lazyload,
    make_transient_to_detached,
    selectinload,
    subqueryload,
)

from tests.corpus.sql.shop.database import AsyncDb, Db, new_async_session, new_session
from tests.corpus.sql.shop.models import Author, Book, Category, Publisher, Tag, User

router = APIRouter()


# situation: filtered-by-relationship
@router.get("/filtered-by-relationship")
def filtered_by_relationship(session: Db) -> list[str]:
    books = session.scalars(select(Book).order_by(Book.id)).all()
    found = [b for b in books if "tag 2" in {t.name for t in b.tags}]  # expect: SQL101 Book.tags
    return [book.title for book in found]


# situation: filtered-in-sql (clean, like SQL101, mends filtered-by-relationship)
@router.get("/filtered-in-sql")
def filtered_in_sql(session: Db) -> list[str]:
    query = select(Book).where(Book.tags.any(Tag.name == "tag 2")).order_by(Book.id)
    return [book.title for book in session.scalars(query)]


# situation: mapped-function
def titles_of(author: Author) -> list[str]:
    return [book.title for book in author.books]  # expect: SQL101 Author.books


@router.get("/mapped-function")
def mapped_function(session: Db) -> list[list[str]]:
    authors = session.scalars(select(Author).order_by(Author.id)).all()
    return list(map(titles_of, authors))


# situation: chained-collections
@router.get("/chained-collections")
def chained_collections(session: Db) -> int:
    authors = session.scalars(select(Author)).all()
    return len(list(chain.from_iterable(a.books for a in authors)))  # expect: SQL101 Author.books


# situation: stack-of-categories
@router.get("/stack-of-categories")
def stack_of_categories(session: Db) -> int:
    open_ = list(session.scalars(select(Category).where(Category.parent_id.is_(None))))
    count = 0
    while open_:
        category = open_.pop()
        count += 1
        open_ += category.children  # expect: SQL101 Category.children
    return count


# situation: behind-an-alias
@router.get("/behind-an-alias")
def behind_an_alias(session: Db) -> list[int]:
    writer = aliased(Author)
    writers = session.scalars(select(writer).order_by(writer.id)).all()
    return [len(one.books) for one in writers]  # expect: SQL101 Author.books


# situation: alias-loaded (clean, like SQL101, mends behind-an-alias)
@router.get("/alias-loaded")
def alias_loaded(session: Db) -> list[int]:
    writer = aliased(Author)
    query = select(writer).options(selectinload(writer.books)).order_by(writer.id)
    return [len(one.books) for one in session.scalars(query)]


# situation: of-locked-rows
@router.post("/of-locked-rows")
def of_locked_rows(session: Db) -> list[str]:
    query = select(Book).where(Book.stock == 0).order_by(Book.id).with_for_update()
    locked = session.scalars(query).all()
    names = [book.publisher.name for book in locked]  # expect: SQL101 Book.publisher
    session.rollback()
    return names


# situation: below-a-join
@router.get("/below-a-join")
def below_a_join(session: Db) -> list[int]:
    query = select(Book).options(joinedload(Book.author)).order_by(Book.id)
    counts = []
    for book in session.scalars(query):
        counts.append(len(book.author.awards))  # expect: SQL101 Author.awards
    return counts


# situation: below-a-single-object
@router.get("/below-a-single-object")
def below_a_single_object(session: Db) -> list[int]:
    query = select(Book).options(selectinload(Book.author)).order_by(Book.id)
    counts = []
    for book in session.scalars(query):
        counts.append(len(book.author.awards))  # expect: SQL101 Author.awards
    return counts


# situation: below-a-subquery
@router.get("/below-a-subquery")
def below_a_subquery(session: Db) -> int:
    query = select(Author).options(subqueryload(Author.books))
    stars = 0
    for author in session.scalars(query):
        for book in author.books:
            stars += len(book.reviews)  # expect: SQL101 Book.reviews
    return stars


# situation: below-own-join
@router.get("/below-own-join")
def below_own_join(session: Db) -> list[str]:
    query = select(Book).join(Book.author).options(contains_eager(Book.author)).order_by(Book.id)
    found = []
    for book in session.scalars(query):
        found.append(book.publisher.name)  # expect: SQL101 Book.publisher
    return found


# situation: of-the-second-entity
@router.get("/of-the-second-entity")
def of_the_second_entity(session: Db) -> list[int]:
    rows = session.execute(select(Book, Author).join(Book.author).order_by(Book.id)).all()
    return [len(author.awards) for _, author in rows]  # expect: SQL101 Author.awards


# situation: lazy-by-option
@router.get("/lazy-by-option")
def lazy_by_option(session: Db) -> list[int]:
    authors = session.scalars(select(Author).options(lazyload(Author.books))).all()
    return [len(author.books) for author in authors]  # expect: SQL101 Author.books


# situation: eager-instead-of-lazy (clean, like SQL101, mends lazy-by-option)
@router.get("/eager-instead-of-lazy")
def eager_instead_of_lazy(session: Db) -> list[int]:
    authors = session.scalars(select(Author).options(selectinload(Author.books))).all()
    return [len(author.books) for author in authors]


# situation: lambda-statement
@router.get("/lambda-statement")
def lambda_statement(session: Db) -> list[str]:
    found = []
    for number in (3, 5, 7):
        query = lambda_stmt(lambda: select(Book).where(Book.id == number))  # noqa: B023 - it is read at once
        found.append(session.scalars(query).one().title)  # expect: SQL103
    return found


# situation: lambda-statement-once (clean, like SQL103, mends lambda-statement)
@router.get("/lambda-statement-once")
def lambda_statement_once(session: Db) -> list[str]:
    books = {book.id: book for book in session.scalars(select(Book).where(Book.id.in_((3, 5, 7))))}
    return [books[number].title for number in (3, 5, 7)]


# situation: merged-one-by-one
@router.post("/merged-one-by-one")
def merged_one_by_one(session: Db) -> int:
    sent = [User(id=n, name=f"new {n}", email=f"u{n}@example.org") for n in range(1, 6)]
    for user in sent:
        session.merge(user)  # expect: SQL103
    session.commit()
    return len(sent)


# situation: merged-into-loaded (clean, like SQL103, mends merged-one-by-one)
@router.post("/merged-into-loaded")
def merged_into_loaded(session: Db) -> int:
    sent = [User(id=n, name=f"new {n}", email=f"u{n}@example.org") for n in range(1, 6)]
    known = session.scalars(select(User).where(User.id.in_([u.id for u in sent]))).all()  # noqa: F841 - kept
    for user in sent:
        session.merge(user)
    session.commit()
    return len(sent)


# situation: task-group-of-lookups
async def stock_of(book_id: int) -> int:
    async with new_async_session() as session:
        return await session.scalar(select(Book.stock).where(Book.id == book_id))  # expect: SQL103


@router.get("/task-group-of-lookups")
async def task_group_of_lookups() -> list[int]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stock_of(number)) for number in (1, 2, 3, 4)]
    return [task.result() for task in tasks]


# situation: stocks-at-once (clean, like SQL103, mends task-group-of-lookups)
@router.get("/stocks-at-once")
async def stocks_at_once(session: AsyncDb) -> list[int]:
    query = select(Book.stock).where(Book.id.in_((1, 2, 3, 4))).order_by(Book.id)
    return list(await session.scalars(query))


# situation: threads-of-lookups (undecided: told where three threads ran them)
def name_of(publisher_id: int) -> str:
    with new_session() as session:
        query = select(Publisher.name).where(Publisher.id == publisher_id)
        return session.scalar(query)  # expect: SQL103


@router.get("/threads-of-lookups")
async def threads_of_lookups() -> list[str]:
    return await asyncio.gather(*(asyncio.to_thread(name_of, n) for n in (1, 2, 3, 4)))


# situation: threads-not-needed (clean, like SQL103, mends threads-of-lookups)
@router.get("/threads-not-needed")
async def threads_not_needed(session: AsyncDb) -> list[str]:
    query = select(Publisher.name).where(Publisher.id.in_((1, 2, 3, 4))).order_by(Publisher.id)
    return list(await session.scalars(query))


# situation: fetched-then-deleted
@router.delete("/fetched-then-deleted")
def fetched_then_deleted(session: Db) -> int:
    names = ["tag 1", "tag 2", "tag 3"]
    for name in names:
        tag = session.scalars(select(Tag).where(Tag.name == name)).one()  # expect: SQL103
        tag.name = f"old {name}"
    session.commit()
    return len(names)


# situation: fetched-together-then-deleted (clean, like SQL103, mends fetched-then-deleted)
@router.delete("/fetched-together-then-deleted")
def fetched_together_then_deleted(session: Db) -> int:
    names = ["tag 1", "tag 2", "tag 3"]
    tags = session.scalars(select(Tag).where(Tag.name.in_(names))).all()
    for tag in tags:
        tag.name = f"old {tag.name}"
    session.commit()
    return len(tags)


# situation: cursor-in-while (clean, like SQL103)
@router.get("/cursor-in-while")
def cursor_in_while(session: Db) -> int:
    found, last = 0, 0
    while (
        book := session.scalars(
            select(Book).where(Book.id > last).order_by(Book.id).limit(1)
        ).one_or_none()
    ) is not None:
        found, last = found + 1, book.id
    return found


# situation: tried-again (clean, like SQL105)
@router.get("/tried-again")
def tried_again(session: Db) -> int:
    for attempt in range(3):
        stock = session.scalar(select(Book.stock).where(Book.id == 1))
        if attempt == 2:
            return stock
        session.rollback()  # as after a serialisation failure
    return -1


# situation: two-databases (clean, like SQL105)
@router.get("/two-databases")
async def two_databases(session: AsyncDb) -> list[int]:
    query = text("SELECT count(*) FROM book")
    here = await session.scalar(query)
    there = await asyncio.to_thread(count_there)
    return [here, there]


def count_there() -> int:
    with new_session() as session:
        return session.scalar(text("SELECT count(*) FROM book"))


# situation: page-and-count (clean, like SQL105)
@router.get("/page-and-count")
def page_and_count(session: Db) -> list[int]:
    page = session.scalars(select(Book).order_by(Book.id).limit(5)).all()
    total = session.scalar(text("SELECT count(*) FROM book"))
    return [len(page), total]


# situation: joined-row-by-row (clean, like SQL101)
@router.get("/joined-row-by-row")
def joined_row_by_row(session: Db) -> list[str]:
    rows = session.execute(select(Author, Book).join(Author.books).order_by(Book.id))
    return [f"{author.name}: {book.title}" for author, book in rows]


# situation: property-in-response (notes RES102)
class WithCount(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    country: str
    book_count: int


@router.get("/property-in-response", response_model=list[WithCount])
def property_in_response(session: Db):
    return session.scalars(select(Author).order_by(Author.id)).all()  # expect: SQL101 Author.books


# situation: property-loaded (clean, like SQL101, mends property-in-response, notes RES102)
@router.get("/property-loaded", response_model=list[WithCount])
def property_loaded(session: Db):
    query = select(Author).options(selectinload(Author.books)).order_by(Author.id)
    return session.scalars(query).all()


# situation: handed-to-a-helper
def described(authors: Iterable[Author]) -> list[str]:
    return [f"{a.name}: {len(a.awards)}" for a in authors]  # expect: SQL101 Author.awards


@router.get("/handed-to-a-helper")
def handed_to_a_helper(session: Db) -> list[str]:
    return described(session.scalars(select(Author).order_by(Author.id)))


# situation: detached-and-added-again (clean, like SQL101)
@router.get("/detached-and-added-again")
def detached_and_added_again(session: Db) -> str:
    user = User(id=1, name="user 1", email="u1@example.org")
    make_transient_to_detached(user)
    session.add(user)
    return user.name
