"""Columns that are loaded object by object: put off, expired, refreshed, of a subclass."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.orm import load_only, selectin_polymorphic, undefer

from tests.corpus.sql.shop.database import AsyncDb, Db, new_session
from tests.corpus.sql.shop.models import Author, Book, Buyer, Employee, Tag, User

router = APIRouter()


# situation: deferred-in-loop
@router.get("/deferred-in-loop")
def deferred_in_loop(session: Db) -> list[int]:
    books = session.scalars(select(Book).order_by(Book.id)).all()
    return [len(book.blurb) for book in books]  # expect: SQL102 Book.blurb


# situation: undeferred (clean, like SQL102, mends deferred-in-loop)
@router.get("/undeferred")
def undeferred(session: Db) -> list[int]:
    books = session.scalars(select(Book).options(undefer(Book.blurb)).order_by(Book.id)).all()
    return [len(book.blurb) for book in books]


# situation: left-out-by-load-only
@router.get("/left-out-by-load-only")
def left_out_by_load_only(session: Db) -> list[str]:
    query = select(Author).options(load_only(Author.name)).order_by(Author.id)
    result = []
    for author in session.scalars(query):
        result.append(f"{author.name} ({author.country})")  # expect: SQL102 Author.country
    return result


# situation: load-only-enough (clean, like SQL102)
@router.get("/load-only-enough")
def load_only_enough(session: Db) -> list[str]:
    query = select(Author).options(load_only(Author.name))
    return [f"{author.id}: {author.name}" for author in session.scalars(query)]


# situation: expired-by-commit
@router.post("/expired-by-commit")
def expired_by_commit(session: Db) -> list[str]:
    users = session.scalars(select(User).order_by(User.id)).all()
    for user in users:
        user.name = user.name.title()
    session.commit()
    return [user.name for user in users]  # expect: SQL102 User


# situation: read-before-commit (clean, like SQL102, mends expired-by-commit)
@router.post("/read-before-commit")
def read_before_commit(session: Db) -> list[str]:
    users = session.scalars(select(User).order_by(User.id)).all()
    for user in users:
        user.name = user.name.title()
    names = [user.name for user in users]
    session.commit()
    return names


# situation: kept-after-commit (clean, like SQL102, mends expired-by-commit)
@router.post("/kept-after-commit")
def kept_after_commit() -> list[str]:
    with new_session(expire_on_commit=False) as session:
        users = session.scalars(select(User).order_by(User.id)).all()
        for user in users:
            user.name = user.name.title()
        session.commit()
        return [user.name for user in users]


# situation: one-expired (clean, like SQL102)
@router.post("/one-expired")
def one_expired(session: Db) -> str:
    user = session.get_one(User, 1)
    user.name = "Ada"
    session.commit()
    return user.name


# situation: refresh-in-loop
@router.post("/refresh-in-loop")
def refresh_in_loop(session: Db) -> list[int]:
    tags = [Tag(name=f"new {number}") for number in range(4)]
    session.add_all(tags)
    session.commit()
    for tag in tags:
        session.refresh(tag)  # expect: SQL102 Tag warning
    return [len(tag.name) for tag in tags]


# situation: refreshed-to-see-others (undecided: to see what others wrote looks the same)
@router.post("/refreshed-to-see-others")
def refreshed_to_see_others(session: Db) -> list[str]:
    users = session.scalars(select(User).order_by(User.id)).all()
    session.rollback()
    for user in users:
        session.refresh(user)  # expect: SQL102 User warning
    return [user.name for user in users]


# situation: refreshed-at-once (clean, like SQL102, mends refresh-in-loop)
@router.post("/refreshed-at-once")
def refreshed_at_once(session: Db) -> list[int]:
    tags = [Tag(name=f"new {number}") for number in range(4)]
    session.add_all(tags)
    session.flush()
    ids = [tag.id for tag in tags]
    session.commit()
    session.scalars(
        select(Tag).where(Tag.id.in_(ids)).execution_options(populate_existing=True)
    ).all()
    return [len(tag.name) for tag in tags]


# situation: refresh-one (clean, like SQL102)
@router.post("/refresh-one")
def refresh_one(session: Db) -> str:
    tag = Tag(name="new")
    session.add(tag)
    session.commit()
    session.refresh(tag)
    return tag.name


# situation: subclass-columns
@router.get("/subclass-columns")
def subclass_columns(session: Db) -> int:
    total = 0
    for employee in session.scalars(select(Employee).order_by(Employee.id)):
        if isinstance(employee, Buyer):
            total += employee.budget  # expect: SQL102 Buyer.budget
    return total


# situation: subclass-columns-loaded (clean, like SQL102, mends subclass-columns)
@router.get("/subclass-columns-loaded")
def subclass_columns_loaded(session: Db) -> int:
    option = selectin_polymorphic(Employee, [Buyer])
    employees = session.scalars(select(Employee).options(option).order_by(Employee.id))
    return sum(employee.budget for employee in employees if isinstance(employee, Buyer))


# situation: deferred-of-one (clean, like SQL102)
@router.get("/deferred-of-one")
def deferred_of_one(session: Db) -> str:
    return session.get_one(Book, 1).blurb


# situation: response-reads-deferred
class BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    stock: int
    blurb: str
    author_id: int
    publisher_id: int


@router.get("/response-reads-deferred", response_model=list[BookOut])
def response_reads_deferred(session: Db):
    return session.scalars(select(Book).order_by(Book.id)).all()  # expect: SQL102 Book.blurb


# situation: deferred-below-a-relationship
@router.get("/deferred-below-a-relationship")
def deferred_below_a_relationship(session: Db) -> list[int]:
    author = session.get_one(Author, 1)
    return [len(book.blurb) for book in author.books]  # expect: SQL102 Book.blurb


# situation: async-awaited-columns
@router.get("/async-awaited-columns")
async def async_awaited_columns(session: AsyncDb) -> list[int]:
    books = (await session.scalars(select(Book).order_by(Book.id))).all()
    return [len(await book.awaitable_attrs.blurb) for book in books]  # expect: SQL102 Book.blurb
