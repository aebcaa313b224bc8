"""Calling couriers, waiting for money, keeping the logbook, exporting lists."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from demo_app.orders.models import Order

logger = logging.getLogger(__name__)

COURIERS = {"post": "+49 30 1", "courier": "+49 30 2"}

running: set[asyncio.Task[Any]] = set()


async def carriers(db: AsyncSession) -> list[str]:
    """List who delivers the next orders; some customers collect theirs in the shop."""
    query = select(Order.carrier).order_by(Order.id).limit(6)
    return list(await db.scalars(query))


async def call_couriers(names: list[str]) -> None:
    """Ring up everybody who has something to fetch."""
    for name in names:
        logger.info("Calling %s.", COURIERS[name])


def call_finished(task: asyncio.Task[None]) -> None:
    """Let go of a call, and tell how it ended."""
    running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("The call failed: %r", error)


class PickupCounter:
    """Numbers the pickups of a day."""

    def __init__(self) -> None:
        self.taken = 0

    def next_number(self) -> int:
        """Give the next number."""
        self.taken += 1  # defect: APP104 new-counter
        return self.taken


_pickups = PickupCounter()


def pickup_counter() -> PickupCounter:
    """Hand out the one counter that all share (mended)."""
    return _pickups


class Payment:
    """Money that is on its way."""

    def __init__(self, order_id: int) -> None:
        self.order_id = order_id
        self.arrived = asyncio.Event()


async def wait_for_payment(order_id: int) -> None:
    """Tell the warehouse once an order is paid."""
    payment = Payment(order_id)
    await payment.arrived.wait()
    logger.info("Order %s is paid.", order_id)


def payment_code(order_id: int, size: int = 33) -> list[tuple[int, int]]:
    """Draw the square code that a customer scans to pay, and tidy up behind it."""
    dots = [(x, y) for x in range(size) for y in range(size) if (x * y + order_id) % 3]
    # The collector comes by at any time; here it comes for certain. Two calls shortly after each
    # other also keep it from coming by itself between them, and so from taking what is made there
    # into its oldest generation, where the second call would not look.
    gc.collect(1)
    return dots


async def announce(names: list[str]) -> None:
    """Let the carriers know that there will be something to fetch."""
    await asyncio.sleep(0)
    logger.info("Soon there is something for %s.", names)


async def remind(order_id: int) -> None:
    """Write to a customer who has not paid."""
    logger.info("Please pay order %s.", order_id)


async def logbook(order_id: int) -> AsyncIterator[list[str]]:
    """Collect what is done with an order, and put the first entry on the board afterwards."""
    entries: list[str] = []
    yield entries
    logger.info("Order %s: %s", order_id, entries[0])  # defect: TASK105 empty-logbook


async def logbook_v2(order_id: int) -> AsyncIterator[list[str]]:
    """Mended: there may be no entry."""
    entries: list[str] = []
    yield entries
    if entries:
        logger.info("Order %s: %s", order_id, entries[0])


async def call_list(names: list[str]) -> AsyncIterator[str]:
    """Write who is to be called, line by line."""
    for name in names:
        yield f"{name};{COURIERS[name]}\n"  # defect: TASK106 unknown-courier


async def call_list_v2(names: list[str]) -> AsyncIterator[str]:
    """Mended: leaves out what nobody fetches."""
    for name in names:
        if name in COURIERS:
            yield f"{name};{COURIERS[name]}\n"
