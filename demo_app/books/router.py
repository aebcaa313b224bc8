"""Routes of books: `v1` as first written, `v2` mended."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from demo_app.books import service
from demo_app.books.schemas import (
    Availability,
    Bestseller,
    BookCard,
    BookListing,
    BookOut,
    Price,
)
from demo_app.database import Db
from demo_app.responses import ApiResponse

v1 = APIRouter(prefix="/books", tags=["books"])
v2 = APIRouter(prefix="/v2/books", tags=["books"])


@v1.get("")
async def list_books(
    db: Db, page: Annotated[int, Query(ge=1)] = 1
) -> ApiResponse[list[BookListing]]:
    """List the books, page by page."""
    return ApiResponse(data=await service.list_books(db, page))


@v1.get("/prices")
async def price_list(db: Db, currency: str = "EUR") -> ApiResponse[list[Price]]:
    """List prices in another currency."""
    return ApiResponse(data=await service.price_list(db, currency))


@v2.get("/prices")
async def price_list_v2(db: Db, currency: str = "EUR") -> ApiResponse[list[Price]]:
    """List prices in another currency (mended)."""
    return ApiResponse(data=await service.price_list_v2(db, currency))


@v1.get("/{book_id}", response_model=ApiResponse[BookOut])
async def get_book(book_id: int, db: Db) -> Any:  # defect: REQ102 shadowing-route
    """Show a book; declared too early, so `/books/bestsellers` ends up here."""
    return ApiResponse(data=await service.get_book(db, book_id))


@v1.get("/bestsellers")
async def bestsellers(db: Db) -> ApiResponse[list[Bestseller]]:
    """List what sells best; nobody ever gets here."""
    return ApiResponse(data=await service.bestsellers(db))


@v2.get("/bestsellers")
async def bestsellers_v2(db: Db) -> ApiResponse[list[Bestseller]]:
    """List what sells best (mended: declared before `/{book_id}`)."""
    return ApiResponse(data=await service.bestsellers(db))


@v2.get("/{book_id}", response_model=ApiResponse[BookOut])
async def get_book_v2(book_id: int, db: Db) -> Any:
    """Show a book (mended: declared last)."""
    return ApiResponse(data=await service.get_book(db, book_id))


@v1.get("/{book_id}/card", response_model=ApiResponse[BookCard])
async def book_card(book_id: int, db: Db) -> Any:  # defect: RES101 more-columns
    """Show a book's card; returns the whole row and leaves the rest to the response model."""
    return ApiResponse(data=await service.get_book(db, book_id))


@v2.get("/{book_id}/card")
async def book_card_v2(book_id: int, db: Db) -> ApiResponse[BookCard]:
    """Show a book's card (mended: returns exactly what is answered)."""
    return ApiResponse(data=BookCard.model_validate(await service.get_book(db, book_id)))


@v1.get("/{book_id}/availability")
async def availability(book_id: int) -> ApiResponse[Availability]:
    """Ask the warehouse for a book."""
    return ApiResponse(data=await service.availability(book_id))


@v2.get("/{book_id}/availability")
async def availability_v2(book_id: int) -> ApiResponse[Availability]:
    """Ask the warehouse for a book (mended)."""
    return ApiResponse(data=await service.availability_v2(book_id))
