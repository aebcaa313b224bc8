# ruff: noqa: RUF013 - implicit optionals are among the defects
"""Small applications with one defect each that shows before any request, and their look-alikes.

Everything stands inside of the functions that make them: what a module holds belongs to every
application of that module.
"""

import functools
from collections.abc import Callable
from typing import Annotated, Any, Optional

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, field_validator, root_validator, validator
from starlette.exceptions import HTTPException as StarletteHTTPException

from fastapi_diagnostics import DiagnosticsMiddleware

APPS: dict[str, Callable[[], FastAPI]] = {}


def example(function: Callable[[FastAPI], None]) -> Callable[[FastAPI], None]:
    """Keep what makes an application under the function's name."""

    @functools.wraps(function)
    def make() -> FastAPI:
        app = FastAPI()
        app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)
        function(app)

        @app.get("/start")
        async def start() -> str:
            return "ok"

        return app

    APPS[function.__name__] = make
    return function


# Handlers.


async def as_problem(_: Request, error: Any) -> JSONResponse:  # HALF_A_HANDLER
    return JSONResponse({"problem": error.detail}, error.status_code)


@example
def half_a_handler(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, as_problem)


@example
def whole_handler(app: FastAPI) -> None:
    app.add_exception_handler(StarletteHTTPException, as_problem)


@example
def handler_of_another_kind(app: FastAPI) -> None:
    app.add_exception_handler(ValueError, as_problem)


# The API of pydantic 1.


@example
def old_validator(app: FastAPI) -> None:
    class Member(BaseModel):
        name: str

        @validator("name")  # VALIDATOR
        def strip(cls, value: str) -> str:  # noqa: N805 - as pydantic 1 had it
            return value.strip()

    @app.post("/members")
    async def create(member: Member) -> str:
        return member.name


@example
def old_root_validator(app: FastAPI) -> None:
    class Member(BaseModel):
        name: str

        @root_validator(pre=True)  # ROOT_VALIDATOR
        def strip(cls, values: Any) -> Any:  # noqa: N805 - likewise
            return values

    @app.post("/members")
    async def create(member: Member) -> str:
        return member.name


@example
def old_config(app: FastAPI) -> None:
    class Member(BaseModel):
        name: str

        class Config:  # CONFIG
            frozen = True

    @app.post("/members")
    async def create(member: Member) -> str:
        return member.name


@example
def old_call(app: FastAPI) -> None:
    class Member(BaseModel):
        name: str

    @app.post("/members")
    async def create(member: Member) -> Any:
        return member.dict()  # DICT_CALL


@example
def new_ways(app: FastAPI) -> None:
    class Member(BaseModel):
        model_config = ConfigDict(frozen=True)
        name: str

        @field_validator("name")
        @classmethod
        def strip(cls, value: str) -> str:
            return value.strip()

        def dict(self) -> Any:  # its own, with a meaning of its own
            return {"name": self.name}

    @app.post("/members")
    async def create(member: Member) -> Any:
        return [member.dict(), member.model_dump(), {}.copy()]


# Defaults that the type does not allow.


@example
def implicit_parameter(app: FastAPI) -> None:
    @app.get("/search")
    async def search(
        q: str = None,  # IMPLICIT_PARAMETER
    ) -> str:
        return q or ""


@example
def implicit_query(app: FastAPI) -> None:
    @app.get("/search")
    async def search(
        q: Annotated[str, Query(max_length=9)] = None,  # IMPLICIT_QUERY
    ) -> str:
        return q or ""


@example
def implicit_field(app: FastAPI) -> None:
    class Member(BaseModel):
        name: str = None  # IMPLICIT_FIELD

    @app.post("/members")
    async def create(member: Member) -> str:
        return member.name


@example
def explicit_optionals(app: FastAPI) -> None:
    class Member(BaseModel):
        name: str | None = None
        nickname: Optional[str] = None  # noqa: UP045 - as people write it
        anything: Any = None

    @app.post("/members")
    async def create(member: Member, q: str | None = None, page: int = 1) -> str:
        return f"{member.name} {q} {page}"


# Routes.


@example
def shadowed(app: FastAPI) -> None:
    @app.get("/users/{user_id}")
    async def one(user_id: str) -> str:  # SHADOWS_AT_START
        return user_id

    @app.get("/users/me")
    async def me() -> str:
        return "me"


@example
def in_order(app: FastAPI) -> None:
    @app.get("/users/me")
    async def me() -> str:
        return "me"

    @app.get("/users/{user_id}")
    async def one(user_id: str) -> str:
        return user_id

    @app.get("/books/{book_id:int}")
    async def book(book_id: int) -> int:
        return book_id

    @app.get("/books/latest")
    async def latest() -> str:
        return "latest"

    @app.post("/users/{user_id}/{action}")
    async def act(user_id: str, action: str) -> str:
        return user_id + action


@example
def same_path(app: FastAPI) -> None:
    @app.get("/users/{user_id}")
    async def one(user_id: int) -> int:
        return user_id

    @app.get("/users/{number}")
    async def again(number: int) -> int:  # SAME_PATH
        return number


@example
def same_path_other_method(app: FastAPI) -> None:
    @app.get("/users")
    async def users() -> int:
        return 1

    @app.post("/users")
    async def create() -> int:
        return 1


def _invoices(app: FastAPI, *, last_guarded: bool) -> None:
    guard = [Depends(HTTPBearer())]
    router = APIRouter(prefix="/invoices")

    async def invoice(invoice_id: int) -> int:
        return invoice_id

    async def lines(invoice_id: int) -> int:
        return invoice_id

    async def delete_invoice(invoice_id: int) -> int:  # UNGUARDED
        return invoice_id

    router.add_api_route("/{invoice_id}", invoice, dependencies=guard)
    router.add_api_route("/{invoice_id}/lines", lines, dependencies=guard)
    router.add_api_route(
        "/{invoice_id}",
        delete_invoice,
        methods=["DELETE"],
        dependencies=guard if last_guarded else [],
    )
    app.include_router(router)


@example
def unguarded(app: FastAPI) -> None:
    _invoices(app, last_guarded=False)


@example
def guarded(app: FastAPI) -> None:
    _invoices(app, last_guarded=True)


@example
def open_to_all(app: FastAPI) -> None:
    @app.get("/books")
    async def books() -> int:
        return 1

    @app.delete("/books")
    async def burn() -> int:
        return 1


# What only a request shows.


class _Anything(BaseModel):
    name: str = "Ada"


def anything() -> Any:
    """Give what no source names."""
    return _Anything()


@example
def in_requests(app: FastAPI) -> None:
    class Counter:
        def __init__(self) -> None:
            self.calls = 0

        def count(self) -> int:
            self.calls += 1  # LOST_COUNT
            return self.calls

    shared = Counter()

    @app.get("/old-call")
    async def old_call_at_run_time() -> Any:
        return anything().dict()  # RUN_TIME_CALL

    @app.get("/new-call")
    async def new_call() -> Any:
        return anything().model_dump()

    @app.get("/counter")
    async def counter(counter: Annotated[Counter, Depends(Counter)]) -> int:
        return counter.count()

    @app.get("/shared-counter")
    async def shared_counter(counter: Annotated[Counter, Depends(lambda: shared)]) -> int:
        return counter.count()
