"""The same question twice, and what only looks like it."""

from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from tests.corpus.sql.shop.database import AsyncDb, Db, new_session
from tests.corpus.sql.shop.models import Author, Book, LogEntry, Rate, Tag, User

router = APIRouter()


# situation: rate-in-loop
@router.get("/rate-in-loop")
def rate_in_loop(session: Db) -> list[float]:
    prices = []
    query = select(Rate.per_euro).where(Rate.currency == "USD")
    for price in (10, 20, 30, 40):
        rate = session.scalar(query)  # expect: SQL105 warning
        prices.append(price * rate)
    return prices


# situation: rate-once (clean, like SQL105, mends rate-in-loop)
@router.get("/rate-once")
def rate_once(session: Db) -> list[float]:
    rate = session.scalar(select(Rate.per_euro).where(Rate.currency == "USD"))
    return [price * rate for price in (10, 20, 30, 40)]


# situation: six-times-behind-helper
def total_of(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Book))


@router.get("/six-times-behind-helper")
def six_times_behind_helper(session: Db) -> list[str]:
    lines = []
    for number in range(1, 7):
        lines.append(f"{number} of {total_of(session)}")  # expect: SQL105 warning
    return lines


# situation: read-again-on-purpose (undecided: reading again on purpose looks the same)
@router.get("/read-again-on-purpose")
def read_again_on_purpose(session: Db) -> bool:
    before = session.scalar(select(func.count()).select_from(Rate))
    after = session.scalar(select(func.count()).select_from(Rate))  # expect: SQL105 info
    return before == after  # whether the isolation level holds


# situation: asked-before-the-loop (clean, like SQL105, mends six-times-behind-helper)
@router.get("/asked-before-the-loop")
def asked_before_the_loop(session: Db) -> list[str]:
    total = total_of(session)
    return [f"{number} of {total}" for number in range(1, 7)]


# situation: text-again
@router.get("/text-again")
def text_again(session: Db) -> int:
    total = 0
    for _ in range(3):
        total += session.scalar(text("SELECT count(*) FROM author"))  # expect: SQL105 warning
    return total


# situation: text-once (clean, like SQL105, mends text-again)
@router.get("/text-once")
def text_once(session: Db) -> int:
    count = session.scalar(text("SELECT count(*) FROM author"))
    return sum(count for _ in range(3))


# situation: two-dependencies
def current_user(session: Db) -> str:
    return session.scalars(select(User).where(User.email == "u1@example.org")).one().name


def current_locale(session: Db) -> str:
    query = select(User).where(User.email == "u1@example.org")
    user = session.scalars(query).one()  # expect: SQL105 info
    return "de" if user.id == 1 else "en"


@router.get("/two-dependencies")
def two_dependencies(
    name: Annotated[str, Depends(current_user)], locale: Annotated[str, Depends(current_locale)]
) -> str:
    return f"{name} {locale}"


# situation: one-dependency-twice (clean, like SQL105, mends two-dependencies)
def the_user(session: Db) -> User:
    return session.scalars(select(User).where(User.email == "u1@example.org")).one()


def the_locale(user: Annotated[User, Depends(the_user)]) -> str:
    return "de" if user.id == 1 else "en"


@router.get("/one-dependency-twice")
def one_dependency_twice(
    user: Annotated[User, Depends(the_user)], locale: Annotated[str, Depends(the_locale)]
) -> str:
    return f"{user.name} {locale}"


# situation: async-again
@router.get("/async-again")
async def async_again(session: AsyncDb) -> list[str]:
    names = []
    for _ in range(4):
        query = select(Author.name).where(Author.country == "IT")
        names += await session.scalars(query)  # expect: SQL105 warning
    return names


# situation: async-rows-kept (clean, like SQL105, mends async-again)
@router.get("/async-rows-kept")
async def async_rows_kept(session: AsyncDb) -> list[str]:
    query = select(Author.name).where(Author.country == "IT")
    rows = (await session.scalars(query)).all()
    names = []
    for _ in range(4):
        names += rows
    return names


# situation: before-and-after-a-write (clean, like SQL105)
@router.post("/before-and-after-a-write")
def before_and_after_a_write(session: Db) -> list[int]:
    count = select(func.count()).select_from(Tag)
    before = session.scalar(count)
    session.add(Tag(name="new"))
    session.flush()
    after = session.scalar(count)
    session.commit()
    return [before, after]


# situation: before-and-after-an-update (clean, like SQL105)
@router.post("/before-and-after-an-update")
def before_and_after_an_update(session: Db) -> list[int]:
    low = select(func.count()).select_from(Book).where(Book.stock == 0)
    before = session.scalar(low)
    session.execute(update(Book).values(stock=Book.stock + 1))
    after = session.scalar(low)
    session.commit()
    return [before, after]


# situation: waiting-for-a-job (clean, like SQL105)
@router.get("/waiting-for-a-job")
def waiting_for_a_job(session: Db) -> int:
    attempts = 0
    while session.scalar(select(LogEntry.text).where(LogEntry.id == 1)) != "done" and attempts < 3:
        attempts += 1
        session.rollback()  # to see what others have written
    return attempts


# situation: same-in-two-transactions (clean, like SQL105)
@router.get("/same-in-two-transactions")
def same_in_two_transactions() -> list[int]:
    counts = []
    for _ in range(2):
        with new_session() as session:
            counts.append(session.scalar(select(func.count()).select_from(Book)))
    return counts


# situation: random-draw (clean, like SQL105)
@router.get("/random-draw")
def random_draw(session: Db) -> int:
    drawn = select(Book.id).order_by(func.random()).limit(1)
    return len([session.scalar(drawn) for _ in range(4)])


# situation: different-values (clean, like SQL105)
@router.get("/different-values")
def different_values(session: Db) -> list[int]:
    austrian = session.scalar(
        select(func.count()).select_from(Author).where(Author.country == "AT")
    )
    italian = session.scalar(select(func.count()).select_from(Author).where(Author.country == "IT"))
    return [austrian, italian]


# situation: requests-at-once (clean, like SQL105, times 3)
@router.get("/requests-at-once")
async def requests_at_once(session: AsyncDb) -> int:
    return await session.scalar(select(func.count()).select_from(Author))


# situation: pings (clean, like SQL105)
@router.get("/pings")
def pings(session: Db) -> int:
    return sum(session.execute(text("SELECT 1")).scalar_one() for _ in range(5))
