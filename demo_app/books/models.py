"""Tables of books, reviews and exchange rates."""

from typing import TYPE_CHECKING

from sqlmodel import Field, Relationship

from demo_app.database import Base

if TYPE_CHECKING:
    from demo_app.authors.models import Author


class Book(Base, table=True):
    """A title on our shelves; prices are in cents of a euro."""

    id: int | None = Field(default=None, primary_key=True)
    title: str
    isbn: str = Field(index=True)
    price_cents: int
    cost_cents: int
    stock: int
    author_id: int = Field(foreign_key="author.id", index=True)

    author: "Author" = Relationship(back_populates="books")
    reviews: list["Review"] = Relationship(back_populates="book")


class Review(Base, table=True):
    """A reader's opinion: one to five stars."""

    id: int | None = Field(default=None, primary_key=True)
    stars: int
    text: str
    book_id: int = Field(foreign_key="book.id", index=True)

    book: Book = Relationship(back_populates="reviews")


class ExchangeRate(Base, table=True):
    """How much of a currency one euro buys."""

    currency: str = Field(primary_key=True)
    per_euro: float
