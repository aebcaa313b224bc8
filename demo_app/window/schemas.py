"""What the window routes take and answer."""

from pydantic import BaseModel


class Placed(BaseModel):
    """A book that was put into the window."""

    book_id: int


class Offer(BaseModel):
    """The offer of the day; without a discount it is just shown."""

    title: str
    discount: int | None = None


class PriceTag(BaseModel):
    """What stands on the little card."""

    title: str
    price_cents: int


class PriceTagV2(BaseModel):
    """The same, for books whose price is not known yet, too."""

    title: str
    price_cents: int | None


class Curator(BaseModel):
    """Somebody who looks after the window."""

    user_name: str
