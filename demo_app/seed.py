"""What is on the shelves when the shop opens: the same at every start."""

from datetime import date, timedelta
from itertools import count

from fastapi.concurrency import run_in_threadpool

from demo_app.authors.models import Author
from demo_app.books.models import Book, ExchangeRate, Review
from demo_app.campaigns.models import Campaign, Channel, Click, Voucher
from demo_app.database import Base, async_engine, new_session
from demo_app.orders.models import Customer, Order, OrderItem
from demo_app.users.models import User
from demo_app.users.security import hash_password

AUTHORS = (
    "Ada Quill",
    "Bruno Vellum",
    "Clara Folio",
    "Dmitri Serif",
    "Elif Marginalia",
    "Femi Octavo",
    "Greta Bindings",
    "Hugo Colophon",
    "Ines Endpaper",
    "Jonas Quarto",
    "Kaya Palimpsest",
    "Leo Errata",
)
SUBJECTS = ("Lighthouse", "Orchard", "Clockmaker", "Harbour", "Winter Garden")
CUSTOMERS = (
    *("Mira", "Noor", "Otto", "Pia", "Quinn", "Rafi"),
    *("Sanna", "Tomas", "Uma", "Viggo", "Wanda", "Yusuf"),
)
LANGUAGES = ("en", "de", "fi")
CARRIERS = ("post", "courier", "shop")


async def seed() -> None:
    """Empty the shop and stock it again."""
    async with async_engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    people = await run_in_threadpool(_people)
    async with new_session() as db:
        db.add_all(people)
        await db.flush()
        db.add_all([*_orders(), *_campaigns(), *_clicks()])
        await db.commit()


def _people() -> list[Base]:
    """Make all who are there before anything is ordered, and the rates; takes its time."""
    return [*_authors(), *_customers(), *_rates(), *_users()]


def _authors() -> list[Author]:
    """Make 12 authors with five books each; every other book has two reviews."""
    number = count(1)
    return [
        Author(
            name=name,
            email=f"{name.split()[0].lower()}@authors.example",
            books=[_book(next(number), name, subject) for subject in SUBJECTS],
        )
        for name in AUTHORS
    ]


def _book(number: int, author: str, subject: str) -> Book:
    price = 900 + 37 * number
    reviews = [Review(stars=1 + number % 5, text="A fine read."), Review(stars=4, text="Again!")]
    return Book(
        title=f"{author.split()[0]} and the {subject}",
        isbn=f"978-0-00-{number:06}",
        price_cents=price,
        cost_cents=price * (50 + number % 20) // 100,
        stock=number % 15,
        reviews=reviews if number % 2 else [],
    )


def _customers() -> list[Customer]:
    return [
        Customer(
            name=name,
            email=f"{name.lower()}@readers.example",
            language=LANGUAGES[index % len(LANGUAGES)],
        )
        for index, name in enumerate(CUSTOMERS)
    ]


def _rates() -> list[ExchangeRate]:
    rates = {"EUR": 1.0, "GBP": 0.86, "USD": 1.09}
    return [ExchangeRate(currency=currency, per_euro=rate) for currency, rate in rates.items()]


def _users() -> list[User]:
    return [
        User(
            user_name=name,
            email=f"{name}@bookshop.example",
            password_hash=hash_password(name, f"{name}-password"),
            is_admin=name == "admin",
        )
        for name in ("admin", "clerk")
    ]


def _orders() -> list[Order]:
    """Make 24 orders: every customer has one that waits to be packed and one on its way."""
    return [
        Order(
            customer_id=1 + index % len(CUSTOMERS),
            status="placed" if index < len(CUSTOMERS) else "shipped",
            carrier=CARRIERS[index % len(CARRIERS)],
            placed_on=date(2025, 3, 1) + timedelta(days=index),
            items=[
                OrderItem(book_id=1 + (7 * index) % 60, quantity=1 + index % 3),
                OrderItem(book_id=1 + (7 * index + 3) % 60, quantity=1),
            ],
        )
        for index in range(24)
    ]


def _campaigns() -> list[Campaign]:
    """Make four campaigns with eight channels and eight vouchers each."""
    return [
        Campaign(
            name=f"{season} reading",
            slogan=f"Read on in {season.lower()}!",
            budget_cents=50_000 + 5_000 * index,
            channels=[Channel(name=f"Station {number}") for number in range(1, 9)],
            vouchers=[Voucher(code=f"{season[:3].upper()}{number}") for number in range(1, 9)],
        )
        for index, season in enumerate(("Spring", "Summer", "Autumn", "Winter"))
    ]


def _clicks() -> list[Click]:
    """Make 1,200 clicks, 13 hours apart."""
    return [Click(campaign_id=1 + number % 4, minute=780 * number) for number in range(1200)]
