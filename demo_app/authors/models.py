"""Table of authors."""

from typing import TYPE_CHECKING

from sqlmodel import Field, Relationship

from demo_app.database import Base

if TYPE_CHECKING:
    from demo_app.books.models import Book


class Author(Base, table=True):
    """Someone who wrote books."""

    id: int | None = Field(default=None, primary_key=True)
    name: str
    email: str

    books: list["Book"] = Relationship(back_populates="author")
