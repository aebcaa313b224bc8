"""Taking, listing, confirming and following orders."""

from datetime import date

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from demo_app.books.models import Book
from demo_app.errors import AppException
from demo_app.orders.models import Customer, Order, OrderItem
from demo_app.orders.orders_config import orders_settings
from demo_app.orders.schemas import ItemIn, OpenOrder, OrderIn, OrderOut, Quote, Tracking

TRACKING_PAGES = {
    "post": "https://post.example/parcels/{order_id}",
    "courier": "https://courier.example/t/{order_id}",
}


async def quote(db: AsyncSession, wish: OrderIn) -> Quote:
    """Tell what an order would cost."""
    prices = await _prices(db, wish.items)
    return Quote(total_cents=sum(prices[item.book_id] * item.quantity for item in wish.items))


async def create_order(db: AsyncSession, wish: OrderIn) -> OrderOut:
    """Take an order."""
    await _prices(db, wish.items)
    items = [OrderItem(book_id=item.book_id, quantity=item.quantity) for item in wish.items]
    order = Order(
        customer_id=wish.customer_id,
        status="placed",
        carrier=orders_settings.default_carrier,
        placed_on=date.today(),
        items=items,
    )
    db.add(order)
    await db.flush()
    taken = OrderOut(id=order.id, status=order.status, copies=sum(item.quantity for item in items))
    await db.commit()
    return taken


async def open_orders(db: AsyncSession) -> list[OpenOrder]:
    """List what waits to be packed; fetches every customer with a query of their own."""
    found = []
    for order in await _placed(db):
        customer = await db.get(Customer, order.customer_id)  # defect: SQL103 get-in-loop
        found.append(_open_order(order, customer))
    return found


async def open_orders_v2(db: AsyncSession) -> list[OpenOrder]:
    """Mended: fetches all the customers at once."""
    orders = await _placed(db)
    wanted = {order.customer_id for order in orders}
    customers = {
        customer.id: customer
        for customer in await db.scalars(select(Customer).where(col(Customer.id).in_(wanted)))
    }
    return [_open_order(order, customers.get(order.customer_id)) for order in orders]


async def confirm(db: AsyncSession, order_id: int) -> str:
    """Mark an order as confirmed and tell the customer's language."""
    query = select(Order, Customer.language).join(Customer).where(Order.id == order_id)
    row = (await db.execute(query)).first()
    if row is None:
        raise AppException(404, "No such order.", "order_not_found")
    order, language = row
    order.status = "confirmed"
    await db.commit()
    return language


async def tracking(db: AsyncSession, order_id: int) -> Tracking:
    """Tell where to follow a parcel; some orders are collected in the shop."""
    carrier = await _carrier(db, order_id)
    page = TRACKING_PAGES[carrier]  # defect: EXC101 key-error
    return Tracking(url=page.format(order_id=order_id))


async def tracking_v2(db: AsyncSession, order_id: int) -> Tracking:
    """Mended: an order without a parcel is a clear 404."""
    carrier = await _carrier(db, order_id)
    page = TRACKING_PAGES.get(carrier)
    if page is None:
        raise AppException(404, "This order is collected in the shop.", "no_parcel")
    return Tracking(url=page.format(order_id=order_id))


async def _prices(db: AsyncSession, items: list[ItemIn]) -> dict[int, int]:
    wanted = {item.book_id for item in items}
    query = select(Book.id, Book.price_cents).where(col(Book.id).in_(wanted))
    prices = {book_id: price for book_id, price in await db.execute(query)}
    if missing := wanted - prices.keys():
        raise AppException(404, f"No such books: {sorted(missing)}.", "book_not_found")
    return prices


async def _placed(db: AsyncSession) -> list[Order]:
    query = select(Order).where(Order.status == "placed").order_by(Order.id).limit(10)
    return list(await db.scalars(query))


async def _carrier(db: AsyncSession, order_id: int) -> str:
    carrier = await db.scalar(select(Order.carrier).where(Order.id == order_id))
    if carrier is None:
        raise AppException(404, "No such order.", "order_not_found")
    return carrier


def _open_order(order: Order, customer: Customer | None) -> OpenOrder:
    name = customer.name if customer else "unknown"
    return OpenOrder(id=order.id, customer=name, placed_on=order.placed_on)
