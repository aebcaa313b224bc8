"""Routes of the members of a circle: a guard at each, and at one it was forgotten."""

from fastapi import APIRouter, Depends

from demo_app.responses import ApiResponse
from demo_app.users.dependencies import require_auth

v1 = APIRouter(prefix="/circle-members", tags=["circles"])


@v1.get("/{circle_id}", dependencies=[Depends(require_auth)])
async def members(circle_id: int) -> ApiResponse[list[str]]:
    """List the members of a circle."""
    return ApiResponse(data=[f"reader {circle_id}"])


@v1.post("/{circle_id}", dependencies=[Depends(require_auth)])
async def join(circle_id: int) -> ApiResponse[int]:
    """Join a circle."""
    return ApiResponse(data=circle_id)


@v1.delete("/{circle_id}")
async def leave(circle_id: int) -> ApiResponse[int]:  # defect: APP105 open-delete
    """Leave a circle."""
    return ApiResponse(data=circle_id)
