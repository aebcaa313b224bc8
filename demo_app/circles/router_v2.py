"""Routes of circles, mended."""

from fastapi import APIRouter
from sqlalchemy import select

from demo_app.circles.models_v2 import CircleV2
from demo_app.circles.schemas import CircleOut
from demo_app.circles.schemas_v2 import CircleInV2
from demo_app.database import Db
from demo_app.responses import ApiResponse

v2 = APIRouter(prefix="/v2/circles", tags=["circles"])


@v2.get("")
async def list_circles_v2(db: Db, name: str | None = None) -> ApiResponse[list[CircleOut]]:
    """List the circles, or those of a name (mended: the type says that it may be left out)."""
    query = select(CircleV2) if name is None else select(CircleV2).where(CircleV2.name == name)
    circles = (await db.scalars(query)).all()
    return ApiResponse(data=[CircleOut(id=circle.id, name=circle.name) for circle in circles])


@v2.post("", status_code=201)
async def found_circle_v2(circle: CircleInV2, db: Db) -> ApiResponse[str]:
    """Found a circle (mended)."""
    db.add(CircleV2(**circle.model_dump(exclude={"motto"})))
    await db.commit()
    return ApiResponse(data=circle.name)


@v2.get("/{circle_id}")
async def circle_v2(circle_id: int, db: Db) -> ApiResponse[str]:
    """Name a circle (mended: there is one such route)."""
    found = await db.get(CircleV2, circle_id)
    return ApiResponse(data=found.name if found else "")
