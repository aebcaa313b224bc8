"""Tables of customers, orders and what was ordered."""

from datetime import date

from sqlmodel import Field, Relationship

from demo_app.database import Base


class Customer(Base, table=True):
    """Someone who buys books."""

    id: int | None = Field(default=None, primary_key=True)
    name: str
    email: str
    language: str


class Order(Base, table=True):
    """What a customer wants to have."""

    __tablename__ = "orders"

    id: int | None = Field(default=None, primary_key=True)
    customer_id: int = Field(foreign_key="customer.id", index=True)
    status: str
    carrier: str
    placed_on: date

    items: list["OrderItem"] = Relationship(back_populates="order")


class OrderItem(Base, table=True):
    """Some copies of one book."""

    id: int | None = Field(default=None, primary_key=True)
    order_id: int | None = Field(default=None, foreign_key="orders.id", index=True)
    book_id: int = Field(foreign_key="book.id", index=True)
    quantity: int

    order: Order = Relationship(back_populates="items")
