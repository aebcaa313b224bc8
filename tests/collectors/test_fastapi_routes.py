"""What the collector tells of a request's route."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import fastapi.routing
import pytest
import starlette.routing
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from fastapi_diagnostics.collectors import fastapi as fastapi_collector
from fastapi_diagnostics.collectors.fastapi.routes import application_files
from fastapi_diagnostics.collectors.hooks import Hooks
from tests.collectors.fastapi_recording import HERE, Recording
from tests.installed import installed


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(fastapi_collector, root=HERE) as hooks:
        yield hooks


class Author(BaseModel):
    name: str


async def one(author_id: int) -> Author:
    return Author(name=str(author_id))


async def many() -> list[Author]:
    return []


async def nothing():
    return None


async def plain(_request):
    return PlainTextResponse("plain")


class Page(HTTPEndpoint):
    async def get(self, _request):
        return PlainTextResponse("page")


def nested_app() -> FastAPI:
    """Routes in a router in a router, in a mounted application, beside plain ones."""
    inner = APIRouter(prefix="/authors")
    inner.add_api_route("/{author_id}", one)
    inner.add_api_route("", many)
    outer = APIRouter(prefix="/v1")
    outer.include_router(inner)
    sub = FastAPI()
    sub.include_router(outer, prefix="/deep")
    app = FastAPI()
    app.include_router(outer)
    app.add_api_route("/nothing", nothing, methods=["POST"])
    app.mount("/sub", sub)
    app.mount("/tenants/{tenant}", Starlette(routes=[Route("/plain/{name}", plain)]))
    app.mount("/files", StaticFiles(directory=HERE), name="files")
    app.router.routes.append(Route("/plain/{name}", plain))
    app.router.routes.append(Mount("/group", routes=[Route("/page", Page)]))
    return app


@pytest.mark.parametrize("copy_scope", [False, True], ids=["same-scope", "copied-scope"])
@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/authors/3", "GET /v1/authors/{author_id}"),
        ("/v1/authors", "GET /v1/authors"),
        ("/sub/deep/v1/authors/3", "GET /sub/deep/v1/authors/{author_id}"),
    ],
)
def test_route_of_fastapi_has_its_prefixes(path, route, copy_scope):
    recording = Recording(nested_app(), copy_scope=copy_scope)

    assert recording.client().get(path).status_code == 200

    assert recording.last.route == route


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/plain/x", "GET /plain/{name}"),
        ("/tenants/acme/plain/x", "GET /tenants/{tenant}/plain/{name}"),
        ("/group/page", "GET /group/page"),
        ("/files/test_fastapi_routes.py", "GET /files/{path}"),
    ],
)
@pytest.mark.parametrize("copy_scope", [False, True], ids=["same-scope", "copied-scope"])
def test_route_of_starlette_has_the_paths_of_its_mounts(path, route, copy_scope):
    if copy_scope and path.startswith(("/files", "/group")):
        pytest.skip("static files and endpoint classes pass no hook, so a copied scope hides them")
    recording = Recording(nested_app(), copy_scope=copy_scope)

    assert recording.client().get(path).status_code == 200

    assert recording.last.route == route


@pytest.mark.parametrize("path", ["/nowhere", "/sub/nowhere", "/group/nowhere"])
def test_route_is_empty_when_nothing_matched(path):
    recording = Recording(nested_app())

    assert recording.client().get(path).status_code == 404

    assert recording.last.route == ""
    assert recording.last.endpoint is None
    assert recording.last.path == path


def test_lazily_included_routers_are_walked_without_the_public_function(monkeypatch):
    monkeypatch.delattr(fastapi.routing, "iter_route_contexts", raising=False)
    recording = Recording(nested_app())

    recording.client().get("/sub/deep/v1/authors/3")

    assert recording.last.route == "GET /sub/deep/v1/authors/{author_id}"


def test_wrong_method_still_names_the_path():
    recording = Recording(nested_app())

    assert recording.client().post("/v1/authors").status_code == 405

    assert recording.last.route == "POST /v1/authors"


def test_root_path_of_the_server_is_no_part_of_the_route():
    recording = Recording(nested_app())
    client = TestClient(recording, root_path="/api")

    assert client.get("/api/v1/authors/3").status_code == 200
    assert client.get("/api/sub/deep/v1/authors/3").status_code == 200

    assert [record.route for record in recording.records] == [
        "GET /v1/authors/{author_id}",
        "GET /sub/deep/v1/authors/{author_id}",
    ]


def test_endpoint_and_response_model_are_named():
    recording = Recording(nested_app())

    recording.client().get("/v1/authors")

    assert recording.last.method == "GET"
    assert recording.last.endpoint.function == "many"
    assert recording.last.endpoint.file == "test_fastapi_routes.py"
    assert recording.last.response_model == "list[Author]"


def test_endpoint_without_model_has_none():
    recording = Recording(nested_app())

    recording.client().post("/nothing")

    assert recording.last.route == "POST /nothing"
    assert recording.last.response_model is None


def test_method_of_an_endpoint_class_is_its_endpoint():
    recording = Recording(nested_app())

    recording.client().get("/group/page")

    assert recording.last.endpoint.function == "Page.get"


def test_query_values_are_not_recorded():
    recording = Recording(nested_app())

    recording.client().get("/v1/authors?token=s3cret-value")

    assert "token" in recording.last.query
    assert "s3cret-value" not in recording.last.query


def test_websocket_is_told_by_its_path():
    app = FastAPI()

    @app.websocket("/rooms/{room}")
    async def talk(socket: WebSocket, room: str):
        assert room == "blue"
        await socket.accept()
        await socket.close()

    recording = Recording(app)
    with recording.client().websocket_connect("/rooms/blue"):
        pass

    assert recording.last.route == "WS /rooms/{room}"
    assert [phase.name for phase in recording.last.phases][-1] == "endpoint"


def test_phases_follow_one_another():
    recording = Recording(nested_app())

    recording.client().get("/v1/authors")

    names = [phase.name for phase in recording.last.phases]
    assert names == ["middleware", "dependencies", "endpoint", "response"]


def test_plain_route_has_no_dependencies_phase():
    recording = Recording(Starlette(routes=[Route("/plain/{name}", plain)]))

    recording.client().get("/plain/x")

    assert [phase.name for phase in recording.last.phases] == ["middleware", "endpoint", "response"]


def test_outside_of_a_recording_nothing_is_noted():
    app = nested_app()
    recording = Recording(app)
    recording.client().get("/v1/authors")

    assert TestClient(app).get("/v1/authors/3").json() == {"name": "3"}
    assert len(recording.records) == 1


def test_undo_puts_everything_back(hooks):
    hooks.undo()

    assert fastapi.routing.solve_dependencies.__module__ == "fastapi.dependencies.utils"
    assert not hasattr(starlette.routing.wrap_app_handling_exceptions, "__wrapped__")


def test_application_in_the_project_needs_no_packages():
    assert application_files(nested_app()) == ()


def test_installed_application_is_told_by_its_top_level_package(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "shop"
    endpoint = module_function("shop.routers.books", package / "routers" / "books.py", monkeypatch)
    regular_package("shop", package, monkeypatch)
    app = FastAPI()
    app.add_api_route("/books", endpoint)

    assert application_files(app) == (package,)


def test_dependencies_of_an_installed_application_are_its_own(tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    endpoint = module_function("shop.books", site / "shop" / "books.py", monkeypatch)
    guard = module_function("acme.auth.users", site / "acme" / "auth" / "users.py", monkeypatch)
    regular_package("shop", site / "shop", monkeypatch)
    monkeypatch.setitem(sys.modules, "acme", ModuleType("acme"))  # a namespace, shared with others
    regular_package("acme.auth", site / "acme" / "auth", monkeypatch)
    app = FastAPI()
    app.add_api_route("/books", endpoint, dependencies=[Depends(guard)])

    assert application_files(app) == (site / "shop", site / "acme" / "auth")


def test_installed_module_is_told_by_its_file(tmp_path, monkeypatch):
    file = tmp_path / "site-packages" / "tinyshop.py"
    app = Starlette(routes=[Route("/", module_function("tinyshop", file, monkeypatch))])

    assert application_files(app) == (file,)


def test_frameworks_are_no_applications():
    assert application_files(FastAPI()) == ()
    assert application_files(Router()) == ()


def module_function(name: str, file: Path, monkeypatch):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("async def endpoint(request=None):\n    return None\n")
    module = ModuleType(name)
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(file.read_text(), str(file), "exec"), module.__dict__)  # noqa: S102 - own text
    return module.endpoint


def regular_package(name: str, folder: Path, monkeypatch) -> None:
    package = ModuleType(name)
    package.__file__ = str(folder / "__init__.py")
    package.__path__ = [str(folder)]
    monkeypatch.setitem(sys.modules, name, package)
