# ruff: noqa: C901 - a function of endpoints is as simple as its endpoints
"""An application whose endpoints are right; it is the requests that are not."""

from typing import Annotated, Any

from fastapi import (
    APIRouter,
    Body,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Query,
    UploadFile,
    WebSocket,
)
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware
from fastapi.responses import JSONResponse
from pydantic import Field

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.corpus.http.request_models import (
    CamelUser,
    Cat,
    Colour,
    Customer,
    Dog,
    Filters,
    Item,
    Node,
    Order,
    Owner,
    Painted,
    Strict,
)


def plain() -> FastAPI:
    """Most of the situations."""
    app = _application()
    _paths(app)
    _bodies(app)
    _parameters(app)
    _mounts(app)
    return app


def with_own_handler() -> FastAPI:
    """An application that answers 400 where FastAPI answers 422."""
    app = _application()

    @app.exception_handler(RequestValidationError)
    async def refused(_: Any, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"problems": len(error.errors())}, 400)

    @app.post("/orders")
    async def create_order(order: Order) -> int:
        return len(order.lines)

    @app.get("/orders/{order_id}")
    async def get_order(order_id: int) -> int:
        return order_id

    @app.get("/orders/latest")
    async def latest_order() -> int:
        return 1

    return app


def with_https_only() -> FastAPI:
    """An application whose own middleware redirects, from http to https."""
    app = _application()
    app.add_middleware(HTTPSRedirectMiddleware)

    @app.post("/items")
    @app.post("/items/")
    async def create_item(item: Item) -> str:
        return item.title

    return app


def _application() -> FastAPI:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)
    return app


def _paths(app: FastAPI) -> None:
    @app.get("/users/{user_id}")
    async def get_user(user_id: int) -> int:  # SHADOWING
        return user_id

    @app.get("/users/me")
    async def get_me() -> str:
        return "me"

    @app.get("/books/{slug}")
    async def get_book(slug: str) -> str:
        if slug != "momo":
            raise HTTPException(404, "There is no such book.")
        return slug

    @app.get("/books/latest")
    async def latest_book() -> str:
        return "momo"

    @app.get("/right/users/me")
    async def get_me_first() -> str:
        return "me"

    @app.get("/right/users/{user_id}")
    async def get_user_second(user_id: int) -> int:
        raise HTTPException(404, f"There is no user {user_id}.")

    @app.get("/things/{thing_id}")
    async def get_thing(thing_id: int) -> int:
        return thing_id

    @app.post("/things/new")
    async def new_thing() -> str:
        return "new"

    shop = APIRouter(prefix="/shop")

    @shop.get("/orders/{order_id}")
    async def shop_order(order_id: int) -> int:
        return order_id

    @shop.get("/orders/stats")
    async def shop_stats() -> str:
        return "stats"

    app.include_router(shop)


def _bodies(app: FastAPI) -> None:
    @app.post("/orders")
    async def create_order(order: Order) -> int:
        return len(order.lines)

    @app.post("/items")
    async def create_item(item: Item) -> str:
        return item.title

    @app.post("/items/bulk")
    async def create_items(items: list[Item]) -> int:
        return len(items)

    @app.post("/items/owned")
    async def create_owned(item: Item, owner: Owner) -> str:
        return item.title + owner.login

    @app.post("/items/embedded")
    async def create_embedded(item: Annotated[Item, Body(embed=True)]) -> str:
        return item.title

    @app.post("/items/counted")
    async def create_counted(item: Item, amount: int) -> int:
        return amount + len(item.title)

    @app.post("/customers")
    async def create_customer(customer: Customer) -> str:
        return customer.full_name

    @app.post("/camel")
    async def create_camel(user: CamelUser) -> str:
        return user.user_name

    @app.post("/strict")
    async def create_strict(body: Strict) -> str:
        return body.title

    @app.post("/painted")
    async def paint(painted: Painted) -> str:
        return painted.size

    @app.post("/pets")
    async def create_pet(pet: Annotated[Cat | Dog, Field(discriminator="kind")]) -> str:
        return pet.kind

    @app.post("/nodes")
    async def create_node(node: Node) -> str:
        return node.name

    @app.post("/notes")
    async def create_note(text: Annotated[str, Body()]) -> str:
        return text

    @app.post("/raw")
    async def raw(text: Annotated[str, Body(media_type="text/plain", max_length=3)]) -> str:
        return text

    @app.get("/hosted")
    async def hosted(x_host: Annotated[str, Header()]) -> str:
        return x_host

    @app.post("/login")
    async def login(user_name: Annotated[str, Form()], password: Annotated[str, Form()]) -> str:
        return user_name[: len(password)]

    @app.post("/uploads")
    async def upload(document: Annotated[UploadFile, File()]) -> str:
        return document.filename or ""


def _parameters(app: FastAPI) -> None:
    @app.get("/by-ids")
    async def by_ids(ids: list[int]) -> int:
        return len(ids)

    @app.get("/by-query")
    async def by_query(ids: Annotated[list[int], Query()]) -> int:
        return len(ids)

    @app.get("/by-filters")
    async def by_filters(filters: Filters) -> str:
        return filters.colour

    @app.post("/transfers")
    async def transfer(amount: int, target: str) -> str:
        return target * amount

    @app.get("/search")
    async def search(
        page_size: int, since: Annotated[str, Query(alias="from")] = "", colour: Colour = Colour.red
    ) -> str:
        return since + colour.value * page_size

    @app.get("/history")
    async def history(since: Annotated[str, Query(alias="from")]) -> str:
        return since

    @app.get("/pages")
    async def pages(page: Annotated[int, Query(ge=1)] = 1) -> int:
        return page

    @app.get("/headed")
    async def headed(x_token: Annotated[str, Header()]) -> int:
        return len(x_token)

    @app.get("/underscored")
    async def underscored(
        x_token: Annotated[str, Header(convert_underscores=False)],
    ) -> int:
        return len(x_token)

    @app.websocket("/live")
    async def live(websocket: WebSocket, room_name: str) -> None:
        await websocket.accept()
        await websocket.close(reason=room_name)


def _mounts(app: FastAPI) -> None:
    inner = FastAPI()

    @inner.get("/parts/{part_id}")
    async def get_part(part_id: int) -> int:
        return part_id

    @inner.get("/parts/search")
    async def search_parts() -> str:
        return "found"

    @inner.post("/bolts/")
    async def create_bolt(item: Item) -> str:  # BOLTS
        return item.title

    app.mount("/inner", inner)

    @app.post("/slashed/")
    async def create_slashed(item: Item) -> str:  # SLASHED
        return item.title

    @app.get("/slashed/")
    async def list_slashed() -> str:
        return "all"

    @app.delete("/unslashed/{name}")
    async def delete_unslashed(name: str) -> str:
        return name
