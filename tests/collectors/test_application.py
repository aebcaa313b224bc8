"""What is told of an application that nobody has called yet."""

import asyncio
import functools
import importlib
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Security, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer, OAuth2PasswordBearer
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.routing import Host, Match, Mount, Route
from starlette.staticfiles import StaticFiles

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors.application import collect, routes_version
from tests.pace import slowness

HERE = Path(__file__).parent
SHOP = HERE / "audited_shop.py"


@pytest.fixture(autouse=True)
def tests_are_user_code() -> Iterator[None]:
    USER_CODE.reset()
    USER_CODE.add_root(HERE)
    yield
    USER_CODE.reset()


@pytest.fixture(scope="module")
def shop() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("tests.collectors.audited_shop")


def marked(kind: str) -> list[tuple[int, str]]:
    """Give line and label of each line of the shop that is marked as *kind*."""
    lines = SHOP.read_text("utf-8").splitlines()
    found = [(number, re.search(rf"# {kind}: (.+)$", text)) for number, text in enumerate(lines, 1)]
    return sorted((number, match[1]) for number, match in found if match)


def an_app(*paths: str, **options: Any) -> FastAPI:
    """An application with ``GET`` routes at these paths, or ``METHOD path``."""
    app = FastAPI(openapi_url=None, **options)
    for text in paths:
        method, _, path = text.rpartition(" ")

        async def endpoint() -> int:
            return 1

        app.add_api_route(path, endpoint, methods=[method or "GET"])
    return app


def overlaps(app: Any) -> list[tuple[str, str, bool]]:
    record = collect(app)
    return [
        (route.label, record.routes[overlap.route].label, overlap.same_path)
        for route in record.routes
        for overlap in route.overlaps
    ]


# Models, signatures and mappings


def test_the_old_api_is_found_at_its_lines_and_nothing_else(shop) -> None:
    record = collect(shop.app)

    found = [(use.location.line, use.api) for use in record.old_pydantic]
    assert sorted(found) == marked("old")
    assert {use.location.file for use in record.old_pydantic} == {"audited_shop.py"}


def test_a_decorator_is_shown_as_the_line_and_not_its_def(shop) -> None:
    uses = {use.api: use for use in collect(shop.app).old_pydantic}

    assert uses["@validator"].location.code.startswith('@validator("name")')


def test_only_a_receiver_whose_class_is_named_is_certain(shop) -> None:
    exact = {use.location.line: use.exact for use in collect(shop.app).old_pydantic}
    lines = {label: number for number, label in marked("old")}

    assert exact[lines["class Config"]]
    assert exact[lines[".json()"]]
    assert not exact[lines[".dict()"]]


def test_implicit_optionals_are_found_at_their_lines_and_nothing_else(shop) -> None:
    record = collect(shop.app)

    found = [(one.location.line, f"{one.owner}.{one.name}") for one in record.implicit_optionals]
    assert sorted((line, name.rpartition("Filter.")[2]) for line, name in found) == marked(
        "implicit"
    )


def test_the_default_is_told_as_it_was_written(shop) -> None:
    defaults = {one.name: one.default for one in collect(shop.app).implicit_optionals}

    assert (defaults["author"], defaults["order"]) == ("Query(None)", "None")


def test_eager_mappings_are_found_at_their_lines_without_configuring_mappers(shop) -> None:
    record = collect(shop.app)

    found = [(one.location.line, f"{one.attribute} {one.lazy}") for one in record.eager_mappings]
    assert sorted(found) == marked("eager")
    assert not shop.Author.__mapper__.configured


@pytest.mark.usefixtures("shop")
def test_models_of_another_application_in_the_process_are_not_its_own() -> None:
    record = collect(an_app("/alone"))

    assert (record.old_pydantic, record.eager_mappings) == ((), ())
    assert "tests.collectors.audited_shop" in sys.modules


def test_a_model_that_only_a_parameter_mentions_is_looked_at() -> None:
    from pydantic import BaseModel  # noqa: PLC0415 - local on purpose

    class Local(BaseModel):
        name: str = None

    app = an_app()

    @app.post("/local")
    async def local(item: list[Local]) -> int:
        return len(item)

    [found] = collect(app).implicit_optionals
    assert (found.owner, found.name, found.location.code) == ("Local", "name", "name: str = None")


def test_annotation_and_default_are_told_as_they_were_written() -> None:
    from pydantic import UUID4, BaseModel, Field  # noqa: PLC0415 - local on purpose

    class Wanted(BaseModel):
        ids: Annotated[list[UUID4], Field(max_length=3)] = Field(None, title="a, b # c")  # odd
        kind: Annotated[
            str,
            Field(max_length=3),
        ] = None
        size: int = 3

    app = an_app()

    @app.post("/wanted")
    async def wanted(item: Wanted, name: "str" = Query(None, max_length=5), to: int = 3) -> str:  # noqa: B008 - the form that is meant
        return f"{item}{name}{to}"

    ids, kind, name = sorted(collect(app).implicit_optionals, key=lambda one: one.name)
    assert ids.annotation == "Annotated[list[UUID4], Field(max_length=3)]"
    assert ids.default == 'Field(None, title="a, b # c")'
    assert (kind.annotation, kind.default) == ("Annotated[str, Field(max_length=3)]", "None")
    assert (name.annotation, name.default) == ('"str"', "Query(None, max_length=5)")


def test_a_default_that_is_validated_is_left_alone() -> None:
    from pydantic import BaseModel, ConfigDict, Field  # noqa: PLC0415 - local on purpose

    class One(BaseModel):
        name: str = Field(None, validate_default=True)

    class All(BaseModel):
        model_config = ConfigDict(validate_default=True)
        name: str = None

    app = an_app()

    @app.post("/validated")
    async def validated(item: list[One | All]) -> int:
        return len(item)

    assert collect(app).implicit_optionals == ()


# Routes and their order


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (("/users/{id}", "/users/me"), [("GET /users/me", "GET /users/{id}", False)]),
        (("/users/me", "/users/{id}"), []),
        (("/users/{id:int}", "/users/me"), []),
        (("/users/{id:int}", "/users/{name}"), []),
        (("/users/{name}", "/users/{id:int}"), [("GET /users/{id:int}",) * 2]),
        (("/users/{id}", "/users/{name}"), [("GET /users/{name}", "GET /users/{id}", True)]),
        (("/users", "POST /users"), []),
        (("/users", "/users"), [("GET /users", "GET /users", True)]),
        (("/users", "/users/"), []),
        (("/{rest:path}", "/users"), [("GET /users", "GET /{rest:path}", False)]),
        (("/users", "/{rest:path}"), []),
        (("/files/{name}.json", "/files/{name}"), []),
        (("/files/{n}", "/files/{n}.json"), [("GET /files/{n}.json", "GET /files/{n}", False)]),
        (("/{a}/x", "/users/{b}"), []),
    ],
)
def test_a_route_that_an_earlier_one_takes_whole_is_told(paths, found) -> None:
    seen = overlaps(an_app(*paths))

    assert [one[: len(want)] for one, want in zip(seen, found, strict=True)] == [
        ("GET /users/{id:int}", "GET /users/{name}") if len(want) == 2 else want for want in found
    ]


def test_of_a_route_with_several_methods_only_those_that_are_taken_are_told() -> None:
    app = an_app("/books")

    @app.api_route("/books", methods=["GET", "PUT"])
    async def both() -> int:
        return 2

    [overlap] = collect(app).routes[1].overlaps
    assert overlap.methods == ("GET",)


def test_included_routers_compete_with_their_prefixes() -> None:
    users, me = APIRouter(prefix="/users"), APIRouter(prefix="/users")

    @users.get("/{user_id}")
    async def one(user_id: int) -> int:
        return user_id

    @me.get("/me")
    async def myself() -> int:
        return 1

    app = an_app()
    app.include_router(users, prefix="/v1")
    app.include_router(me, prefix="/v1")
    app.include_router(me, prefix="/v2")

    assert overlaps(app) == [("GET /v1/users/me", "GET /v1/users/{user_id}", False)]


def test_a_mount_takes_what_is_declared_behind_it(tmp_path) -> None:
    app = an_app("/before")
    app.mount("/", StaticFiles(directory=tmp_path))
    app.add_api_route("/behind", lambda: 1)

    assert overlaps(app) == [("GET /behind", "mount /", False)]


def test_mounted_applications_and_hosts_do_not_compete_with_one_another() -> None:
    app = an_app("/books")
    app.mount("/one", an_app("/books"))
    app.mount("/two", an_app("/books"))
    app.router.routes.append(Host("a.example.org", an_app("/books")))
    app.router.routes.append(Host("b.example.org", an_app("/books")))

    record = collect(app)

    assert overlaps(app) == []
    assert {route.path for route in record.routes} >= {"/one/books", "/two/books", "/books"}


def test_a_route_class_that_matches_in_its_own_way_takes_nothing_for_certain() -> None:
    class OnlyForBeta(APIRoute):
        def matches(self, scope: Any) -> Any:
            beta = (b"x-beta", b"1") in scope["headers"]
            return super().matches(scope) if beta else (Match.NONE, {})

    router = APIRouter(route_class=OnlyForBeta)
    router.add_api_route("/items", lambda: 1)
    app = FastAPI()
    app.include_router(router)
    app.add_api_route("/items", lambda: 2)

    assert overlaps(app) == []


def test_a_websocket_and_a_get_may_have_one_path() -> None:
    app = an_app("/live")

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.close()

    assert overlaps(app) == []
    assert [route.label for route in collect(app).routes] == ["GET /live", "WS /live"]


def test_plain_starlette_is_described_as_far_as_it_goes() -> None:
    class Shelf(HTTPEndpoint):
        async def get(self, _request: Request) -> JSONResponse:
            return JSONResponse({})

    async def hello(_request: Request) -> JSONResponse:
        return JSONResponse({})

    record = collect(
        Starlette(routes=[Mount("/sub", routes=[Route("/hello", hello)]), Route("/s", Shelf)])
    )

    assert [route.label for route in record.routes] == ["mount /sub", "GET /sub/hello", "ANY /s"]
    assert record.routes[2].location.function.endswith("Shelf.get")
    assert all(route.answers_itself for route in record.routes[1:])


def test_what_is_not_in_the_schema_has_no_operation_id() -> None:
    app = an_app("/shown")
    app.add_api_route("/hidden", lambda: 1, include_in_schema=False)

    assert [bool(route.operation_id) for route in collect(app).routes] == [True, False]


@pytest.mark.parametrize(
    ("options", "returned", "itself"),
    [
        ({}, int, False),
        ({"response_class": HTMLResponse}, None, True),
        ({"status_code": 204}, None, True),
        ({"response_model": None}, StreamingResponse, True),
        ({}, "unsaid", False),
    ],
)
def test_answers_that_need_no_model_are_told_apart(options, returned, itself) -> None:
    async def endpoint():
        return 1

    if returned != "unsaid":
        endpoint.__annotations__["return"] = returned
    app = an_app()
    app.add_api_route("/x", endpoint, **options)

    assert collect(app).routes[0].answers_itself is itself


# Guards

bearer = HTTPBearer()
lenient = HTTPBearer(auto_error=False)
oauth2 = OAuth2PasswordBearer(tokenUrl="token")


async def get_current_user(token: Annotated[str, Depends(oauth2)]) -> str:
    return token


async def get_user_if_any(token: Annotated[Any, Depends(lenient)]) -> str | None:
    return token


async def tenant(token: Annotated[Any, Depends(lenient)]) -> str:
    if token is None:
        raise HTTPException(401)
    return token


async def colour_scheme(token: Annotated[Any, Depends(lenient)]) -> str:
    return "dark" if token else "light"


async def optional_auth() -> str:
    return ""


async def get_db() -> int:
    return 1


async def get_auth_service() -> int:
    return 1


async def list_authors() -> int:
    return 1


class RoleChecker:
    def __call__(self) -> None:
        raise HTTPException(403)


@pytest.mark.parametrize(
    ("dependency", "guarding"),
    [
        (Depends(bearer), "guard"),
        (Depends(APIKeyHeader(name="X-Key")), "guard"),
        (Security(get_current_user, scopes=["read"]), "guard"),
        (Depends(functools.partial(get_current_user)), "guard"),
        (Depends(tenant), "guard"),
        (Depends(RoleChecker()), "guard"),
        (Depends(lenient), "optional"),
        (Depends(get_user_if_any), "optional"),
        (Depends(colour_scheme), "optional"),
        (Depends(optional_auth), "optional"),
        (Depends(get_db), ""),
        (Depends(get_auth_service), ""),
        (Depends(list_authors), ""),
    ],
)
def test_guards_are_told_by_type_and_name(dependency, guarding) -> None:
    app = an_app()
    app.add_api_route("/x", lambda: 1, dependencies=[dependency])

    assert collect(app).routes[0].dependencies[0].guarding == guarding


def test_the_chain_of_dependencies_is_told_with_depths_and_places() -> None:
    app = an_app()
    guarded = [Security(get_current_user, scopes=["read"])]
    app.add_api_route("/x", lambda: 1, dependencies=guarded)

    [user, scheme] = collect(app).routes[0].dependencies

    assert (user.name, user.depth, user.scopes) == ("get_current_user", 0, ("read",))
    assert (scheme.name, scheme.depth, scheme.location) == ("OAuth2PasswordBearer", 1, None)
    assert user.location.file == "test_application.py"


def test_dependencies_of_router_and_application_count() -> None:
    router = APIRouter(dependencies=[Depends(bearer)])
    router.add_api_route("/x", lambda: 1)
    app = an_app(dependencies=[Depends(get_db)])
    app.include_router(router)

    names = [one.name for one in collect(app).routes[0].dependencies]
    assert names == ["get_db", "HTTPBearer"]


def require_login(function: Any) -> Any:
    @functools.wraps(function)
    async def checked(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return checked


def test_endpoints_that_look_for_themselves_are_told() -> None:
    app = an_app()

    @app.get("/reads")
    async def reads(request: Request) -> str:
        return request.headers["x-user"]

    @app.get("/decorated")
    @require_login
    async def decorated() -> int:
        return 1

    @app.get("/plain")
    async def plain() -> int:
        return 1

    looks = {route.path: route.looks_itself for route in collect(app).routes}
    assert looks == {"/reads": True, "/decorated": True, "/plain": False}


def test_middleware_that_may_authenticate_is_named() -> None:
    class AuthenticationMiddleware(BaseHTTPMiddleware):
        pass

    app = an_app()
    app.add_middleware(AuthenticationMiddleware)

    @app.middleware("http")
    async def count(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    @app.middleware("http")
    async def verify_token(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    names = collect(app).guarding_middleware
    assert len(names) == 2
    assert names[0].endswith("verify_token")
    assert names[1].endswith("AuthenticationMiddleware")


# Handlers


def test_handlers_are_told_for_each_application() -> None:
    inner = an_app()
    app = an_app()
    app.mount("/admin", inner)

    @inner.exception_handler(HTTPException)
    async def as_problem(_request: Request, _error: Exception) -> JSONResponse:
        return JSONResponse({})

    handlers = [one for one in collect(app).handlers if not one.builtin]

    [handler] = handlers
    assert (handler.application, handler.name) == ("/admin", "as_problem")
    assert handler.handles == "fastapi.exceptions.HTTPException"


# Bounds and cost


def test_the_version_changes_when_a_route_is_added_anywhere() -> None:
    router = APIRouter()
    app = an_app("/x")
    app.include_router(router)
    before = routes_version(app)

    app.add_api_route("/y", lambda: 1)
    after = routes_version(app)

    assert before != after == routes_version(app)


def test_very_many_routes_are_cut_and_that_is_told() -> None:
    async def endpoint(_request: Request) -> JSONResponse:
        return JSONResponse({})

    app = Starlette(routes=[Route(f"/r{number}", endpoint) for number in range(2500)])

    record = collect(app)

    assert len(record.routes) == 2000
    assert record.truncated == ("routes",)


def test_others_get_the_interpreter_meanwhile() -> None:
    breaths = []

    collect(an_app(*(f"/r{number}" for number in range(100))), breathe=lambda: breaths.append(1))

    assert len(breaths) >= 20


def test_300_routes_cost_at_most_50_ms() -> None:
    app = an_app(*(f"/things/{number % 30}/{{id}}/part{number}" for number in range(300)))
    collect(app)  # what FastAPI itself prepares at first use

    best = min(collect(app).duration_ms / slowness() for _ in range(3))

    assert best <= 50


def test_nothing_of_the_application_is_called() -> None:
    called = []

    async def dependency() -> None:
        called.append("dependency")

    app = an_app(dependencies=[Depends(dependency)])
    app.add_api_route("/x", lambda: called.append("endpoint"))

    collect(app)

    assert called == []


async def test_it_runs_in_a_thread_while_the_application_serves(shop) -> None:
    record = await asyncio.to_thread(collect, shop.app)

    assert record.title == "Audited"
