"""What happens after a confirmed order was answered; each task opens a session of its own."""

import logging

from sqlalchemy import select

from demo_app.books.models import Book
from demo_app.database import new_session
from demo_app.orders.models import OrderItem

logger = logging.getLogger(__name__)

CONFIRMATIONS = {
    "en": "Thank you! Your order {order_id} is on its way.",
    "de": "Danke! Ihre Bestellung {order_id} ist unterwegs.",
}


async def send_confirmation(order_id: int, language: str) -> None:
    """Write to the customer; the shop has no letter in Finnish yet."""
    letter = CONFIRMATIONS[language]  # defect: TASK101 failing-mail
    logger.info(letter.format(order_id=order_id))


async def send_confirmation_v2(order_id: int, language: str) -> None:
    """Mended: falls back to English, and logs its own failures so that later tasks still run."""
    try:
        letter = CONFIRMATIONS.get(language, CONFIRMATIONS["en"])
        logger.info(letter.format(order_id=order_id))
    except Exception:
        logger.exception("The confirmation of order %s was not sent.", order_id)


async def update_stock(order_id: int) -> None:
    """Take the ordered copies off the shelves."""
    async with new_session() as db:
        query = (
            select(Book, OrderItem.quantity).join(OrderItem).where(OrderItem.order_id == order_id)
        )
        for book, quantity in await db.execute(query):
            book.stock -= quantity
        await db.commit()


async def notify_warehouse(order_id: int) -> None:
    """Tell the warehouse to pack."""
    logger.info("Please pack order %s.", order_id)
