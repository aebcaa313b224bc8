"""A mapping that makes every query load a relationship."""

from fastapi import FastAPI
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from fastapi_diagnostics import DiagnosticsMiddleware


class Base(DeclarativeBase):
    """Of this application alone."""


class Team(Base):
    __tablename__ = "eager_team"
    id: Mapped[int] = mapped_column(primary_key=True)
    heroes: Mapped[list["Hero"]] = relationship(lazy="selectin")  # EAGER_MAPPING


class Hero(Base):
    __tablename__ = "eager_hero"
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("eager_team.id"))
    team: Mapped[Team] = relationship(viewonly=True)


def make() -> FastAPI:
    """An application that knows the mapping, whether or not it has a database."""
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)

    @app.get("/start")
    async def start() -> str:
        return Hero.__tablename__

    return app
