"""Routes of gift cards: `v1` as first written, `v2` mended."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from demo_app.database import Db, SyncDb, new_sync_session
from demo_app.gifts import service
from demo_app.gifts.sessions import get_committed_db, get_open_db, get_open_db_v2, get_till
from demo_app.responses import ApiResponse

v1 = APIRouter(prefix="/gifts", tags=["gifts"])
v2 = APIRouter(prefix="/v2/gifts", tags=["gifts"])

Till = Annotated[AsyncSession, Depends(get_till)]


@v1.get("/favourites/{author_id}")
async def favourites(author_id: int) -> ApiResponse[list[str]]:
    """List the books of an author."""
    return ApiResponse(data=await service.favourites(author_id))


@v2.get("/favourites/{author_id}")
async def favourites_v2(author_id: int) -> ApiResponse[list[str]]:
    """List the books of an author (mended)."""
    return ApiResponse(data=await service.favourites_v2(author_id))


@v1.get("/overview")
async def overview(db: Db) -> ApiResponse[int]:
    """Count what we have."""
    return ApiResponse(data=await service.overview(db))


@v2.get("/overview")
async def overview_v2(db: Db) -> ApiResponse[int]:
    """Count what we have (mended)."""
    return ApiResponse(data=await service.overview_v2(db))


@v1.get("/greetings/{customer_id}")
async def greeting(customer_id: int, db: Db) -> ApiResponse[str]:
    """Have a name engraved."""
    return ApiResponse(data=await service.greeting(db, customer_id))


@v2.get("/greetings/{customer_id}")
async def greeting_v2(customer_id: int, db: Db) -> ApiResponse[str]:
    """Have a name engraved (mended)."""
    return ApiResponse(data=await service.greeting_v2(db, customer_id))


@v1.get("/change/{customer_id}")
async def change(customer_id: int, db: Till) -> ApiResponse[str]:
    """Serve a customer at the till."""
    return ApiResponse(data=await service.change(db, customer_id))


@v2.get("/change/{customer_id}")
async def change_v2(customer_id: int, db: Till) -> ApiResponse[str]:
    """Serve a customer at the till (mended)."""
    return ApiResponse(data=await service.change_v2(db, customer_id))


@v1.get("/titles")
async def titles(db: SyncDb) -> ApiResponse[list[str]]:
    """List a few titles; `async` with a session that is not."""
    return ApiResponse(data=service.titles(db))


@v2.get("/titles")
def titles_v2(db: SyncDb) -> ApiResponse[list[str]]:
    """List a few titles (mended: FastAPI gives it a thread)."""
    return ApiResponse(data=service.titles_v2(db))


@v1.get("/cards")
def cards(db: Annotated[Session, Depends(get_open_db)]) -> ApiResponse[int]:
    """Count the cards."""
    return ApiResponse(data=service.cards(db))


@v2.get("/cards")
def cards_v2(db: Annotated[Session, Depends(get_open_db_v2)]) -> ApiResponse[int]:
    """Count the cards (mended)."""
    return ApiResponse(data=service.cards(db))


@v1.post("/{code}", status_code=201)
async def sell(code: str, db: Db) -> ApiResponse[str]:
    """Sell a card."""
    return ApiResponse(data=await service.sell(db, code))


@v2.post("/{code}", status_code=201)
async def sell_v2(code: str, db: Db) -> ApiResponse[str]:
    """Sell a card (mended)."""
    return ApiResponse(data=await service.sell_v2(db, code))


@v1.post("/{code}/reservations", status_code=201)
async def reserve(
    code: str, db: Annotated[AsyncSession, Depends(get_committed_db)]
) -> ApiResponse[str]:
    """Reserve a code."""
    return ApiResponse(data=await service.reserve(db, code))


@v2.post("/{code}/reservations", status_code=201)
async def reserve_v2(code: str, db: Db) -> ApiResponse[str]:
    """Reserve a code (mended)."""
    return ApiResponse(data=await service.reserve_v2(db, code))


@v1.post("/thanks/{customer_id}")
def thank(customer_id: int, tasks: BackgroundTasks) -> ApiResponse[str]:
    """Thank a customer."""
    with new_sync_session() as db:
        tasks.add_task(service.thank, db, customer_id)
    return ApiResponse(data="thanked")


@v2.post("/thanks/{customer_id}")
def thank_v2(customer_id: int, tasks: BackgroundTasks) -> ApiResponse[str]:
    """Thank a customer (mended)."""
    tasks.add_task(service.thank_v2, customer_id)
    return ApiResponse(data="thanked")
