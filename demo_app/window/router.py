"""Routes of the shop window: `v1` as first written, `v2` mended."""

from typing import Any

from fastapi import APIRouter, Depends

from demo_app.authors.schemas import AuthorOut, AuthorWithBooks
from demo_app.database import Db
from demo_app.responses import ApiResponse
from demo_app.users.dependencies import require_admin
from demo_app.window import service
from demo_app.window.errors import WindowFull, WindowFullV2
from demo_app.window.schemas import Curator, Offer, Placed, PriceTag, PriceTagV2

v1 = APIRouter(prefix="/window", tags=["window"])
v2 = APIRouter(prefix="/v2/window", tags=["window"])


@v1.post("/books/")
async def place(placed: Placed) -> ApiResponse[int]:  # defect: REQ103 slash-redirect
    """Put a book into the window; who calls it without the slash is only sent on."""
    return ApiResponse(data=placed.book_id)


@v2.post("/books")
async def place_v2(placed: Placed) -> ApiResponse[int]:
    """Put a book into the window (mended: declared as it is called)."""
    return ApiResponse(data=placed.book_id)


@v1.get("/author", response_model=ApiResponse[AuthorOut])
async def author(db: Db) -> Any:  # defect: RES102 books-left-out
    """Show the author of the month; the books are loaded and then left out."""
    return {"data": await service.author_of_the_month(db)}


@v2.get("/author", response_model=ApiResponse[AuthorWithBooks])
async def author_v2(db: Db) -> Any:
    """Show the author of the month (mended: with the books)."""
    return {"data": await service.author_of_the_month(db)}


@v1.get("/offer", response_model=ApiResponse[Offer])
async def offer(db: Db) -> Any:
    """Show the offer of the day; `discount` is declared, but not returned by that name."""
    book = await service.book(db, 3)
    row = {
        "title": book.title,
        "discuont": 20,  # defect: RES103 misspelt-key
    }
    return {"data": row}


@v2.get("/offer", response_model=ApiResponse[Offer])
async def offer_v2(db: Db) -> Any:
    """Show the offer of the day (mended)."""
    book = await service.book(db, 3)
    return {"data": {"title": book.title, "discount": 20}}


@v1.get("/curators", dependencies=[Depends(require_admin)])
async def curators(db: Db) -> Any:  # defect: RES104 password-hashes
    """List who looks after the window, with everything that is known of them."""
    return [
        {"user_name": user.user_name, "password_hash": user.password_hash.hex()}
        for user in await service.curators(db)
    ]


@v2.get("/curators", response_model=list[Curator], dependencies=[Depends(require_admin)])
async def curators_v2(db: Db) -> Any:
    """List who looks after the window (mended: only their names)."""
    return [{"user_name": user.user_name} for user in await service.curators(db)]


@v1.get("/price/{book_id}", response_model=PriceTag)
async def price(book_id: int, db: Db) -> Any:  # defect: RES105 price-unknown
    """Write a price tag; the price of a book that is not out yet is not known."""
    book = await service.book(db, book_id)
    return {"title": book.title, "price_cents": None}


@v2.get("/price/{book_id}", response_model=PriceTagV2)
async def price_v2(book_id: int, db: Db) -> Any:
    """Write a price tag (mended: the model knows that the price may be missing)."""
    book = await service.book(db, book_id)
    return {"title": book.title, "price_cents": None}


@v1.post("/places")
async def more() -> ApiResponse[str]:
    """Ask for a place in the window; it is always full."""
    raise WindowFull(12)


@v2.post("/places")
async def more_v2() -> ApiResponse[str]:
    """Ask for a place in the window (mended: its handler answers)."""
    raise WindowFullV2(12)
