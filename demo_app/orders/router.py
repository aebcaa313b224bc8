"""Routes of orders: `v1` as first written, `v2` mended."""

from fastapi import APIRouter, BackgroundTasks

from demo_app.database import Db
from demo_app.orders import service, tasks
from demo_app.orders.schemas import OpenOrder, OrderIn, OrderOut, Quote, Tracking
from demo_app.responses import ApiResponse

v1 = APIRouter(prefix="/orders", tags=["orders"])
v2 = APIRouter(prefix="/v2/orders", tags=["orders"])


@v1.post("", status_code=201)
async def create_order(wish: OrderIn, db: Db) -> ApiResponse[OrderOut]:
    """Take an order."""
    return ApiResponse(data=await service.create_order(db, wish))


@v1.post("/quotes")
async def quote(wish: OrderIn, db: Db) -> ApiResponse[Quote]:  # defect: REQ101 bad-requests
    """Tell what an order would cost. Nothing is wrong here: the defects are in the requests."""
    return ApiResponse(data=await service.quote(db, wish))


@v1.get("/open")
async def open_orders(db: Db) -> ApiResponse[list[OpenOrder]]:
    """List what waits to be packed."""
    return ApiResponse(data=await service.open_orders(db))


@v2.get("/open")
async def open_orders_v2(db: Db) -> ApiResponse[list[OpenOrder]]:
    """List what waits to be packed (mended)."""
    return ApiResponse(data=await service.open_orders_v2(db))


@v1.post("/{order_id}/confirm")
async def confirm(order_id: int, background: BackgroundTasks, db: Db) -> ApiResponse[str]:
    """Confirm an order; when the first task fails, the others never run."""
    language = await service.confirm(db, order_id)
    background.add_task(tasks.send_confirmation, order_id, language)
    background.add_task(tasks.update_stock, order_id)  # defect: TASK102 never-ran
    background.add_task(tasks.notify_warehouse, order_id)
    return ApiResponse(data="confirmed")


@v2.post("/{order_id}/confirm")
async def confirm_v2(order_id: int, background: BackgroundTasks, db: Db) -> ApiResponse[str]:
    """Confirm an order (mended: the mail looks after its own failures)."""
    language = await service.confirm(db, order_id)
    background.add_task(tasks.send_confirmation_v2, order_id, language)
    background.add_task(tasks.update_stock, order_id)
    background.add_task(tasks.notify_warehouse, order_id)
    return ApiResponse(data="confirmed")


@v1.get("/{order_id}/tracking")
async def tracking(order_id: int, db: Db) -> ApiResponse[Tracking]:
    """Tell where to follow a parcel."""
    return ApiResponse(data=await service.tracking(db, order_id))


@v2.get("/{order_id}/tracking")
async def tracking_v2(order_id: int, db: Db) -> ApiResponse[Tracking]:
    """Tell where to follow a parcel (mended)."""
    return ApiResponse(data=await service.tracking_v2(db, order_id))
