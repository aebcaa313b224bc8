# ruff: noqa: S608 - a constant
"""What applications do with sessions and writes: the careful ones beside the careless ones."""

import asyncio

from fastapi import APIRouter, BackgroundTasks
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload

from tests.corpus.sql.shop.database import (
    AsyncDb,
    Db,
    HeroDb,
    forgotten,
    new_async_session,
    new_session,
)
from tests.corpus.sql.shop.heroes import Hero
from tests.corpus.sql.shop.models import Author, Book, Tag, User

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


# situation: upsert-per-row
@router.post("/upsert-per-row")
def upsert_per_row(session: Db) -> int:
    upsert = text("INSERT INTO tag (name) VALUES (:name) ON CONFLICT (name) DO NOTHING")
    for number in range(3, 9):
        session.execute(upsert, {"name": f"tag {number}"})  # expect: SQL104
    session.commit()
    return session.scalar(select(func.count()).select_from(Tag))


# situation: upsert-many (clean, like SQL104, mends upsert-per-row)
@router.post("/upsert-many")
def upsert_many(session: Db) -> int:
    upsert = text("INSERT INTO tag (name) VALUES (:name) ON CONFLICT (name) DO NOTHING")
    session.execute(upsert, [{"name": f"tag {number}"} for number in range(3, 9)])
    session.commit()
    return session.scalar(select(func.count()).select_from(Tag))


# situation: insert-returning (clean, like SQL104)
@router.post("/insert-returning")
def insert_returning(session: Db) -> int:
    rows = [{"name": f"new {number}"} for number in range(30)]
    ids = session.scalars(insert(Tag).returning(Tag.id), rows).all()
    session.commit()
    return len(ids)


# situation: update-many (clean, like SQL104)
@router.post("/update-many")
def update_many(session: Db) -> int:
    session.execute(update(Book), [{"id": number, "stock": number} for number in range(1, 9)])
    session.commit()
    return 8


# situation: one-insert-with-values (clean, like SQL104)
@router.post("/one-insert-with-values")
def one_insert_with_values(session: Db) -> int:
    session.execute(insert(Tag).values([{"name": f"new {number}"} for number in range(8)]))
    session.commit()
    return 8


# situation: savepoint-per-row (undecided: a failure leaves the others, looks the same)
@router.post("/savepoint-per-row")
def savepoint_per_row(session: Db) -> int:
    stored = 0
    for number in range(8):
        try:
            with session.begin_nested():  # expect: SQL104
                session.add(Tag(name=f"new {number}"))
            stored += 1
        except IntegrityError:
            continue
    session.commit()
    return stored


# situation: as-in-the-tutorial
@router.post("/as-in-the-tutorial")
def as_in_the_tutorial(session: HeroDb) -> list[str]:
    names = []
    for number in range(6):
        hero = Hero(name=f"new {number}", team_id=1)
        session.add(hero)
        session.commit()  # expect: SQL104
        session.refresh(hero)  # expect: SQL102 Hero warning
        names.append(hero.name)
    return names


# situation: one-hero-as-in-the-tutorial (clean, like SQL102)
@router.post("/one-hero-as-in-the-tutorial")
def one_hero_as_in_the_tutorial(session: HeroDb) -> str:
    hero = Hero(name="new", team_id=1)
    session.add(hero)
    session.commit()
    session.refresh(hero)
    return hero.name


# situation: heroes-at-once (clean, like SQL104, mends as-in-the-tutorial)
@router.post("/heroes-at-once")
def heroes_at_once(session: HeroDb) -> list[str]:
    heroes = [Hero(name=f"new {number}", team_id=1) for number in range(6)]
    session.add_all(heroes)
    session.flush()
    names = [hero.name for hero in heroes]
    session.commit()
    return names


# situation: response-after-close
@router.get("/response-after-close", response_model=AuthorOut)
def response_after_close():
    with new_session() as session:
        query = select(Author).where(Author.id == 1)
        return session.scalars(query).one()  # expect: SQL202 Author.awards


# situation: response-after-close-loaded (clean, like SQL202)
@router.get("/response-after-close-loaded", response_model=AuthorOut)
def response_after_close_loaded():
    with new_session() as session:
        query = select(Author).where(Author.id == 1).options(selectinload(Author.awards))
        return session.scalars(query).one()


# situation: expired-and-closed
@router.post("/expired-and-closed")
def expired_and_closed() -> str:
    with new_session() as session:
        user = session.get_one(User, 1)
        user.name = "Ada"
        session.commit()
    return user.name  # expect: SQL202 User.name


# situation: session-in-a-task-group
@router.get("/session-in-a-task-group")
async def session_in_a_task_group(session: AsyncDb) -> int:
    await session.execute(text("SELECT 1"))
    slow = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500)"
    async with asyncio.TaskGroup() as group:  # expect: SQL203
        first = group.create_task(session.scalar(text(f"{slow} SELECT count(*) FROM book, n")))
        second = group.create_task(session.scalar(text(f"{slow} SELECT count(*) FROM author, n")))
    return first.result() + second.result()


# situation: one-after-the-other (clean, like SQL203)
@router.get("/one-after-the-other")
async def one_after_the_other(session: AsyncDb) -> list[int]:
    tasks = []
    for model in (Author, Book):
        task = asyncio.create_task(session.scalar(select(func.count()).select_from(model)))
        tasks.append(await task)
    return tasks


# situation: async-left-open
@router.get("/async-left-open")
async def async_left_open() -> list[str]:
    session = new_async_session()  # expect: SQL303
    forgotten.append(session)
    return list(await session.scalars(select(Author.name).order_by(Author.id)))


# situation: made-and-never-used (clean, like SQL303)
@router.get("/made-and-never-used")
async def made_and_never_used() -> str:
    forgotten.append(new_async_session())  # took no connection
    return "nothing"


# situation: committed-and-forgotten (clean, like SQL303)
@router.post("/committed-and-forgotten")
def committed_and_forgotten() -> str:
    session = new_session()
    forgotten.append(session)
    session.add(Tag(name="new"))
    session.commit()  # which gave the connection back
    return "stored"


# situation: lazy-in-background
def mail_to(author: Author) -> None:
    print(end=" " * 0 * len(author.books))  # expect: SQL304 Author.books


@router.post("/lazy-in-background")
def lazy_in_background(tasks: BackgroundTasks) -> str:
    with new_session() as session:
        tasks.add_task(mail_to, session.get_one(Author, 1))
    return "accepted"


# situation: loaded-for-background (clean, like SQL304)
def mail_with(author: Author) -> None:
    print(end=" " * 0 * len(author.books))


@router.post("/loaded-for-background")
def loaded_for_background(tasks: BackgroundTasks) -> str:
    with new_session() as session:
        author = session.get_one(Author, 1, options=[selectinload(Author.books)])
        tasks.add_task(mail_with, author)
    return "accepted"


# situation: columns-in-background (clean, like SQL304)
def greet(user: User) -> None:
    print(end=" " * 0 * len(user.email))


@router.post("/columns-in-background")
async def columns_in_background(session: AsyncDb, tasks: BackgroundTasks) -> str:
    tasks.add_task(greet, await session.get_one(User, 1))
    return "accepted"
