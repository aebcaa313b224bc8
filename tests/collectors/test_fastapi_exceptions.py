"""Which exceptions passed, and which handler answered for them."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI, HTTPException, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Route

from fastapi_diagnostics.collectors import fastapi as fastapi_collector
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.faults import FAULTS
from tests.collectors.fastapi_recording import HERE, Recording, line_of
from tests.installed import installed


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(fastapi_collector, root=HERE) as hooks:
        yield hooks


class ShopError(Exception):
    pass


async def handle_shop_error(_request, error):
    return JSONResponse({"error": str(error)}, status_code=409)


async def handle_badly(_request, _error):
    raise LookupError("no translation")  # mark: bad handler


def find():
    return {}["parcel"]  # mark: lookup


async def broken():
    return find()


async def shop_error():
    raise ShopError("sold out")


async def missing():
    raise HTTPException(404, "no such thing")


def app_with(endpoint, handler=None) -> FastAPI:
    app = FastAPI()
    app.add_api_route("/", endpoint)
    if handler is not None:
        app.add_exception_handler(ShopError, handler)
    return app


def record_of(app, path: str = "/"):
    recording = Recording(app)
    recording.client().get(path)
    return recording.last


def test_unhandled_exception_is_noted_once_with_its_line():
    record = record_of(app_with(broken))

    (fact,) = record.exceptions
    assert (fact.type, fact.phase, fact.handler) == ("KeyError", "endpoint", None)
    assert fact.location.line == line_of("mark: lookup", __file__)
    assert fact.location.function == "find"
    assert [frame.location.function for frame in fact.stack] == ["find", "broken"]


def test_handler_of_the_application_is_named():
    record = record_of(app_with(shop_error, handle_shop_error))

    (fact,) = record.exceptions
    assert record.status == 409
    assert fact.type.endswith("ShopError")
    assert fact.handler == "handle_shop_error"
    assert fact.handler_location.function == "handle_shop_error"
    assert not fact.raised_by_handler


def test_handler_of_a_status_code_is_named():
    app = app_with(missing)
    app.add_exception_handler(404, handle_shop_error)

    (fact,) = record_of(app).exceptions

    assert (fact.status, fact.handler) == (404, "handle_shop_error")


def test_handlers_of_the_framework_are_not_the_applications():
    (fact,) = record_of(app_with(missing)).exceptions

    assert (fact.status, fact.handler) == (404, None)


def test_handler_that_raises_is_told_from_what_it_handled():
    record = record_of(app_with(shop_error, handle_badly))

    first, second = record.exceptions
    assert record.status == 500 or record.status is None
    assert (first.handler, first.raised_by_handler) == (None, False)
    assert (second.type, second.raised_by_handler) == ("LookupError", True)
    assert second.location.line == line_of("mark: bad handler", __file__)


def test_client_that_goes_away_during_the_answer_is_no_fault_of_the_handler():
    class Gone:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            async def failing(message):
                await send(message)
                raise OSError("gone")

            await self.app(scope, receive, failing)

    app = app_with(shop_error, handle_shop_error)
    app.add_middleware(Gone)

    record = record_of(app)

    assert record.exceptions[0].handler == "handle_shop_error"
    assert not any(fact.raised_by_handler for fact in record.exceptions)


def test_error_of_a_mounted_application_is_noted_once():
    app = FastAPI()
    app.mount("/sub", app_with(broken))

    record = record_of(app, "/sub/")

    assert [fact.type for fact in record.exceptions] == ["KeyError"]
    assert record.route == "GET /sub/"


def test_plain_route_is_watched():
    async def endpoint(_request):
        return find()

    (fact,) = record_of(Starlette(routes=[Route("/", endpoint)])).exceptions

    assert (fact.type, fact.phase) == ("KeyError", "endpoint")


def test_failure_of_ours_changes_nothing():
    class OddError(RequestValidationError):
        def errors(self):
            raise LookupError("odd")

    async def endpoint():
        raise OddError([])

    app = app_with(endpoint)
    app.add_exception_handler(OddError, handle_odd)
    recording = Recording(app)

    assert recording.client().get("/").status_code == 400

    assert FAULTS.count("fastapi.exception") == 1
    FAULTS.clear()


async def handle_odd(_request, _error):
    return JSONResponse({}, status_code=400)


def test_validation_errors_are_told_without_the_values_that_came():
    async def endpoint():
        Card.model_validate({"number": "4111-1111", "holder": 5})

    (fact,) = record_of(app_with(endpoint)).exceptions

    assert fact.message == (
        "2 validation errors: number: Input should be a valid integer, unable to parse string as "
        "an integer; holder: Input should be a valid string"
    )


class Card(BaseModel):
    number: int
    holder: str


def test_not_found_of_the_router_is_noted():
    record = record_of(app_with(broken), "/nowhere")

    assert [fact.status for fact in record.exceptions] == [404]


def test_websocket_error_is_noted():
    app = FastAPI()

    @app.websocket("/")
    async def talk(socket: WebSocket):
        await socket.accept()
        find()

    recording = Recording(app)
    with pytest.raises(KeyError), recording.client().websocket_connect("/") as socket:
        socket.receive_text()

    assert [(fact.type, fact.phase) for fact in recording.last.exceptions] == [
        ("KeyError", "endpoint")
    ]
