"""Engines, sessions and the base class of all tables.

Most of the shop is asynchronous; a few older endpoints still use a synchronous session.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from fastapi import Depends
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlmodel import SQLModel

from demo_app.database_config import database_settings

_folder = TemporaryDirectory(prefix="bookshop-")  # removes itself when the process ends
_file = database_settings.file or Path(_folder.name) / "bookshop.db"

async_engine = create_async_engine(f"sqlite+aiosqlite:///{_file}", echo=database_settings.echo)
sync_engine = create_engine(f"sqlite:///{_file}", echo=database_settings.echo)

new_session = async_sessionmaker(async_engine)
new_sync_session = sessionmaker(sync_engine)


class Base(AsyncAttrs, SQLModel):
    """What all tables have in common."""


async def get_db() -> AsyncIterator[AsyncSession]:
    """Open a session for one request."""
    async with new_session() as db:
        yield db


def get_sync_db() -> Iterator[Session]:
    """Open a synchronous session for one request."""
    with new_sync_session() as db:
        yield db


async def dispose_engines() -> None:
    """Close all connections."""
    await async_engine.dispose()
    sync_engine.dispose()


Db = Annotated[AsyncSession, Depends(get_db)]
SyncDb = Annotated[Session, Depends(get_sync_db)]
