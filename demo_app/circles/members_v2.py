"""Routes of the members of a circle, mended: the guard is at the router."""

from fastapi import APIRouter, Depends

from demo_app.responses import ApiResponse
from demo_app.users.dependencies import require_auth

v2 = APIRouter(
    prefix="/v2/circle-members", tags=["circles"], dependencies=[Depends(require_auth)]
)


@v2.get("/{circle_id}")
async def members_v2(circle_id: int) -> ApiResponse[list[str]]:
    """List the members of a circle (mended)."""
    return ApiResponse(data=[f"reader {circle_id}"])


@v2.post("/{circle_id}")
async def join_v2(circle_id: int) -> ApiResponse[int]:
    """Join a circle (mended)."""
    return ApiResponse(data=circle_id)


@v2.delete("/{circle_id}")
async def leave_v2(circle_id: int) -> ApiResponse[int]:
    """Leave a circle (mended)."""
    return ApiResponse(data=circle_id)
