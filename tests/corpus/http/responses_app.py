# ruff: noqa: C901 - a function of endpoints is as simple as its endpoints
"""Endpoints that return what their response models do not send, and endpoints that are right."""

import datetime as dt
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from pydantic import Field, SecretStr

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.corpus.http.response_models import (
    HASH,
    Account,
    ApiResponse,
    Book,
    Card,
    Cat,
    Dog,
    Login,
    Nasty,
    Node,
    Open,
    Page,
    Point,
    Priced,
    Profile,
    ProfileInDb,
    Row,
    Titles,
    Vault,
)


def plain() -> FastAPI:
    """Everything that needs no database."""
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)
    _stripped(app)
    _declared(app)
    _misspelt(app)
    _secrets(app)
    _invalid(app)
    return app


def _stripped(app: FastAPI) -> None:
    @app.get("/dict", response_model=Book)
    async def a_dict() -> Any:
        return {"title": "Momo", "margin": 0.4}  # WRITTEN_KEY

    @app.get("/nested", response_model=ApiResponse[Page[Book]])
    async def nested() -> Any:
        author = {"name": "Ende", "email": "e@example.org"}  # NESTED_KEY
        books = [{"title": "Momo", "author": author} for _ in range(12)]
        return {"data": {"items": books, "total": 12}}

    @app.get("/annotated")
    async def annotated() -> Book:
        return {"title": "Momo", "margin": 0.4}  # type: ignore[return-value] # as people write it

    @app.get("/last", response_model=list[Book])
    async def only_last() -> Any:
        return [*({"title": str(i)} for i in range(30)), {"title": "x", "margin": 1}]

    @app.get("/mapping", response_model=dict[str, Book])
    async def mapping() -> Any:
        return {"a": {"title": "Momo", "margin": 1}}

    @app.get("/root", response_model=Titles)
    async def root() -> Any:
        return [{"title": "Momo", "margin": 1}]

    @app.get("/typed", response_model=Row)
    async def typed() -> Any:
        return {"title": "Momo", "margin": 1}

    @app.get("/aliased", response_model=Card)
    async def aliased() -> Any:
        return {"book_title": "Momo", "weight": 1}

    @app.get("/union", response_model=Cat | Dog)
    async def union() -> Any:
        return {"kind": "cat", "lives": 9, "colour": "grey"}

    @app.get("/untagged", response_model=Book | Profile)
    async def untagged() -> Any:
        return {"title": "Momo", "colour": "grey"}

    @app.get("/subclass", response_model=Profile)
    async def subclass() -> Any:
        return ProfileInDb(name="Ada", hashed_password=HASH, note="vip")

    @app.get("/dataclass", response_model=Point)
    async def dataclass() -> Any:
        return {"x": 1, "z": 2}

    @app.get("/recursive", response_model=Node)
    async def recursive() -> Any:
        return {"name": "a", "children": [{"name": "b", "weight": 1}]}

    @app.get("/nasty", response_model=Profile)
    async def nasty() -> Any:
        return Nasty()


def _declared(app: FastAPI) -> None:
    book = {"title": "Momo", "author": {"name": "Ende"}}

    @app.get("/right/dict", response_model=Book)
    async def right_dict() -> Any:
        return book

    @app.get("/right/page")
    async def right_page() -> ApiResponse[Page[Book]]:
        return ApiResponse(data=Page(items=[Book(title="Momo")] * 9, total=9))

    @app.get("/right/excluded", response_model=Book, response_model_exclude={"author"})
    async def excluded() -> Any:
        return book

    @app.get("/right/included", response_model=Book, response_model_include={"title"})
    async def included() -> Any:
        return book

    @app.get("/right/unset", response_model=Book, response_model_exclude_unset=True)
    async def unset() -> Any:
        return Book(title="Momo")

    @app.get("/right/none", response_model=Book, response_model_exclude_none=True)
    async def no_none() -> Any:
        return {"title": "Momo", "author": None}

    @app.get("/right/defaults", response_model=Book, response_model_exclude_defaults=True)
    async def no_defaults() -> Any:
        return {"title": "Momo", "author": None}

    @app.get("/right/computed", response_model=Priced)
    async def computed() -> Any:
        return Priced(net=10)

    @app.get("/right/computed-dict", response_model=Priced)
    async def computed_dict() -> Any:
        return {"net": 10, "gross": 12.2}

    @app.get("/right/aliased", response_model=Card)
    async def right_aliased() -> Any:
        return {"bookTitle": "Momo", "shelf_mark": "A1"}

    @app.get("/right/open", response_model=Open)
    async def extra_allowed() -> Any:
        return {"title": "Momo", "margin": 1}

    @app.get("/right/union", response_model=Cat | Dog)
    async def right_union() -> Any:
        return Dog(kind="dog")

    @app.get("/right/no-model", response_model=None)
    async def no_model() -> Any:
        return {"anything": 1}

    @app.get("/right/response", response_model=Book)
    async def own_response() -> Any:
        return JSONResponse({"title": "Momo", "margin": 1})


def _misspelt(app: FastAPI) -> None:
    @app.get("/near/typo", response_model=Profile)
    async def typo() -> Any:
        return {"name": "Ada", "emial": "a@example.org"}  # TYPO

    @app.get("/near/case", response_model=Card)
    async def other_case() -> Any:
        return {"bookTitle": "Momo", "SHELF_MARK": "A1"}

    @app.get("/near/not", response_model=Profile)
    async def not_near() -> Any:
        return {"name": "Ada", "email": "a", "total_count": 3, "and": 1}

    @app.get("/near/plural", response_model=Profile)
    async def plural() -> Any:
        return {"name": "Ada", "emails": ["a", "b"]}


def _secrets(app: FastAPI) -> None:
    @app.get("/secret/model")
    async def with_hash() -> Account:
        return Account(login="ada", password_hash=HASH)  # the line is that of the endpoint

    @app.get("/secret/no-model")
    async def without_model():  # type: ignore[no-untyped-def] # as people write it
        return [{"login": "ada", "settings": {"hashed_password": HASH}}]

    @app.post("/secret/echo")
    async def echo(user: dict[str, str]):  # type: ignore[no-untyped-def] # as people write it
        return user

    @app.get("/secret/stripped", response_model=Profile)
    async def protected() -> Any:
        return {"name": "Ada", "hashed_password": HASH}

    @app.post("/right/token")
    async def token() -> Login:
        return Login(access_token="eyJhbGciOi.a.b", refresh_token="r" * 40)  # noqa: S106 - no secret

    @app.get("/right/masked")
    async def masked() -> Vault:
        return Vault(
            name="a", password=SecretStr("hunter2"), password_changed_at=dt.date(2026, 1, 1)
        )

    @app.get("/right/labels")
    async def labels():  # type: ignore[no-untyped-def] # as people write it
        return {"password": "Password", "password_hint": "the usual", "secretary": "Ada"}

    @app.get("/right/form")
    async def form_fields():  # type: ignore[no-untyped-def] # as people write it
        return {"fields": {"login": "text", "password": "password"}, "passwordless": True}

    @app.post("/right/new-key")
    async def new_key():  # type: ignore[no-untyped-def] # as people write it
        return {"client_id": "a", "client_secret": "k" * 40}

    @app.get("/secret/stored-key")
    async def stored_key():  # type: ignore[no-untyped-def] # as people write it
        return {"client_id": "a", "client_secret": "k" * 40}


def _invalid(app: FastAPI) -> None:
    @app.get("/invalid/none", response_model=Book)
    async def nothing_found() -> Any:
        return None

    @app.get("/invalid/null", response_model=Book)
    async def null_title() -> Any:
        return {"title": None}

    @app.get("/invalid/near", response_model=Cat)
    async def missing_lives() -> Any:  # MISSING_LIVES
        return {"kind": "cat", "livse": 9}

    @app.get("/invalid/type")
    async def wrong_type() -> list[Book]:
        return [Book(title="Momo"), {"title": 5}]  # type: ignore[list-item] # as people write it

    @app.get("/invalid/object", response_model=Profile)
    async def wrong_object() -> Any:
        return Point(1)

    @app.get("/right/optional", response_model=Book | None)
    async def optional() -> Any:
        return None

    @app.get("/right/404", response_model=Book)
    async def not_found() -> Any:
        raise HTTPException(404)

    @app.get("/right/bounded")
    async def bounded() -> Annotated[int, Field(ge=1)]:
        return 1
