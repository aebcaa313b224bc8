"""What the campaign routes answer."""

from pydantic import BaseModel


class Budget(BaseModel):
    """What a campaign may cost."""

    name: str
    budget_cents: int


class Reach(BaseModel):
    """A campaign, and how many channels and vouchers it has."""

    name: str
    channels: int
    vouchers: int


class Clicks(BaseModel):
    """How often a campaign was followed."""

    campaign_id: int
    clicks: int
