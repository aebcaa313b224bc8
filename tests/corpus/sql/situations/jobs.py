"""Rows that are changed: columns the database fills, workers, progress, rows made if missing."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tests.corpus.sql.shop.database import (
    AsyncDb,
    Db,
    new_async_session,
)
from tests.corpus.sql.shop.models import (
    Job,
    User,
)

router = APIRouter()


class OfRow(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class JobOut(OfRow):
    id: int
    state: str
    changed_at: datetime


# situation: changed-column-in-response
@router.patch("/changed-column-in-response", response_model=JobOut)
async def changed_column_in_response(session: AsyncDb):
    job = await session.get_one(Job, 1)
    job.state = "done"
    await session.commit()  # expect: SQL201 Job.changed_at
    return job


# situation: changed-column-refreshed (clean, like SQL201, mends changed-column-in-response)
@router.patch("/changed-column-refreshed", response_model=JobOut)
async def changed_column_refreshed(session: AsyncDb):
    job = await session.get_one(Job, 1)
    job.state = "done"
    await session.commit()
    await session.refresh(job, ["changed_at"])
    return job


# situation: flushed-column-in-response
async def committing() -> AsyncIterator[AsyncSession]:
    async with new_async_session() as session:
        yield session
        await session.commit()


Committing = Annotated[AsyncSession, Depends(committing)]


@router.patch("/flushed-column-in-response", response_model=JobOut)
async def flushed_column_in_response(session: Committing):
    job = await session.get_one(Job, 2)
    job.state = "done"
    await session.flush()  # expect: SQL201 Job.changed_at
    return job


# situation: flushed-column-refreshed (clean, like SQL201, mends flushed-column-in-response)
@router.patch("/flushed-column-refreshed", response_model=JobOut)
async def flushed_column_refreshed(session: Committing):
    job = await session.get_one(Job, 2)
    job.state = "done"
    await session.flush()
    await session.refresh(job, ["changed_at"])
    return job


# situation: inserted-column-in-response (clean, like SQL201)
@router.post("/inserted-column-in-response", response_model=JobOut)
async def inserted_column_in_response(session: Committing):
    job = Job(state="new")
    session.add(job)
    await session.flush()
    return job


# situation: changed-columns-one-by-one
@router.patch("/changed-columns-one-by-one")
def changed_columns_one_by_one(session: Db) -> list[bool]:
    jobs = session.scalars(select(Job).order_by(Job.id)).all()
    for job in jobs:
        job.state = "done"
    session.flush()
    known = [job.changed_at is not None for job in jobs]  # expect: SQL102 Job
    session.rollback()
    return known


# situation: changed-columns-at-once (clean, like SQL102, mends changed-columns-one-by-one)
@router.patch("/changed-columns-at-once")
def changed_columns_at_once(session: Db) -> list[bool]:
    jobs = session.scalars(select(Job).order_by(Job.id)).all()
    for job in jobs:
        job.state = "done"
    session.flush()
    session.scalars(select(Job).where(Job.id.in_([job.id for job in jobs]))).all()
    known = [job.changed_at is not None for job in jobs]
    session.rollback()
    return known


# situation: expired-by-hand
@router.get("/expired-by-hand")
async def expired_by_hand(session: AsyncDb) -> str:
    user = await session.get_one(User, 1)
    session.expire(user, ["email"])
    return user.email  # expect: SQL201 User.email


# situation: refreshed-by-hand (clean, like SQL201, mends expired-by-hand)
@router.get("/refreshed-by-hand")
async def refreshed_by_hand(session: AsyncDb) -> str:
    user = await session.get_one(User, 1)
    session.expire(user, ["email"])
    await session.refresh(user, ["email"])
    return user.email


# situation: worker-takes-jobs (clean, like SQL104)
@router.post("/worker-takes-jobs")
async def worker_takes_jobs() -> int:
    done = 0
    for _ in range(6):
        async with new_async_session.begin() as session:
            query = select(Job).where(Job.state == "waiting").order_by(Job.id).limit(1)
            job = await session.scalar(query.with_for_update(skip_locked=True))
            if job is not None:
                job.state = "done"
                done += 1
    return done


# situation: made-unless-there
@router.post("/made-unless-there")
def made_unless_there(session: Db) -> int:
    for number in range(4, 12):
        query = select(User).where(User.email == f"u{number}@example.org")
        if session.scalar(query) is None:  # expect: SQL103
            session.add(User(name="new", email=f"u{number}@example.org"))
    session.commit()
    return session.scalar(select(func.count()).select_from(User))


# situation: made-of-those-missing (clean, like SQL103, mends made-unless-there)
@router.post("/made-of-those-missing")
def made_of_those_missing(session: Db) -> int:
    wanted = [f"u{number}@example.org" for number in range(4, 12)]
    known = set(session.scalars(select(User.email).where(User.email.in_(wanted))))
    session.add_all(User(name="new", email=email) for email in wanted if email not in known)
    session.commit()
    return session.scalar(select(func.count()).select_from(User))


# situation: progress-of-a-job (clean, like SQL104)
@router.post("/progress-of-a-job")
async def progress_of_a_job(session: AsyncDb) -> str:
    job = await session.get_one(Job, 3)
    for percent in range(0, 101, 10):
        job.state = f"{percent} %"
        await session.commit()
    return job.state


# situation: progress-by-statement (clean, like SQL104)
@router.post("/progress-by-statement")
def progress_by_statement(session: Db) -> int:
    steps = ("fetch", "parse", "check", "store", "index", "done")
    for step in steps:
        session.execute(update(Job).where(Job.id == 4).values(state=step))
        session.commit()
    return len(steps)


# situation: refused-and-answered (clean, like SQL306)
@router.post("/refused-and-answered")
async def refused_and_answered(session: AsyncDb) -> str:
    session.add(User(name="new", email="u2@example.org"))
    try:
        await session.flush()
    except IntegrityError:
        await session.rollback()
        return "known already"
    return "new"
