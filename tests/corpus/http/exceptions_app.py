# ruff: noqa: C901 - a function of endpoints is as simple as its endpoints
"""Endpoints and handlers that fail, and such as only look so."""

import asyncio
import sys
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from fastapi_diagnostics import DiagnosticsMiddleware

PRICES = {"momo": 12}


class Book(BaseModel):
    title: str


class OutOfStock(Exception):  # noqa: N818 - as people name them
    """An exception of the application's own."""


class Cyclic(Exception):  # noqa: N818 - likewise
    """Its cause is its effect."""


class Unprintable(Exception):  # noqa: N818 - likewise
    """It refuses to be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Broken(Exception):  # noqa: N818 - likewise
    """Its handler fails."""


class Renamed(Exception):  # noqa: N818 - likewise
    """Its handler raises an HTTPException."""


def plain() -> FastAPI:
    """An application with handlers for its own exceptions."""
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)
    _handlers(app)
    _failing(app)
    _meant(app)
    return app


def with_failing_last_handler() -> FastAPI:
    """An application whose handler for unexpected errors fails itself."""
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"code": error.code}, 500)  # LAST_HANDLER

    @app.get("/price/{name}")
    async def price(name: str) -> int:
        return PRICES[name]

    return app


def with_last_handler() -> FastAPI:
    """An application that answers unexpected errors in its own words."""
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"code": type(error).__name__}, 500)

    @app.get("/price/{name}")
    async def price(name: str) -> int:
        return PRICES[name]  # BEHIND_HANDLER

    return app


def with_http_middleware() -> FastAPI:
    """An application with the kind of middleware that runs the rest in a task of its own."""
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)

    @app.middleware("http")
    async def timed(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-timed"] = "yes"
        return response

    @app.get("/price/{name}")
    async def price(name: str) -> int:
        return PRICES[name]  # BEHIND_MIDDLEWARE

    @app.get("/price/list")
    async def price_list() -> dict[str, int]:
        return PRICES

    @app.get("/book", response_model=Book)
    async def book() -> Any:  # REFUSED_BEHIND_MIDDLEWARE
        return {"title": None}

    @app.get("/stripped", response_model=Book)
    async def stripped() -> Any:
        return {"title": "Momo", "margin": 1}

    @app.post("/slashed/")
    async def slashed(book: Book) -> str:
        return book.title

    return app


def _handlers(app: FastAPI) -> None:
    @app.exception_handler(OutOfStock)
    async def out_of_stock(_: Request, error: OutOfStock) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 409)

    @app.exception_handler(Broken)
    async def broken(_: Request, error: Broken) -> JSONResponse:
        return JSONResponse({"title": error.title}, 409)  # HANDLER

    @app.exception_handler(Renamed)
    async def renamed(_: Request, error: Renamed) -> JSONResponse:
        raise HTTPException(410) from error


def _failing(app: FastAPI) -> None:
    @app.get("/key-error")
    async def key_error() -> int:
        return PRICES["faust"]  # KEY_ERROR

    @app.get("/threaded")
    def threaded() -> int:
        return PRICES["faust"]  # THREADED

    @app.get("/chain")
    async def chain() -> int:
        try:
            return PRICES["faust"]
        except KeyError as error:
            raise RuntimeError("no price") from error  # CHAIN

    @app.get("/group")
    async def group() -> int:
        raise ExceptionGroup("two things", [ValueError("one"), KeyError("two")])  # GROUP

    @app.get("/task-group")
    async def task_group() -> int:
        async with asyncio.TaskGroup() as group:
            group.create_task(_member())
        return 1

    @app.get("/cyclic")
    async def cyclic() -> int:
        error = Cyclic("round")
        error.__cause__ = error
        raise error  # CYCLIC

    @app.get("/unprintable")
    async def unprintable() -> int:
        raise Unprintable  # UNPRINTABLE

    @app.get("/own-validation")
    async def own_validation() -> str:
        return Book.model_validate({"name": "Momo"}).title  # OWN_VALIDATION

    @app.get("/dependency")
    async def with_dependency(price: Annotated[int, Depends(_price)]) -> int:
        return price

    @app.get("/broken-handler")
    async def broken_handler() -> int:
        raise Broken("x")

    @app.get("/deep")
    async def deep() -> int:
        return _deeper(sys.getrecursionlimit())

    @app.websocket("/live")
    async def live(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()
        raise ValueError("live")  # LIVE


def _price() -> int:
    return PRICES["faust"]  # DEPENDENCY


async def _member() -> int:
    return PRICES["faust"]  # MEMBER


def _deeper(left: int) -> int:
    return _deeper(left - 1) if left else 0


def _meant(app: FastAPI) -> None:
    @app.get("/meant/404")
    async def meant_404() -> int:
        raise HTTPException(404)

    @app.get("/meant/503")
    async def meant_503() -> int:
        raise HTTPException(503, "Back at noon.")

    @app.get("/meant/own")
    async def meant_own() -> int:
        raise OutOfStock("momo")

    @app.get("/meant/renamed")
    async def meant_renamed() -> int:
        raise Renamed("momo")

    @app.get("/meant/caught")
    async def caught() -> Any:
        try:
            return PRICES["faust"]
        except KeyError:
            return JSONResponse({"detail": "none"}, 500)
