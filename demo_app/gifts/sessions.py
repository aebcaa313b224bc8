"""Sessions as gift cards get them: the till has one connection, and its own ways."""

from collections.abc import AsyncIterator, Iterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import AsyncAdaptedQueuePool

from demo_app.database import async_engine, new_session, new_sync_session

till_engine = create_async_engine(
    async_engine.url,
    poolclass=AsyncAdaptedQueuePool,
    pool_size=1,
    max_overflow=0,
    pool_timeout=0.2,
)
till_session = async_sessionmaker(till_engine)


async def get_committed_db() -> AsyncIterator[AsyncSession]:
    """Commit behind the yield, when the client has its answer."""
    async with new_session() as db:
        yield db
        await db.commit()  # defect: SQL307 commits-too-late


def get_open_db() -> Session:
    """Open a session and leave it to others to close it."""
    return new_sync_session()  # defect: SQL303 nobody-closes


def get_open_db_v2() -> Iterator[Session]:
    """Mended: closes what it opened."""
    with new_sync_session() as db:
        yield db


async def get_till() -> AsyncIterator[AsyncSession]:
    """Open a session of the till."""
    async with till_session() as db:
        yield db
