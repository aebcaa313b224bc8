# ruff: noqa: RUF012 - as mappings are written
"""Tables of a bookshop."""

from datetime import datetime

from sqlalchemy import ForeignKey, func
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    WriteOnlyMapped,
    mapped_column,
    relationship,
)


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Publisher(Base):
    __tablename__ = "publisher"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list["Book"]] = relationship(back_populates="publisher", order_by="Book.id")


class Author(Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    country: Mapped[str]
    books: Mapped[list["Book"]] = relationship(back_populates="author", order_by="Book.id")
    awards: Mapped[list["Award"]] = relationship(order_by="Award.id")

    @property
    def book_count(self) -> int:
        return len(self.books)


class Award(Base):
    __tablename__ = "award"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    stock: Mapped[int]
    blurb: Mapped[str] = mapped_column(deferred=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publisher.id"))
    author: Mapped[Author] = relationship(back_populates="books")
    publisher: Mapped[Publisher] = relationship(back_populates="books")
    reviews: Mapped[list["Review"]] = relationship(order_by="Review.id")
    tags: Mapped[list["Tag"]] = relationship(secondary="book_tag", order_by="Tag.id")


class Review(Base):
    __tablename__ = "review"

    id: Mapped[int] = mapped_column(primary_key=True)
    stars: Mapped[int]
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"))


class Tag(Base):
    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class BookTag(Base):
    __tablename__ = "book_tag"

    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"), primary_key=True)


class Category(Base):
    """A tree."""

    __tablename__ = "category"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("category.id"))
    children: Mapped[list["Category"]] = relationship(order_by="Category.id")


class Invoice(Base):
    """Its lines go with it when it is deleted."""

    __tablename__ = "invoice"

    id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int]
    lines: Mapped[list["InvoiceLine"]] = relationship(cascade="all, delete-orphan")


class InvoiceLine(Base):
    __tablename__ = "invoice_line"

    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id"))


class Employee(Base):
    """With subclasses that have tables of their own."""

    __tablename__ = "employee"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "employee"}


class Buyer(Employee):
    __tablename__ = "buyer"

    id: Mapped[int] = mapped_column(ForeignKey("employee.id"), primary_key=True)
    budget: Mapped[int]

    __mapper_args__ = {"polymorphic_identity": "buyer"}


class Shelf(Base):
    """With more books than anybody wants to load at once."""

    __tablename__ = "shelf"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    places: WriteOnlyMapped["Place"] = relationship()


class Place(Base):
    __tablename__ = "place"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelf.id"))


class Magazine(Base):
    """Loads its issues with every query."""

    __tablename__ = "magazine"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    issues: Mapped[list["Issue"]] = relationship(lazy="selectin")


class Issue(Base):
    __tablename__ = "issue"

    id: Mapped[int] = mapped_column(primary_key=True)
    magazine_id: Mapped[int] = mapped_column(ForeignKey("magazine.id"))


class Customer(Base):
    """There are 600 of them, so that loading their orders takes two statements."""

    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")


class Order(Base):
    """There are 1,200 of them."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    customer: Mapped[Customer] = relationship(back_populates="orders")


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)


class Rate(Base):
    __tablename__ = "rate"

    currency: Mapped[str] = mapped_column(primary_key=True)
    per_euro: Mapped[float]


class Job(Base):
    """The database keeps the time of its last change."""

    __tablename__ = "job"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class LogEntry(Base):
    __tablename__ = "log_entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
