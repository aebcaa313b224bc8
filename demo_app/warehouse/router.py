"""Routes of the warehouse: `v1` as first written, `v2` mended."""

from fastapi import APIRouter

from demo_app.responses import ApiResponse
from demo_app.warehouse import service

v1 = APIRouter(prefix="/warehouse", tags=["warehouse"])
v2 = APIRouter(prefix="/v2/warehouse", tags=["warehouse"])


@v1.get("/freight")
async def freight() -> ApiResponse[int]:
    """Ask for the price of freight."""
    return ApiResponse(data=await service.freight())


@v2.get("/freight")
async def freight_v2() -> ApiResponse[int]:
    """Ask for the price of freight (mended)."""
    return ApiResponse(data=await service.freight_v2())


@v1.get("/ledger")
async def ledger() -> ApiResponse[int]:
    """Add up the ledger; `async` without anything to await."""
    return ApiResponse(data=service.ledger_total())


@v2.get("/ledger")
def ledger_v2() -> ApiResponse[int]:
    """Add up the ledger (mended: a plain `def`, so FastAPI gives it a thread)."""
    return ApiResponse(data=service.ledger_total())


@v1.get("/scan")
async def scan() -> ApiResponse[bool]:
    """Read labels."""
    return ApiResponse(data=any(map(service.is_shelf, service.unreadable())))


@v2.get("/scan")
async def scan_v2() -> ApiResponse[bool]:
    """Read labels (mended)."""
    return ApiResponse(data=any(map(service.is_shelf_v2, service.unreadable())))


@v1.get("/forecast")
async def forecast() -> ApiResponse[int]:
    """Forecast sales."""
    return ApiResponse(data=service.forecast(8000))


@v2.get("/forecast")
async def forecast_v2() -> ApiResponse[int]:
    """Forecast sales (mended)."""
    return ApiResponse(data=service.forecast_v2(8000))


@v1.get("/weights")
async def weights() -> ApiResponse[int]:
    """Weigh parcels."""
    return ApiResponse(data=await service.weigh_all())


@v2.get("/weights")
async def weights_v2() -> ApiResponse[int]:
    """Weigh parcels (mended)."""
    return ApiResponse(data=await service.weigh_all_v2())


@v1.get("/labels")
async def labels() -> ApiResponse[int]:
    """Print labels."""
    return ApiResponse(data=await service.print_labels())


@v2.get("/labels")
async def labels_v2() -> ApiResponse[int]:
    """Print labels (mended)."""
    return ApiResponse(data=await service.print_labels_v2())
