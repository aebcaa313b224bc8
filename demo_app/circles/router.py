"""Routes of circles, as first written."""

from fastapi import APIRouter
from sqlalchemy import select

from demo_app.circles.models import Circle
from demo_app.circles.schemas import CircleIn, CircleOut
from demo_app.database import Db
from demo_app.responses import ApiResponse

v1 = APIRouter(prefix="/circles", tags=["circles"])


@v1.get("")
async def list_circles(
    db: Db,
    name: str = None,  # defect: APP103 any-name
) -> ApiResponse[list[CircleOut]]:
    """List the circles, or those of a name."""
    query = select(Circle) if name is None else select(Circle).where(Circle.name == name)
    circles = (await db.scalars(query)).all()
    return ApiResponse(data=[CircleOut(id=circle.id, name=circle.name) for circle in circles])


@v1.post("", status_code=201)
async def found_circle(circle: CircleIn, db: Db) -> ApiResponse[str]:
    """Found a circle."""
    db.add(Circle(**circle.dict(exclude={"motto"})))  # defect: APP102 dict-call
    await db.commit()
    return ApiResponse(data=circle.name)


@v1.get("/{circle_id}")
async def circle(circle_id: int, db: Db) -> ApiResponse[str]:
    """Name a circle."""
    found = await db.get(Circle, circle_id)
    return ApiResponse(data=found.name if found else "")


@v1.get("/{circle_id}")
async def circle_name(circle_id: int, db: Db) -> ApiResponse[str]:  # defect: APP107 once-more
    """Name a circle; somebody wrote this route again."""
    return await circle(circle_id, db)
