# ruff: noqa: RUF006 - tasks are lost on purpose
"""What fails after the response, over a real server: seen at once, and in the log as before."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import fastapi
import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

from fastapi_diagnostics import DiagnosticsMiddleware
from fastapi_diagnostics.collectors.background import PROGRESS_S
from fastapi_diagnostics.collectors.hooks import HOOKS
from fastapi_diagnostics.faults import FAULTS
from tests.serving import serve

API = "/_diagnostics/api"
SOON_S = 1.0
teardown_follows = pytest.mark.skipif(
    tuple(map(int, fastapi.__version__.split(".")[:2])) < (0, 118),
    reason="before FastAPI 0.118 the teardown of a dependency comes before the response",
)


async def fail() -> None:
    raise LookupError("no such order")


async def fail_soon() -> None:
    await asyncio.sleep(0.02)
    raise LookupError("no such order")


async def forbid() -> None:
    raise HTTPException(404, "no such order")


async def committing() -> AsyncIterator[str]:
    yield "session"
    raise LookupError("the commit failed")


router = APIRouter()


@router.get("/forgotten")
async def forgotten() -> str:
    asyncio.create_task(fail_soon())
    return "ok"


@router.get("/background")
async def background(tasks: BackgroundTasks) -> str:
    tasks.add_task(fail)
    return "ok"


@router.get("/masked")
async def masked(tasks: BackgroundTasks) -> str:
    tasks.add_task(forbid)
    return "ok"


@router.get("/teardown")
async def teardown(_db: Annotated[str, Depends(committing)]) -> str:
    return "ok"


@router.get("/stream")
async def stream() -> StreamingResponse:
    async def rows() -> AsyncIterator[bytes]:
        yield b"1"
        raise LookupError("in the rows")

    return StreamingResponse(rows())


def an_app(*, watched: bool, behind_middleware: bool = False) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        asyncio.create_task(fail())  # of the lifespan
        yield

    app = FastAPI(lifespan=lifespan)
    if watched:
        app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)
    if behind_middleware:

        @app.middleware("http")
        async def pass_on(request: Request, call_next: Any) -> Any:
            return await call_next(request)

    app.include_router(router)
    return app


@pytest.fixture(autouse=True)
def no_faults() -> Iterator[None]:
    FAULTS.clear()
    yield
    assert FAULTS.all() == ()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep the tracebacks of what fails on purpose from the terminal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger("uvicorn"), "propagate", False)
        yield


def get(client: httpx.Client, path: str) -> httpx.Response:
    with (
        client.stream("GET", path, headers={"Connection": "close"}) as response,
        contextlib.suppress(httpx.RemoteProtocolError),
    ):
        response.read()
    return response


def until_found(client: httpx.Client, **params: str) -> list[dict[str, Any]]:
    """Ask again and again for at most a second."""
    deadline = time.monotonic() + SOON_S
    while True:
        found = client.get(f"{API}/findings", params=params).json()["findings"]
        if found or time.monotonic() > deadline:
            return found


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/background", "TASK101"),
        ("/masked", "TASK101"),
        ("/forgotten", "TASK103"),
        pytest.param("/teardown", "TASK105", marks=teardown_follows),
        ("/stream", "TASK106"),
    ],
)
def test_a_failure_after_the_response_is_found_within_a_second(path: str, rule: str) -> None:
    with serve(an_app(watched=True)) as url, httpx.Client(base_url=url) as client:
        record_id = get(client, path).headers["x-diagnostics-id"]
        found = until_found(client, request_id=record_id)

    assert [finding["rule"] for finding in found] == [rule]
    assert found[0]["request_id"] == record_id
    assert found[0]["route"] == f"GET {path}"


def test_the_page_of_a_request_shows_the_task_that_nobody_waited_for() -> None:
    with serve(an_app(watched=True)) as url, httpx.Client(base_url=url) as client:
        record_id = get(client, "/forgotten").headers["x-diagnostics-id"]
        until_found(client, request_id=record_id)
        page = client.get(f"/_diagnostics/requests/{record_id}")

    assert "fail_soon()" in page.text
    assert "LookupError: no such order" in page.text


def test_a_task_of_no_request_is_found_without_one() -> None:
    with serve(an_app(watched=True)) as url, httpx.Client(base_url=url) as client:
        (found,) = until_found(client, rule="TASK103")
        page = client.get(f"/_diagnostics/findings/{found['fingerprint']}")
        requests = client.get(f"{API}/requests").json()["requests"]

    assert found["request_id"] is None
    assert found["location"]["code"] == "asyncio.create_task(fail())  # of the lifespan"
    assert page.status_code == 200
    assert "fail()" in page.text
    assert requests == []


STEPS: list[asyncio.Event] = []


async def step(number: int) -> None:
    await STEPS[number].wait()


async def closing_slowly() -> AsyncIterator[str]:
    try:
        yield "session"
    finally:
        await STEPS[0].wait()


def a_lingering_app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)

    @app.get("/steps")
    async def steps(tasks: BackgroundTasks) -> str:
        STEPS[:] = [asyncio.Event(), asyncio.Event()]
        tasks.add_task(step, 0)
        tasks.add_task(step, 1)
        return "ok"

    @app.get("/slow-teardown")
    async def slow_teardown(
        tasks: BackgroundTasks, _db: Annotated[str, Depends(closing_slowly)]
    ) -> str:
        STEPS[:] = [asyncio.Event()]
        tasks.add_task(fail)
        return "ok"

    @app.get("/go/{number}")
    async def go(number: int) -> None:
        STEPS[number].set()

    return app


def states_of(client: httpx.Client, record_id: str) -> list[str]:
    tasks = client.get(f"{API}/requests/{record_id}").json()["request"]["tasks"]
    return [task["state"] for task in tasks]


def test_running_tasks_are_shown_as_such_while_they_follow_one_another() -> None:
    with serve(a_lingering_app()) as url, httpx.Client(base_url=url) as client:
        record_id = get(client, "/steps").headers["x-diagnostics-id"]
        first = states_of(client, record_id)
        time.sleep(PROGRESS_S)  # what is shown sooner is not shown anew
        client.get("/go/0")
        second = states_of(client, record_id)
        client.get("/go/1")
        client.get(f"{API}/requests/{record_id}", params={"wait": "closed"})
        last = states_of(client, record_id)

    assert (first, second, last) == (
        ["running", "pending"],
        ["done", "running"],
        ["done", "done"],
    )


@teardown_follows
def test_a_failed_task_is_found_while_the_teardown_still_runs() -> None:
    with serve(a_lingering_app()) as url, httpx.Client(base_url=url) as client:
        record_id = get(client, "/slow-teardown").headers["x-diagnostics-id"]
        found = until_found(client, request_id=record_id)
        state = client.get(f"{API}/requests/{record_id}").json()["request"]["state"]
        client.get("/go/0")

    assert [finding["rule"] for finding in found] == ["TASK101"]
    assert state == "open"


class Entries(logging.Handler):
    """Keeps what a log says, without what differs from run to run."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        first = record.getMessage().partition("\n")[0]
        self.seen.append((record.name, record.levelname, first, repr(error)))


def logged(*, watched: bool, behind_middleware: bool) -> list[tuple[str, str, str, str]]:
    HOOKS.undo()
    entries = Entries()
    loggers = [logging.getLogger(name) for name in ("uvicorn.error", "asyncio")]
    for logger in loggers:
        logger.addHandler(entries)
    try:
        app = an_app(watched=watched, behind_middleware=behind_middleware)
        with serve(app, log_config=None) as url, httpx.Client(base_url=url) as client:
            for path in ("/background", "/masked", "/teardown", "/stream", "/forgotten"):
                get(client, path)
            deadline = time.monotonic() + SOON_S
            while time.monotonic() < deadline and entries.seen[-1][0] != "asyncio":
                client.get("/unknown")
    finally:
        for logger in loggers:
            logger.removeHandler(entries)
    return entries.seen


@pytest.mark.parametrize("behind_middleware", [False, True])
def test_the_servers_log_has_the_same_entries_with_us_and_without(
    *, behind_middleware: bool
) -> None:
    with_us = logged(watched=True, behind_middleware=behind_middleware)
    without = logged(watched=False, behind_middleware=behind_middleware)

    assert with_us == without
    assert sum(name == "asyncio" for name, *_ in without) == 2
