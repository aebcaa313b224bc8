"""Routes of campaigns: `v1` as first written, `v2` mended."""

from fastapi import APIRouter

from demo_app.campaigns import service
from demo_app.campaigns.schemas import Budget, Clicks, Reach
from demo_app.database import Db, SyncDb
from demo_app.responses import ApiResponse

v1 = APIRouter(prefix="/campaigns", tags=["campaigns"])
v2 = APIRouter(prefix="/v2/campaigns", tags=["campaigns"])


@v1.get("/budgets")
def budgets(db: SyncDb) -> ApiResponse[list[Budget]]:
    """List what campaigns may cost."""
    return ApiResponse(data=service.budgets(db))


@v2.get("/budgets")
def budgets_v2(db: SyncDb) -> ApiResponse[list[Budget]]:
    """List what campaigns may cost (mended)."""
    return ApiResponse(data=service.budgets_v2(db))


@v1.post("/{campaign_id}/vouchers", status_code=201)
async def issue_vouchers(campaign_id: int, db: Db) -> ApiResponse[int]:
    """Issue a voucher of each kind."""
    return ApiResponse(data=await service.issue_vouchers(db, campaign_id))


@v2.post("/{campaign_id}/vouchers", status_code=201)
async def issue_vouchers_v2(campaign_id: int, db: Db) -> ApiResponse[int]:
    """Issue a voucher of each kind (mended)."""
    return ApiResponse(data=await service.issue_vouchers_v2(db, campaign_id))


@v1.get("/busy-minutes")
async def busy_minutes(db: Db) -> ApiResponse[int]:
    """Count the minutes in which somebody clicked."""
    return ApiResponse(data=await service.busy_minutes(db))


@v2.get("/busy-minutes")
async def busy_minutes_v2(db: Db) -> ApiResponse[int]:
    """Count the minutes in which somebody clicked (mended)."""
    return ApiResponse(data=await service.busy_minutes_v2(db))


@v1.get("/names")
async def names(db: Db) -> ApiResponse[list[str]]:
    """List the names of campaigns."""
    return ApiResponse(data=await service.names(db))


@v2.get("/names")
async def names_v2(db: Db) -> ApiResponse[list[str]]:
    """List the names of campaigns (mended)."""
    return ApiResponse(data=await service.names_v2(db))


@v1.get("/reach")
async def reach(db: Db) -> ApiResponse[list[Reach]]:
    """Tell how far campaigns reach."""
    return ApiResponse(data=await service.reach(db))


@v2.get("/reach")
async def reach_v2(db: Db) -> ApiResponse[list[Reach]]:
    """Tell how far campaigns reach (mended)."""
    return ApiResponse(data=await service.reach_v2(db))


@v1.get("/clicks")
async def clicks(db: Db) -> ApiResponse[list[Clicks]]:
    """Count the clicks of campaigns."""
    return ApiResponse(data=await service.clicks(db))


@v2.get("/clicks")
async def clicks_v2(db: Db) -> ApiResponse[list[Clicks]]:
    """Count the clicks of campaigns (mended)."""
    return ApiResponse(data=await service.clicks_v2(db))


@v1.get("/stations")
def stations(db: SyncDb) -> ApiResponse[list[str]]:
    """List where costly campaigns are seen."""
    return ApiResponse(data=service.stations(db))


@v2.get("/stations")
def stations_v2(db: SyncDb) -> ApiResponse[list[str]]:
    """List where costly campaigns are seen (mended)."""
    return ApiResponse(data=service.stations_v2(db))
