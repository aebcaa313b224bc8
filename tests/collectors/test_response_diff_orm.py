"""The response diff over ORM objects: nothing is loaded, nothing is missed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, create_engine, event, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    selectinload,
)
from sqlalchemy.pool import StaticPool

from fastapi_diagnostics.collectors import response_diff
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import StrippedField
from tests.collectors.recorded_calls import call
from tests.installed import installed


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    password_hash: Mapped[str] = mapped_column(default="x")
    biography: Mapped[str] = mapped_column(default="long", deferred=True)
    books: Mapped[list["Book"]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


class BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    title: str


class AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str


class AuthorWithBooks(AuthorOut):
    books: list[BookOut]


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(response_diff, root=Path(__file__).parent) as hooks:
        yield hooks


@pytest.fixture
def engine() -> Iterator[Any]:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Author(name="Ende", books=[Book(title="Momo"), Book(title="Jim")]))
        session.commit()
    yield engine
    engine.dispose()


@pytest.fixture
def statements(engine: Any) -> list[str]:
    seen: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    return seen


def app_of(engine: Any, model: Any, *options: Any, commit: bool = False) -> FastAPI:
    app = FastAPI()

    def session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session
            if commit:
                session.commit()

    @app.get("/", response_model=model)
    def endpoint(db: Annotated[Session, Depends(session)]) -> Any:
        return db.scalars(select(Author).options(*options)).all()

    return app


def stripped(app: FastAPI) -> dict[str, StrippedField]:
    (diff,) = call(app, "/").record.response_diffs
    return {field.path: field for field in diff.fields}


def test_loaded_columns_that_are_not_declared_are_found(engine: Any) -> None:
    fields = stripped(app_of(engine, list[AuthorOut]))

    assert sorted(fields) == ["[].id", "[].password_hash"]
    assert fields["[].id"].source == "orm"
    assert fields["[].id"].owner == "Author"
    assert fields["[].password_hash"].secret


def test_a_loaded_relationship_is_told_from_a_column(engine: Any) -> None:
    fields = stripped(app_of(engine, list[AuthorOut], selectinload(Author.books)))

    assert fields["[].books"].relationship
    assert not fields["[].id"].relationship


def test_objects_below_a_relationship_are_walked(engine: Any) -> None:
    fields = stripped(app_of(engine, list[AuthorWithBooks]))

    assert {"[].books[].id", "[].books[].author_id"} <= fields.keys()


@pytest.mark.parametrize(
    "model", [list[AuthorOut], list[AuthorWithBooks]], ids=["columns", "relationship"]
)
def test_looking_costs_no_statement(engine: Any, statements: list[str], model: Any) -> None:
    app = app_of(engine, model)
    call(app, "/", recorded=False)
    without = list(statements)
    statements.clear()

    call(app, "/")

    assert statements == without


def test_a_commit_in_the_teardown_hides_nothing(engine: Any) -> None:
    fields = stripped(app_of(engine, list[AuthorOut], commit=True))

    assert "[].id" in fields


def test_a_table_of_sqlmodel_is_an_orm_object() -> None:
    sqlmodel = pytest.importorskip("sqlmodel")

    class RacerOut(sqlmodel.SQLModel):
        name: str

    class Racer(sqlmodel.SQLModel, table=True):
        id: int | None = sqlmodel.Field(default=None, primary_key=True)
        name: str
        secret_name: str
        age: int | None = None

    app = FastAPI()

    @app.get("/", response_model=RacerOut)
    async def endpoint() -> Any:
        return Racer(id=1, name="Deadpond", secret_name="Dive", age=3)  # noqa: S106

    fields = stripped(app)

    assert [(path, field.source) for path, field in fields.items() if not field.secret] == [
        ("age", "orm"),
        ("id", "orm"),
    ]
