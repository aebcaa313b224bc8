"""An application with what audits look for; a comment marks each line that is to be found.

Imported by a fixture, which keeps back the warnings that pydantic gives meanwhile.
"""

import functools
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Depends, FastAPI, Query
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    root_validator,
    validator,
)
from pydantic.v1 import BaseModel as OldBaseModel
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlmodel import Field as Column
from sqlmodel import SQLModel


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "audited_author"

    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list["Book"]] = relationship(lazy="selectin")  # eager: Author.books selectin
    prizes: Mapped[list["Prize"]] = relationship(lazy="raise")


class Prize(Base):
    __tablename__ = "audited_prize"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("audited_author.id"))


class Book(Base):
    __tablename__ = "audited_book"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("audited_author.id"))
    author: Mapped[Author] = relationship(  # eager: Book.author joined
        lazy="joined",
        overlaps="books",
    )


class Novel(Book):
    """Inherits an eager relationship and declares none."""


class AuditedHero(SQLModel, table=True):
    __tablename__: ClassVar[Any] = "audited_hero"

    id: int = Column(default=None, primary_key=True)


class Colour(Enum):
    RED = "red"


class OldStyle(BaseModel):
    name: str
    note: str = None  # implicit: OldStyle.note
    colour: Colour = None  # implicit: OldStyle.colour
    tags: list[str] = Field(None)  # implicit: OldStyle.tags

    class Config:  # old: class Config
        frozen = True

    @validator("name")  # old: @validator
    def stripped(cls, value):  # noqa: N805 - as it was written then
        return value.strip()

    @root_validator(pre=True)  # old: @root_validator
    def whole(cls, values):  # noqa: N805
        return values

    def summary(self):
        return self.json()  # old: .json()

    @classmethod
    def of_row(cls, row):
        return cls.parse_obj(row)  # old: .parse_obj()


class NewStyle(BaseModel):
    """Has everything as it should be, and names that look like the old ones."""

    model_config = ConfigDict(frozen=True)

    name: str
    note: str | None = None
    anything: Any = None
    choice: Literal["a", None] = None  # noqa: PYI061 - told apart on purpose
    lenient: Annotated[str, BeforeValidator(str)] = None
    size: int = 0

    @field_validator("name")
    @classmethod
    def stripped(cls, value):
        return value.strip()


class Inherits(OldStyle):
    """Says nothing old of its own."""


class Carries(NewStyle):
    def dict(self, **_: Any):
        return {"name": self.name}


class OfVersionOne(OldBaseModel):
    name: str

    class Config:
        frozen = True


class Settings:
    """No model at all."""

    class Config:
        frozen = True

    def dict(self):
        return {}


def as_plain(item: OldStyle, rows: list[dict], settings: Settings, one: OfVersionOne):
    first = item.dict(exclude={"name"})  # old: .dict()
    rows = [OldStyle.parse_obj(row) for row in rows]  # old: .parse_obj()
    return first, rows, settings.dict(), one.dict(), item.model_dump(), item.name


def carries_its_own(item: Carries, either: OldStyle | Settings):
    item = item or Carries(name="x")
    return item.dict(), either.dict()


def replaced(item: OldStyle):
    item = {"dict": dict}
    return item.copy()


@functools.lru_cache
def remembered(item: NewStyle | None):
    return item.copy()  # old: .copy()


router = APIRouter()


def paging(
    page: int = 1,
    order: str = None,  # noqa: RUF013 # implicit: paging.order
):
    return page, order


class Filter:
    def __init__(self, colour: Annotated[Colour, Query()] = None):  # implicit: __init__.colour
        self.colour = colour


@router.get("/books")
async def books(
    paged: Annotated[tuple, Depends(paging)],
    wanted: Annotated[Filter, Depends()],
    author: str = Query(None),  # noqa: FAST002 # implicit: books.author
    year: int | None = None,
    anything: Any = None,
    limit: int = 20,
) -> list[NewStyle]:
    return [paged, wanted, author, year, anything, limit]


@router.post("/books")
async def add_book(item: OldStyle, again: Annotated[tuple, Depends(paging)]) -> NewStyle:
    return NewStyle(**item.dict(), size=len(again))  # old: .dict()


app = FastAPI(title="Audited")
app.include_router(router, prefix="/shop")
