"""What is wrong in here is to be found in here."""

from fastapi import APIRouter
from pydantic import BaseModel
from shopcore.catalogue import titles_of
from shopcore.models import Author, engine
from sqlalchemy import select
from sqlalchemy.orm import Session

from shopapi.prices import price_of

router = APIRouter()


class Title(BaseModel):
    text: str


@router.get("/own-loop")
def own_loop() -> list[str]:
    with Session(engine) as session:
        found = []
        for author in session.scalars(select(Author)):
            found += [book.title for book in author.books]
        return found


@router.get("/loop-of-the-core")
def loop_of_the_core() -> list[str]:
    with Session(engine) as session:
        return titles_of(session.scalars(select(Author)).all())


@router.get("/stripped", response_model=Title)
async def stripped() -> dict[str, str]:
    return {"text": "Tea", "author": "Ada"}


@router.get("/price/{name}")
async def price(name: str) -> int:
    return price_of(name)
