"""Routes of the dispatch: `v1` as first written, `v2` mended."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from demo_app.database import Db
from demo_app.dispatch import service
from demo_app.responses import ApiResponse

v1 = APIRouter(prefix="/dispatch", tags=["dispatch"])
v2 = APIRouter(prefix="/v2/dispatch", tags=["dispatch"])


@v1.post("/calls")
async def call(db: Db) -> ApiResponse[str]:
    """Call the couriers meanwhile; nobody ever asks how it went."""
    names = await service.carriers(db)
    asyncio.create_task(service.call_couriers(names))  # defect: TASK103 forgotten-call
    await db.commit()
    return ApiResponse(data="calling")


@v2.post("/calls")
async def call_v2(db: Db) -> ApiResponse[str]:
    """Call the couriers meanwhile (mended: the call is kept, and its failure is told)."""
    names = await service.carriers(db)
    task = asyncio.create_task(service.call_couriers(names))
    service.running.add(task)
    task.add_done_callback(service.call_finished)
    await db.commit()
    return ApiResponse(data="calling")


@v1.post("/{order_id}/payment")
async def payment(order_id: int, db: Db) -> ApiResponse[int]:
    """Wait for the money, with nothing to hold on to the one who waits."""
    names = await service.carriers(db)
    on_screen = service.payment_code(order_id)
    asyncio.create_task(service.wait_for_payment(order_id))  # defect: TASK104 weak-reference
    await service.announce(names)
    on_paper = service.payment_code(order_id)
    return ApiResponse(data=len(on_screen) + len(on_paper))


@v2.post("/{order_id}/payment")
async def payment_v2(order_id: int, db: Db) -> ApiResponse[int]:
    """Wait for the money (mended: the task is kept until it is done)."""
    names = await service.carriers(db)
    on_screen = service.payment_code(order_id)
    task = asyncio.create_task(service.wait_for_payment(order_id))
    service.running.add(task)
    task.add_done_callback(service.running.discard)
    await service.announce(names)
    on_paper = service.payment_code(order_id)
    return ApiResponse(data=len(on_screen) + len(on_paper))


@v1.post("/{order_id}/remind")
async def remind(order_id: int) -> ApiResponse[str]:
    """Remind a customer, or so it seems."""
    service.remind(order_id)  # defect: TASK107 missing-await
    return ApiResponse(data="reminded")


@v2.post("/{order_id}/remind")
async def remind_v2(order_id: int) -> ApiResponse[str]:
    """Remind a customer (mended)."""
    await service.remind(order_id)
    return ApiResponse(data="reminded")


@v1.post("/{order_id}/pack")
async def pack(logbook: Annotated[list[str], Depends(service.logbook)]) -> ApiResponse[int]:
    """Pack an order; the logbook fails when the customer has the answer."""
    return ApiResponse(data=len(logbook))


@v2.post("/{order_id}/pack")
async def pack_v2(logbook: Annotated[list[str], Depends(service.logbook_v2)]) -> ApiResponse[int]:
    """Pack an order (mended)."""
    return ApiResponse(data=len(logbook))


@v1.get("/call-list")
async def call_list(db: Db) -> StreamingResponse:
    """Export whom to call; breaks off at the first order that nobody fetches."""
    return StreamingResponse(service.call_list(await service.carriers(db)), media_type="text/csv")


@v2.get("/call-list")
async def call_list_v2(db: Db) -> StreamingResponse:
    """Export whom to call (mended)."""
    return StreamingResponse(
        service.call_list_v2(await service.carriers(db)), media_type="text/csv"
    )


@v1.post("/pickups")
async def pickup(counter: Annotated[service.PickupCounter, Depends()]) -> ApiResponse[int]:
    """Draw a number; everybody draws number one."""
    return ApiResponse(data=counter.next_number())


@v2.post("/pickups")
async def pickup_v2(
    counter: Annotated[service.PickupCounter, Depends(service.pickup_counter)],
) -> ApiResponse[int]:
    """Draw a number (mended)."""
    return ApiResponse(data=counter.next_number())
