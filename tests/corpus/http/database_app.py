"""Endpoints that return ORM objects and SQLModel tables."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI
from pydantic import BaseModel, ConfigDict, field_validator
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    selectinload,
)
from sqlalchemy.pool import StaticPool
from sqlmodel import Field, Relationship, SQLModel

from fastapi_diagnostics import DiagnosticsMiddleware


class Base(DeclarativeBase): ...


class Author(Base):
    __tablename__ = "corpus_author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    pen_name: Mapped[str | None]
    password_hash: Mapped[str] = mapped_column(default="$2b$12$" + "a" * 53)
    books: Mapped[list["Book"]] = relationship(back_populates="author")

    titles = association_proxy("books", "title")

    @property
    def book_count(self) -> int:
        return len(self.books)


class Book(Base):
    __tablename__ = "corpus_book"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("corpus_author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


class Team(SQLModel, table=True):
    __tablename__ = "corpus_team"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    heroes: list["Hero"] = Relationship(back_populates="team")


class Hero(SQLModel, table=True):
    __tablename__ = "corpus_hero"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    team_id: int | None = Field(default=None, foreign_key="corpus_team.id")
    team: Team | None = Relationship(back_populates="heroes")


class FromOrm(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class AuthorOut(FromOrm):
    id: int
    name: str


class AuthorFull(FromOrm):
    id: int
    name: str
    pen_name: str | None


class AuthorCounted(FromOrm):
    id: int
    name: str
    pen_name: str | None
    book_count: int


class AuthorTitled(FromOrm):
    id: int
    name: str
    pen_name: str | None
    titles: list[str]

    @field_validator("titles", mode="before")
    @classmethod
    def as_list(cls, value: Any) -> list[str]:
        return list(value)


class AuthorPenned(FromOrm):
    id: int
    name: str
    penname: str | None = None


class HeroPublic(SQLModel):
    id: int
    name: str
    team_id: int | None


def make() -> FastAPI:
    """An application with its own database in memory."""
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    Base.metadata.create_all(engine)
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        author = Author(id=1, name="Ende", pen_name="M", books=[Book(title="Momo")])
        session.add_all([author, Team(id=1, name="A", heroes=[Hero(id=1, name="Deadpond")])])
        session.commit()

    def get_session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    _authors(app, Annotated[Session, Depends(get_session)])
    _tasks(app, lambda: Session(engine))
    _heroes(app, Annotated[Session, Depends(get_session)])
    app.state.close = engine.dispose
    return app


def _authors(app: FastAPI, db: Any) -> None:
    @app.get("/columns", response_model=AuthorOut)
    def columns(session: db) -> Any:
        return session.get(Author, 1)

    @app.get("/complete", response_model=AuthorFull)
    def complete(session: db) -> Any:
        return session.get(Author, 1)

    @app.get("/eager", response_model=AuthorFull)
    def eager(session: db) -> Any:  # WASTED
        return session.scalars(select(Author).options(selectinload(Author.books))).one()

    @app.get("/counted", response_model=AuthorCounted)
    def counted(session: db) -> Any:
        return session.scalars(select(Author).options(selectinload(Author.books))).one()

    @app.get("/titled", response_model=AuthorTitled)
    def titled(session: db) -> Any:
        return session.scalars(select(Author).options(selectinload(Author.books))).one()

    @app.get("/read", response_model=AuthorFull)
    def read(session: db) -> Any:
        author = session.scalars(select(Author).options(selectinload(Author.books))).one()
        author.name = author.books[0].title
        return author

    @app.get("/misspelt", response_model=AuthorPenned)
    def misspelt(session: db) -> Any:
        return session.get(Author, 1)

    @app.get("/committed", response_model=AuthorOut)
    def committed(session: db) -> Any:
        author = session.get(Author, 1)
        session.commit()
        return author

    @app.get("/no-model")
    def no_model(session: db):  # type: ignore[no-untyped-def] # as people write it
        author = session.get(Author, 1)
        return {"name": author.name, "password_hash": author.password_hash}


def count_late(session: Session) -> None:
    session.scalars(select(Author)).all()  # USED_LATE


def _tasks(app: FastAPI, open_session: Callable[[], Session]) -> None:
    def count() -> None:
        with open_session() as session:
            session.scalars(select(Author)).all()

    @app.get("/task/of-request")
    def of_request(tasks: BackgroundTasks) -> str:
        with open_session() as session:
            tasks.add_task(count_late, session)
        return "ok"

    @app.get("/task/own")
    def own(tasks: BackgroundTasks) -> str:
        tasks.add_task(count)
        return "ok"


def _heroes(app: FastAPI, db: Any) -> None:
    @app.get("/heroes/own")
    def hero_as_itself(session: db) -> Hero:
        return session.scalars(select(Hero).options(selectinload(Hero.team))).one()

    @app.get("/heroes/public", response_model=HeroPublic)
    def hero_public(session: db) -> Any:
        return session.scalars(select(Hero).options(selectinload(Hero.team))).one()

    @app.get("/heroes/plain")
    def hero_plain(session: db) -> Hero:
        return session.get(Hero, 1)
