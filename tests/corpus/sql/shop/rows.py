# ruff: noqa: S608 - names of our own tables
"""The rows that every situation finds."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, MetaData, insert, text
from sqlalchemy.orm import Session

from tests.corpus.sql.shop import models as m
from tests.corpus.sql.shop.heroes import Hero, HeroBase, Team

SCHEMAS: tuple[MetaData, ...] = (m.Base.metadata, HeroBase.metadata)
AUTHORS = 8
BOOKS_EACH = 2
LARGE = ("customer", "orders", "log_entry")
"""Tables to which no situation writes; they are filled once."""


def create(connection: Connection) -> None:
    """Make the tables and fill the large ones."""
    for schema in SCHEMAS:
        schema.create_all(connection)
    customers = [{"id": n, "email": f"c{n}@example.org"} for n in range(1, 601)]
    orders = [{"id": n, "cents": n, "customer_id": n // 2 + n % 2} for n in range(1, 1201)]
    connection.execute(insert(m.Customer.__table__), customers)
    connection.execute(insert(m.Order.__table__), orders)
    entries = [{"id": n, "text": "started"} for n in range(1, 1301)]
    connection.execute(insert(m.LogEntry.__table__), entries)


def refill(connection: Connection) -> None:
    """Bring all other tables back to what they were."""
    tables = [table for schema in SCHEMAS for table in reversed(schema.sorted_tables)]
    small = [table for table in tables if table.name not in LARGE]
    if connection.dialect.name == "postgresql":
        names = ", ".join(table.name for table in small)
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    else:
        for table in small:
            connection.execute(table.delete())
    with Session(connection) as session:
        session.add_all(_rows())
        session.flush()
    if connection.dialect.name == "postgresql":
        for table in small:
            if "id" in table.c:
                sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
                highest = f"(SELECT max(id) FROM {table.name})"
                connection.execute(
                    text(f"SELECT setval({sequence}, {highest}) WHERE {sequence} IS NOT NULL")
                )


def _rows() -> Iterator[Any]:
    publishers = [
        m.Publisher(id=n, name=f"publisher {n}") for n in range(1, AUTHORS * BOOKS_EACH + 1)
    ]
    tags = [m.Tag(id=n, name=f"tag {n}") for n in range(1, 5)]
    yield from publishers
    number = 0
    for author_id in range(1, AUTHORS + 1):
        books = []
        for _ in range(BOOKS_EACH):
            number += 1
            books.append(
                m.Book(
                    id=number,
                    title=f"title {number}",
                    stock=number % 5,
                    blurb="A good book.",
                    publisher=publishers[number - 1],
                    reviews=[m.Review(stars=number % 5 + 1), m.Review(stars=3)],
                    tags=[tags[number % 4], tags[(number + 1) % 4]],
                )
            )
        awards = [m.Award(name=f"award {author_id}.{n}") for n in range(5)]
        name, country = f"author {author_id}", "AT" if author_id % 2 else "IT"
        yield m.Author(id=author_id, name=name, country=country, books=books, awards=awards)
    leaves = [m.Category(id=10 + n, name="leaf") for n in range(1, 7)]
    middle = [
        m.Category(id=n + 1, name="branch", children=leaves[2 * n - 2 : 2 * n]) for n in (1, 2, 3)
    ]
    yield m.Category(id=1, name="root", children=middle)
    for n in range(1, 7):
        yield m.Invoice(id=n, total=n, lines=[m.InvoiceLine(), m.InvoiceLine()])
        yield m.Buyer(id=n, name=f"buyer {n}", budget=100 * n)
        yield m.User(id=n, name=f"user {n}", email=f"u{n}@example.org")
    for n in range(1, 5):
        yield m.Job(id=n, state="waiting")
        yield m.Shelf(id=n, name=f"shelf {n}")
        yield m.Place(id=n, shelf_id=n)
        yield m.Magazine(id=n, name=f"magazine {n}", issues=[m.Issue(), m.Issue()])
        heroes = [Hero(name=f"hero {n}.{k}") for k in range(2)]
        yield Team(id=n, name=f"team {n}", heroes=heroes)
    yield m.Rate(currency="USD", per_euro=1.25)
    yield m.Rate(currency="CHF", per_euro=0.95)
