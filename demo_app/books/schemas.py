"""What the book routes answer."""

from pydantic import BaseModel, ConfigDict


class BookOut(BaseModel):
    """A book with everything its table holds."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    isbn: str
    price_cents: int
    cost_cents: int
    stock: int
    author_id: int


class BookListing(BaseModel):
    """A line in the list of books."""

    id: int
    title: str
    author: str
    stars: float | None


class BookCard(BaseModel):
    """The little card in the shop window."""

    model_config = ConfigDict(from_attributes=True)

    title: str
    price_cents: int


class Price(BaseModel):
    """A price in the customer's currency."""

    title: str
    amount: float
    currency: str


class Bestseller(BaseModel):
    """A title and the number of copies sold."""

    title: str
    sold: int


class Availability(BaseModel):
    """What the warehouse says about a book."""

    book_id: int
    available: bool
