"""The table of gift cards."""

from sqlmodel import Field

from demo_app.database import Base


class GiftCard(Base, table=True):
    """A card somebody bought for somebody else; each code exists once."""

    id: int | None = Field(default=None, primary_key=True)
    code: str = Field(unique=True)
    cents: int
