"""Routes of users: `v1` as first written, `v2` mended."""

from typing import Any

from fastapi import APIRouter

from demo_app.database import Db
from demo_app.responses import ApiResponse
from demo_app.users import service
from demo_app.users.dependencies import Admin, Staff
from demo_app.users.schemas import Login, Token, UserOut

v1 = APIRouter(prefix="/users", tags=["users"])
v2 = APIRouter(prefix="/v2/users", tags=["users"])


@v1.post("/login")
async def login(login: Login, db: Db) -> ApiResponse[Token]:
    """Log in."""
    return ApiResponse(data=await service.login(db, login))


@v2.post("/login")
async def login_v2(login: Login, db: Db) -> ApiResponse[Token]:
    """Log in (mended)."""
    return ApiResponse(data=await service.login_v2(db, login))


@v1.get("/me", response_model=ApiResponse[UserOut])
async def me(user: Staff) -> Any:
    """Show one's own account; the response model keeps the password hash back."""
    return ApiResponse(data=user)


@v1.get("", response_model=ApiResponse[list[UserOut]])
async def list_users(_: Admin, db: Db) -> Any:
    """List all accounts."""
    return ApiResponse(data=await service.list_users(db))
