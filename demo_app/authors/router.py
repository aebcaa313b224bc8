"""Routes of authors: `v1` as first written, `v2` mended."""

from typing import Any

from fastapi import APIRouter

from demo_app.authors import service
from demo_app.authors.schemas import AuthorOut, AuthorRename, AuthorWithBooks, Bibliography
from demo_app.database import Db, SyncDb
from demo_app.responses import ApiResponse

v1 = APIRouter(prefix="/authors", tags=["authors"])
v2 = APIRouter(prefix="/v2/authors", tags=["authors"])


@v1.get("", response_model=ApiResponse[list[AuthorOut]])
async def list_authors(db: Db) -> Any:
    """List the authors."""
    return ApiResponse(data=await service.list_authors(db))


@v1.get("/bibliographies")
async def bibliographies(db: Db) -> ApiResponse[list[Bibliography]]:
    """List every author's titles."""
    return ApiResponse(data=await service.bibliographies(db))


@v2.get("/bibliographies")
async def bibliographies_v2(db: Db) -> ApiResponse[list[Bibliography]]:
    """List every author's titles (mended)."""
    return ApiResponse(data=await service.bibliographies_v2(db))


@v1.get("/catalogue", response_model=ApiResponse[list[AuthorWithBooks]])
def catalogue(db: SyncDb) -> Any:
    """List the authors with their books."""
    return ApiResponse(data=service.catalogue(db))


@v2.get("/catalogue", response_model=ApiResponse[list[AuthorWithBooks]])
def catalogue_v2(db: SyncDb) -> Any:
    """List the authors with their books (mended)."""
    return ApiResponse(data=service.catalogue_v2(db))


@v1.get("/{author_id}", response_model=ApiResponse[AuthorWithBooks])
async def author_with_books(author_id: int, db: Db) -> Any:
    """Show an author with the books."""
    return ApiResponse(data=await service.author_with_books(db, author_id))


@v2.get("/{author_id}", response_model=ApiResponse[AuthorWithBooks])
async def author_with_books_v2(author_id: int, db: Db) -> Any:
    """Show an author with the books (mended)."""
    return ApiResponse(data=await service.author_with_books_v2(db, author_id))


@v1.patch("/{author_id}")
async def rename(author_id: int, change: AuthorRename, db: Db) -> ApiResponse[Bibliography]:
    """Rename an author."""
    return ApiResponse(data=await service.rename(db, author_id, change.name))


@v2.patch("/{author_id}")
async def rename_v2(author_id: int, change: AuthorRename, db: Db) -> ApiResponse[Bibliography]:
    """Rename an author (mended)."""
    return ApiResponse(data=await service.rename_v2(db, author_id, change.name))
