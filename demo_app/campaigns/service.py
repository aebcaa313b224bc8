"""Campaigns: lists, figures and vouchers."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, joinedload, load_only, selectinload
from sqlmodel import col

from demo_app.campaigns.models import Campaign, Click, Voucher
from demo_app.campaigns.schemas import Budget, Clicks, Reach

MINUTES = 4 * 365 * 24 * 60
"""Since the shop was opened."""
COSTLY_CENTS = 60_000
CODES = ("SPRING", "SUMMER", "AUTUMN", "WINTER", "READER", "FRIEND")


def budgets(db: Session) -> list[Budget]:
    """List the budgets; the query leaves the column out that is needed."""
    query = select(Campaign).options(load_only(Campaign.name))
    found = []
    for campaign in db.scalars(query).all():
        budget = campaign.budget_cents  # defect: SQL102 column-left-out
        found.append(Budget(name=campaign.name, budget_cents=budget))
    return found


def budgets_v2(db: Session) -> list[Budget]:
    """Mended: asks for both columns."""
    query = select(Campaign).options(load_only(Campaign.name, Campaign.budget_cents))
    return [
        Budget(name=campaign.name, budget_cents=campaign.budget_cents)
        for campaign in db.scalars(query).all()
    ]


async def issue_vouchers(db: AsyncSession, campaign_id: int) -> int:
    """Issue a voucher of each kind; every one in a transaction of its own."""
    for code in CODES:
        db.add(Voucher(code=code, campaign_id=campaign_id))
        await db.commit()  # defect: SQL104 commit-per-voucher
    return len(CODES)


async def issue_vouchers_v2(db: AsyncSession, campaign_id: int) -> int:
    """Mended: one transaction for all of them."""
    db.add_all([Voucher(code=code, campaign_id=campaign_id) for code in CODES])
    await db.commit()
    return len(CODES)


async def busy_minutes(db: AsyncSession) -> int:
    """Count minutes with clicks; makes a row for every minute since the opening to do so."""
    minutes = select(literal(0).label("minute")).cte("minutes", recursive=True)
    following = select(minutes.c.minute + 1).where(minutes.c.minute < MINUTES)
    minutes = minutes.union_all(following)
    clicked = select(col(Click.minute))
    query = select(func.count()).where(minutes.c.minute.in_(clicked))
    return await db.scalar(query) or 0  # defect: SQL106 every-minute


async def busy_minutes_v2(db: AsyncSession) -> int:
    """Mended: looks at the clicks only."""
    return await db.scalar(select(func.count(col(Click.minute).distinct()))) or 0


async def names(db: AsyncSession) -> list[str]:
    """List the names; loads all channels along, of which nothing is shown."""
    query = select(Campaign).options(selectinload(Campaign.channels))
    campaigns = await db.scalars(query)  # defect: SQL107 channels-for-nothing
    return [campaign.name for campaign in campaigns]


async def names_v2(db: AsyncSession) -> list[str]:
    """Mended: loads what is shown."""
    return [campaign.name for campaign in await db.scalars(select(Campaign))]


async def reach(db: AsyncSession) -> list[Reach]:
    """Count channels and vouchers; every channel comes with every voucher."""
    query = select(Campaign).options(joinedload(Campaign.channels), joinedload(Campaign.vouchers))
    campaigns = (await db.scalars(query)).unique().all()  # defect: SQL108 side-by-side
    return _reach(campaigns)


async def reach_v2(db: AsyncSession) -> list[Reach]:
    """Mended: one statement for each of them."""
    query = select(Campaign).options(
        selectinload(Campaign.channels), selectinload(Campaign.vouchers)
    )
    return _reach((await db.scalars(query)).all())


async def clicks(db: AsyncSession) -> list[Clicks]:
    """Count clicks of campaigns; fetches each of them."""
    found = (await db.scalars(select(Click))).all()  # defect: SQL109 every-click
    counted = Counter(click.campaign_id for click in found)
    return [Clicks(campaign_id=number, clicks=count) for number, count in sorted(counted.items())]


async def clicks_v2(db: AsyncSession) -> list[Clicks]:
    """Mended: lets the database count."""
    number = col(Click.campaign_id)
    query = select(number, func.count()).group_by(number).order_by(number)
    return [Clicks(campaign_id=found, clicks=count) for found, count in await db.execute(query)]


def stations(db: Session) -> list[str]:
    """List where costly campaigns are seen; so far there is one, and so one more query."""
    found: list[str] = []
    query = select(Campaign).where(col(Campaign.budget_cents) > COSTLY_CENTS)
    for campaign in db.scalars(query).all():
        found += [channel.name for channel in campaign.channels]  # defect: SQL110 one-so-far
    return found


def stations_v2(db: Session) -> list[str]:
    """Mended: loads the channels of however many there will be."""
    query = select(Campaign).where(col(Campaign.budget_cents) > COSTLY_CENTS)
    campaigns = db.scalars(query.options(selectinload(Campaign.channels))).all()
    return [channel.name for campaign in campaigns for channel in campaign.channels]


def _reach(campaigns: Sequence[Campaign]) -> list[Reach]:
    return [
        Reach(
            name=campaign.name,
            channels=len(campaign.channels),
            vouchers=len(campaign.vouchers),
        )
        for campaign in campaigns
    ]
