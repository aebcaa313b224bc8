"""Routes of the stockroom: `v1` as first written, `v2` mended."""

from fastapi import APIRouter

from demo_app.responses import ApiResponse
from demo_app.stockroom import service

v1 = APIRouter(prefix="/stockroom", tags=["stockroom"])
v2 = APIRouter(prefix="/v2/stockroom", tags=["stockroom"])


@v1.get("/shelves")
async def shelves() -> ApiResponse[int]:
    """Count the shelves."""
    return ApiResponse(data=await service.shelves())


@v2.get("/shelves")
async def shelves_v2() -> ApiResponse[int]:
    """Count the shelves (mended)."""
    return ApiResponse(data=await service.shelves_v2())


@v1.get("/sales")
async def sales() -> ApiResponse[int]:
    """Expect sales."""
    return ApiResponse(data=await service.sales())


@v2.get("/sales")
async def sales_v2() -> ApiResponse[int]:
    """Expect sales (mended)."""
    return ApiResponse(data=await service.sales_v2())


@v1.get("/crates")
def crates() -> ApiResponse[int]:
    """Count the crates, in a thread."""
    return ApiResponse(data=sum(map(service.is_crate, service.smudged())))


@v2.get("/crates")
def crates_v2() -> ApiResponse[int]:
    """Count the crates (mended)."""
    return ApiResponse(data=sum(map(service.is_crate_v2, service.smudged())))
