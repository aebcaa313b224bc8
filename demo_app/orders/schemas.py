"""What the order routes take and answer."""

from datetime import date

from pydantic import BaseModel, Field


class ItemIn(BaseModel):
    """Some copies of one book."""

    book_id: int
    quantity: int = Field(ge=1)


class OrderIn(BaseModel):
    """An order, or a wish to know what it would cost."""

    customer_id: int
    items: list[ItemIn] = Field(min_length=1)


class OrderOut(BaseModel):
    """An order that was taken."""

    id: int
    status: str
    copies: int


class Quote(BaseModel):
    """What an order would cost, in cents of a euro."""

    total_cents: int


class OpenOrder(BaseModel):
    """An order that waits to be packed."""

    id: int
    customer: str
    placed_on: date


class Tracking(BaseModel):
    """Where to follow a parcel."""

    url: str
