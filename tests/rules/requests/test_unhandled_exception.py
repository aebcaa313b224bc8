"""EXC101: what is reported, where, and what is not."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest
from fastapi import FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.websockets import WebSocketDisconnect

from fastapi_diagnostics.collectors import fastapi as fastapi_collector
from fastapi_diagnostics.collectors import response_diff
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import ExceptionFact, TaskRun
from fastapi_diagnostics.rules.requests.unhandled_exception import check
from tests.builders import a_location, a_record
from tests.collectors.fastapi_recording import HERE, Recording, line_of
from tests.installed import installed


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(fastapi_collector, response_diff, root=HERE.parent) as hooks:
        yield hooks


class ShopError(Exception):
    pass


class Book(BaseModel):
    title: str


def price():
    return {}["price"]  # mark: lookup


async def broken():
    return price()


async def chained():
    try:
        return price()
    except KeyError as error:
        raise RuntimeError("no price today") from error  # mark: chained


async def grouped():
    raise ExceptionGroup("shelves", [ValueError("first"), KeyError("second")])


async def shelve():
    raise ValueError("first")


async def tasks_together():
    async with asyncio.TaskGroup() as group:
        group.create_task(shelve())


async def sold_out():
    raise ShopError("sold out")


async def invalid() -> Book:
    return {"titel": "x"}


async def unavailable():
    raise HTTPException(503, "closed on Sundays")


async def streaming():
    async def chunks():
        yield b"first"
        price()

    return StreamingResponse(chunks())


def findings(endpoint, prepare=None):
    app = FastAPI()
    app.add_api_route("/", endpoint)
    if prepare is not None:
        prepare(app)
    recording = Recording(app)
    recording.client().get("/")
    return list(check(recording.last))


def answering(status: int, error: type[Exception] = ShopError):
    def prepare(app: FastAPI) -> None:
        async def handle(_request: Request, _error: Exception):
            return PlainTextResponse("so sorry", status_code=status)

        app.add_exception_handler(error, handle)

    return prepare


def test_unhandled_exception_is_found_at_the_innermost_line():
    (found,) = findings(broken)

    assert (found.severity, found.confidence) == ("error", "proven")
    assert found.location.line == line_of("mark: lookup", __file__)
    assert (
        found.message
        == "GET / was answered with 500 because KeyError ('price') was raised in price."
    )
    assert found.cause == "KeyError"
    assert found.subject == "exceptions[0]"
    assert found.evidence["exception"]["type"] == "KeyError"
    assert [frame.location.function for frame in found.evidence["stack"]] == ["price", "broken"]


def test_chain_is_told():
    (found,) = findings(chained)

    assert found.location.line == line_of("mark: chained", __file__)
    assert "it came of KeyError: 'price'" in found.message
    assert found.evidence["causes"] == ("KeyError: 'price'",)


def test_group_is_told():
    (found,) = findings(grouped)

    assert "it is a group of 2: ValueError: first; KeyError: 'second'" in found.message
    assert found.fix.summary.startswith("Prevent ExceptionGroup at this line")


def test_the_member_that_failed_at_the_line_is_to_be_prevented():
    (found,) = findings(tasks_together)

    assert found.location.function == "shelve"
    assert found.fix.summary.startswith("Prevent ValueError at this line")


def test_same_error_with_other_text_has_the_same_cause():
    async def numbered(number: int):
        raise ShopError(f"number {number} is sold out")

    app = FastAPI()
    app.add_api_route("/{number}", numbered)
    recording = Recording(app)
    for number in (1, 2):
        recording.client().get(f"/{number}")

    first, second = (next(check(record)) for record in recording.records)

    assert (first.cause, first.location) == (second.cause, second.location)
    assert first.message != second.message


def test_http_exceptions_are_meant():
    assert findings(unavailable) == []


def test_exception_that_a_handler_answers_is_meant():
    assert findings(sold_out, answering(409)) == []


def test_handler_that_answers_with_500_hides_no_defect():
    (found,) = findings(sold_out, answering(500))

    assert "which the handler handle turned into that answer" in found.message


def test_catch_all_handler_hides_no_defect():
    (found,) = findings(broken, answering(500, Exception))

    assert found.cause == "KeyError"


def test_failing_handler_is_one_finding_in_the_handler():
    def prepare(app: FastAPI) -> None:
        async def handle(_request: Request, _error: Exception):
            return {}["translation"]  # mark: handler

        app.add_exception_handler(ShopError, handle)

    (found,) = findings(sold_out, prepare)

    assert found.location.line == line_of("mark: handler", __file__)
    assert "raised by an exception handler" in found.message


def test_middleware_that_answers_below_500_is_respected():
    def prepare(app: FastAPI) -> None:
        @app.middleware("http")
        async def forgiving(request, call_next):
            try:
                return await call_next(request)
            except KeyError:
                return JSONResponse({}, status_code=404)

    assert findings(broken, prepare) == []


def test_middleware_that_answers_500_hides_no_defect():
    def prepare(app: FastAPI) -> None:
        @app.middleware("http")
        async def catching(request, call_next):
            try:
                return await call_next(request)
            except KeyError:
                return JSONResponse({}, status_code=500)

    (found,) = findings(broken, prepare)

    assert found.location.line == line_of("mark: lookup", __file__)


def test_error_in_middleware_is_found():
    def prepare(app: FastAPI) -> None:
        @app.middleware("http")
        async def failing(_request, _call_next):
            raise LookupError("no tenant")  # mark: middleware

    (found,) = findings(broken, prepare)

    assert found.location.line == line_of("mark: middleware", __file__)


def test_failure_after_a_handled_exception_is_the_only_finding():
    def prepare(app: FastAPI) -> None:
        answering(409)(app)

        @app.middleware("http")
        async def failing(request, call_next):
            await call_next(request)
            raise LookupError("no audit")

    (found,) = findings(sold_out, prepare)

    assert found.cause == "LookupError"


def test_invalid_response_is_found_at_the_endpoint():
    (found,) = findings(invalid)

    assert found.location.function == "invalid"
    assert "no_user_frame" in found.evidence
    assert found.cause == "fastapi.exceptions.ResponseValidationError"


def test_refused_request_is_no_exception_of_the_application():
    async def numbered(number: int):
        return number

    assert findings(numbered) == []


def test_broken_stream_is_left_to_the_rule_about_streams():
    assert findings(streaming) == []


def test_websocket_error_is_found_and_a_leaving_client_is_not():
    app = FastAPI()

    @app.websocket("/")
    async def talk(socket: WebSocket):
        await socket.accept()
        await socket.receive_text()
        price()

    recording = Recording(app)
    with suppress(WebSocketDisconnect), recording.client().websocket_connect("/"):
        pass
    with suppress(KeyError), recording.client().websocket_connect("/") as socket:
        socket.send_text("x")

    assert [len(list(check(record))) for record in recording.records] == [0, 1]


FACT = ExceptionFact(
    type="KeyError", message="'a'", phase="endpoint", location=a_location(), status=None
)


@pytest.mark.parametrize("phase", ["background", "teardown", "response", "outside"])
def test_what_happens_after_the_answer_belongs_to_other_rules(phase):
    fact = msgspec.structs.replace(FACT, phase=phase, answered=True)

    assert list(check(a_record(status=500, exceptions=(fact,)))) == []


def test_exception_of_a_task_belongs_to_other_rules():
    task = TaskRun(name="mail", state="failed", exception=0)

    assert list(check(a_record(status=500, exceptions=(FACT,), tasks=(task,)))) == []


def test_connection_without_an_answer_counts_as_server_error():
    (found,) = check(a_record(status=None, exceptions=(FACT,)))

    assert found.message.startswith("GET /books ended because KeyError ('a') was raised in ")


def test_group_around_a_noted_exception_adds_nothing():
    group = ExceptionFact(
        type="ExceptionGroup",
        message="1 sub-exception",
        phase="endpoint",
        members=("KeyError: 'a'",),
    )

    (found,) = check(a_record(status=500, exceptions=(FACT, group)))

    assert found.cause == "KeyError"


def test_capture_is_not_judged():
    assert list(check(a_record(kind="capture", status=None, exceptions=(FACT,)))) == []


async def fetch():
    return {"price": 3}


async def used_as_an_object():
    return fetch().price


async def used_as_a_mapping():
    return fetch()["price"]


async def unpacked():
    first, second = fetch()
    return first, second


async def counted():
    return len(fetch())


async def sent():
    return fetch()


@pytest.mark.filterwarnings("ignore:coroutine 'fetch' was never awaited:RuntimeWarning")
@pytest.mark.parametrize(
    "endpoint", [used_as_an_object, used_as_a_mapping, unpacked, counted, sent]
)
def test_what_comes_of_a_coroutine_that_nobody_awaited_says_await(endpoint):
    (found,) = findings(endpoint)
    gc.collect()

    assert "put `await` before the call that made it" in found.fix.summary


async def no_such_attribute():
    return "coroutine".price


def test_a_text_that_says_coroutine_is_none():
    (found,) = findings(no_such_attribute)

    assert found.fix.summary.startswith("Prevent AttributeError")


async def at_home():
    return 1


def behind(middleware):
    def prepare(app: FastAPI) -> None:
        app.middleware("http")(middleware)

    return prepare


async def turns_away(_request, _call_next):
    raise HTTPException(401, "who are you?")  # mark: turns away


async def turns_away_behind(request, call_next):
    await call_next(request)
    raise HTTPException(409, 'too "late"')


async def turns_away_in_a_helper(_request, _call_next):
    refuse()


def refuse():
    raise HTTPException(401, "who are you?")


async def turned_away(_request, _call_next):
    return JSONResponse({"detail": "who are you?"}, status_code=401)


class TurnsAway:
    def __init__(self, app):
        self.app = app

    async def __call__(self, *_):
        raise HTTPException(401, "who are you?")


@pytest.mark.parametrize(
    ("middleware", "code"),
    [
        (turns_away, 'return JSONResponse({"detail": "who are you?"}, status_code=401)'),
        (turns_away_behind, 'return JSONResponse({"detail": "too \\"late\\""}, status_code=409)'),
        (turns_away_in_a_helper, ""),
    ],
)
def test_an_http_exception_of_a_middleware_is_a_server_error(middleware, code):
    (found,) = findings(at_home, behind(middleware))

    assert found.message.startswith("GET / was answered with 500 because HTTPException (4")
    assert found.fix.summary.startswith("What answers an HTTPException stands inside of all")
    assert (found.fix.code, found.fix.location) == (code, found.location)


def test_a_plain_middleware_has_to_send_the_answer_itself():
    (found,) = findings(at_home, lambda app: app.add_middleware(TurnsAway))

    assert found.fix.code == (
        'await JSONResponse({"detail": "who are you?"}, status_code=401)(scope, receive, send)\n'
        "return"
    )


def test_a_middleware_that_answers_itself_is_silent():
    assert findings(at_home, behind(turned_away)) == []


async def answers_otherwise(request, call_next):
    await call_next(request)
    return JSONResponse({}, status_code=500)


async def not_here():
    raise HTTPException(404)


def test_an_answered_http_exception_below_a_middleware_that_answers_otherwise_is_silent():
    assert findings(not_here, behind(answers_otherwise)) == []
