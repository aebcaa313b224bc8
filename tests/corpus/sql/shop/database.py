"""Engines, sessions and the dependencies that hand them out.

The application binds them when it starts; a script does so in its first lines.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlmodel import Session as SQLModelSession

new_session = sessionmaker()
new_hero_session = sessionmaker(class_=SQLModelSession)
new_async_session = async_sessionmaker(expire_on_commit=False)
new_expiring_session = async_sessionmaker()  # expires its objects at each commit, the default
new_narrow_session = async_sessionmaker()  # over a pool of a single connection
new_impatient_session = async_sessionmaker()  # likewise, over one that waits for 100 ms

forgotten: list[Any] = []
"""Sessions that nobody closed, so that the garbage collector does not; the corpus does."""

_sync: list[Any] = []
_async: list[Any] = []


def bind(url: str, async_url: str) -> None:
    """Make the engines."""
    engine = create_engine(url)
    queue = AsyncAdaptedQueuePool  # SQLAlchemy 2.0 has no pool for files of SQLite
    wide = create_async_engine(async_url, poolclass=queue)
    narrow = create_async_engine(async_url, poolclass=queue, pool_size=1, max_overflow=0)
    impatient = create_async_engine(
        async_url, poolclass=queue, pool_size=1, max_overflow=0, pool_timeout=0.1
    )
    new_session.configure(bind=engine)
    new_hero_session.configure(bind=engine)
    new_async_session.configure(bind=wide)
    new_expiring_session.configure(bind=wide)
    new_narrow_session.configure(bind=narrow)
    new_impatient_session.configure(bind=impatient)
    _sync.append(engine)
    _async.extend((wide, narrow, impatient))


async def close_forgotten() -> None:
    """Close what situations left open."""
    while forgotten:
        closing = forgotten.pop().close()
        if closing is not None:
            await closing


async def dispose() -> None:
    """Close the pools."""
    while _async:
        await _async.pop().dispose()
    while _sync:
        _sync.pop().dispose()


def get_session() -> Iterator[Session]:
    with new_session() as session:
        yield session


def get_hero_session() -> Iterator[SQLModelSession]:
    with new_hero_session() as session:
        yield session


async def get_async_session() -> AsyncIterator[AsyncSession]:
    async with new_async_session() as session:
        yield session


async def get_expiring_session() -> AsyncIterator[AsyncSession]:
    async with new_expiring_session() as session:
        yield session


Db = Annotated[Session, Depends(get_session)]
HeroDb = Annotated[SQLModelSession, Depends(get_hero_session)]
AsyncDb = Annotated[AsyncSession, Depends(get_async_session)]
ExpiringDb = Annotated[AsyncSession, Depends(get_expiring_session)]
