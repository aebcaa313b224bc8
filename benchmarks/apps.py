"""The applications that are measured, each with one endpoint, with or without us."""

import tempfile
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

SCENARIOS = ("trivial", "queries", "list", "sync")
"""A trivial async endpoint; 10 async ORM queries; 100 rows through a response model; `def`."""


class Author(BaseModel):
    """A nested model of the list."""

    id: int
    name: str


class Item(BaseModel):
    """A row of the list."""

    id: int
    title: str
    price: float
    author: Author


def make_app(scenario: str, *, watched: bool, store_url: str = "memory:") -> FastAPI:
    """Build the application of a scenario.

    Args:
        scenario: One of `SCENARIOS`.
        watched: Whether our middleware is added.
        store_url: For the middleware.
    """
    app = FastAPI()
    if watched:
        from fastapi_diagnostics import (  # noqa: PLC0415 - without us means: not even imported
            DiagnosticsMiddleware,
        )

        app.add_middleware(DiagnosticsMiddleware, store_url=store_url, log=False, banner=False)
    {"trivial": _trivial, "queries": _queries, "list": _list, "sync": _sync}[scenario](app)
    return app


def _trivial(app: FastAPI) -> None:
    @app.get("/")
    async def trivial() -> dict[str, str]:
        return {"hello": "world"}


def _sync(app: FastAPI) -> None:
    @app.get("/")
    def sync() -> dict[str, str]:
        return {"hello": "world"}


def _list(app: FastAPI) -> None:
    rows: list[dict[str, Any]] = [
        {"id": i, "title": f"Title {i}", "price": i / 7, "author": {"id": i % 9, "name": "Ada"}}
        for i in range(100)
    ]

    @app.get("/", response_model=list[Item])
    async def items() -> list[dict[str, Any]]:
        return rows


def _queries(app: FastAPI) -> None:
    from sqlalchemy import String  # noqa: PLC0415 - only this scenario pays for it
    from sqlalchemy.ext.asyncio import (  # noqa: PLC0415
        AsyncSession,
        async_sessionmaker,
        create_async_engine,
    )
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column  # noqa: PLC0415

    class Base(DeclarativeBase):
        """Of this scenario."""

    class Row(Base):
        """What is selected."""

        __tablename__ = "rows"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50))

    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder / 'rows.db'}")
    session = async_sessionmaker(engine, expire_on_commit=False)
    made: list[bool] = []

    async def prepare() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with session() as db:
            db.add_all(Row(id=i, name=f"row {i}") for i in range(1, 11))
            await db.commit()
        made.append(True)

    @app.get("/")
    async def ten_queries() -> list[str]:
        if not made:
            await prepare()
        async with session() as db:
            return [await _name(db, Row, key) for key in range(1, 11)]

    async def _name(db: AsyncSession, model: type[Row], key: int) -> str:
        row = await db.get_one(model, key)
        return row.name
