"""Tables of campaigns."""

from sqlmodel import Field, Relationship

from demo_app.database import Base


class Campaign(Base, table=True):
    """Something we advertise."""

    id: int | None = Field(default=None, primary_key=True)
    name: str
    slogan: str
    budget_cents: int

    channels: list["Channel"] = Relationship(back_populates="campaign")
    vouchers: list["Voucher"] = Relationship(back_populates="campaign")


class Channel(Base, table=True):
    """Where a campaign is seen."""

    id: int | None = Field(default=None, primary_key=True)
    name: str
    campaign_id: int = Field(foreign_key="campaign.id", index=True)

    campaign: Campaign = Relationship(back_populates="channels")


class Voucher(Base, table=True):
    """A code that makes a book cheaper."""

    id: int | None = Field(default=None, primary_key=True)
    code: str
    campaign_id: int = Field(foreign_key="campaign.id", index=True)

    campaign: Campaign = Relationship(back_populates="vouchers")


class Click(Base, table=True):
    """Somebody followed a campaign; minutes count from the opening of the shop."""

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = Field(foreign_key="campaign.id", index=True)
    minute: int
