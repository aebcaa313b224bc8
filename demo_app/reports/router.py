"""Routes of reports, for administrators: `v1` as first written, `v2` mended."""

from typing import Any

from fastapi import APIRouter, Depends

from demo_app.database import Db
from demo_app.reports import service
from demo_app.reports.schemas import BookMargin, BookMarginV2, LowStock, LowStockV2
from demo_app.responses import ApiResponse
from demo_app.users.dependencies import require_admin

v1 = APIRouter(prefix="/reports", tags=["reports"], dependencies=[Depends(require_admin)])
v2 = APIRouter(prefix="/v2/reports", tags=["reports"], dependencies=[Depends(require_admin)])


@v1.get("/margins", response_model=ApiResponse[list[BookMargin]])
async def margins(db: Db) -> Any:
    """Show what we earn; `BookMargin` does not declare the margin, so nobody gets to see it."""
    rows = [
        {
            "title": book.title,
            "price_cents": book.price_cents,
            "margin": service.margin(book),  # defect: RES101 undeclared-field
        }
        for book in await service.dearest_books(db)
    ]
    return {"data": rows}


@v2.get("/margins", response_model=ApiResponse[list[BookMarginV2]])
async def margins_v2(db: Db) -> Any:
    """Show what we earn (mended: the model declares the margin)."""
    rows = [
        {
            "title": book.title,
            "price_cents": book.price_cents,
            "margin": service.margin(book),
        }
        for book in await service.dearest_books(db)
    ]
    return {"data": rows}


@v1.get("/low-stock", response_model=ApiResponse[LowStock])
async def low_stock(db: Db) -> Any:
    """Show what to print again; the author's address is lost three levels down."""
    items = []
    for book in await service.low_stock(db):
        author = {
            "name": book.author.name,
            "email": book.author.email,  # defect: RES101 undeclared-nested-field
        }
        items.append({"title": book.title, "stock": book.stock, "author": author})
    return {"data": {"items": items}}


@v2.get("/low-stock", response_model=ApiResponse[LowStockV2])
async def low_stock_v2(db: Db) -> Any:
    """Show what to print again (mended: the model declares the address)."""
    items = []
    for book in await service.low_stock(db):
        author = {
            "name": book.author.name,
            "email": book.author.email,
        }
        items.append({"title": book.title, "stock": book.stock, "author": author})
    return {"data": {"items": items}}
