# ruff: noqa: ASYNC251, FAST003 - what blocks a loop is the subject here; a case is only a path
"""Places in an application from which the loop can be held, other than an endpoint's own body."""

import asyncio
import contextvars
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, field_serializer
from starlette.middleware.base import BaseHTTPMiddleware

from tests.corpus.loop.truth import CASE, block, declare, situation, spin

router = APIRouter()
PATTERN = re.compile(r"(a+)+$")
_KEPT: set[asyncio.Task[None]] = set()


async def slow_dependency(ms: float) -> None:
    with block("dependency", ms):
        time.sleep(ms / 1000)  # block: dependency


@router.get("/dependency/{case}", dependencies=[Depends(slow_dependency)])
async def dependency() -> None:
    """Of the dependency."""


declare("dependency", "sleep", file=__file__)


async def slow_teardown(ms: float) -> AsyncIterator[None]:
    yield
    with block("dependency-teardown", ms):
        time.sleep(ms / 1000)  # block: dependency-teardown


@router.get("/dependency-teardown/{case}", dependencies=[Depends(slow_teardown)])
async def dependency_teardown() -> None:
    """Of the dependency."""


declare("dependency-teardown", "sleep", file=__file__)


class PureMiddleware:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/pure-middleware/"):
            ms = float(scope["query_string"].removeprefix(b"ms="))
            with block("pure-middleware", ms):
                time.sleep(ms / 1000)  # block: pure-middleware
        await self.app(scope, receive, send)


@router.get("/pure-middleware/{case}")
async def pure_middleware() -> None:
    """Of the middleware."""


declare("pure-middleware", "sleep", file=__file__)


class BaseMiddleware(BaseHTTPMiddleware):
    async def dispatch(
        self, request: Request, call_next: Callable[[Request], Awaitable[Any]]
    ) -> Any:
        if request.url.path.startswith("/base-middleware/"):
            ms = float(request.query_params["ms"])
            with block("base-middleware", ms):
                time.sleep(ms / 1000)  # block: base-middleware
        return await call_next(request)


@router.get("/base-middleware/{case}")
async def base_middleware() -> None:
    """Of the middleware; every other endpoint is its child."""


declare("base-middleware", "sleep", file=__file__)


async def _child(ms: float, name: str) -> None:
    await asyncio.sleep(0)
    with block(name, ms):
        time.sleep(ms / 1000)  # block: created-task


@situation("sleep")
async def created_task(ms: float) -> None:
    await asyncio.create_task(_child(ms, "created-task"))


async def _left_alone(ms: float) -> None:
    await asyncio.sleep(0.02)
    with block("fire-and-forget", ms):
        time.sleep(ms / 1000)  # block: fire-and-forget


@situation("sleep", name="fire-and-forget", reached="held")
async def fire_and_forget(ms: float) -> None:
    task = asyncio.create_task(_left_alone(ms))
    _KEPT.add(task)
    task.add_done_callback(_KEPT.discard)
    await asyncio.sleep(0.1 + ms / 1000)


async def _member(ms: float) -> None:
    with block("task-group", ms):
        time.sleep(ms / 1000)  # block: task-group


@situation("sleep")
async def task_group(ms: float) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0.001))
        group.create_task(_member(ms))


async def _anyio_member(ms: float) -> None:
    with block("anyio-task-group", ms):
        time.sleep(ms / 1000)  # block: anyio-task-group


@situation("sleep")
async def anyio_task_group(ms: float) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 0.001)
        group.start_soon(_anyio_member, ms)


async def _background(ms: float) -> None:
    with block("background-task", ms):
        time.sleep(ms / 1000)  # block: background-task


@router.get("/background-task/{case}")
async def background_task(ms: float, tasks: BackgroundTasks) -> None:
    tasks.add_task(_background, ms)


declare("background-task", "sleep", file=__file__)


@router.get("/streaming/{case}")
async def streaming(ms: float) -> StreamingResponse:
    async def body() -> AsyncIterator[str]:
        yield "begin"
        await asyncio.sleep(0.001)
        with block("streaming", ms):
            time.sleep(ms / 1000)  # block: streaming
        yield "end"

    return StreamingResponse(body())


declare("streaming", "sleep", file=__file__)


def _called(ms: float, name: str, done: asyncio.Future[None]) -> None:
    with block(name, ms):
        time.sleep(ms / 1000)  # block: call-soon
    done.set_result(None)


@situation("sleep")
async def call_soon(ms: float) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(_called, ms, "call-soon", done)
    await done


def _called_later(ms: float, done: asyncio.Future[None]) -> None:
    with block("call-later", ms):
        time.sleep(ms / 1000)  # block: call-later
    done.set_result(None)


@situation("sleep")
async def call_later(ms: float) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_later(0.005, _called_later, ms, done)
    await done


async def _left_behind(ms: float) -> None:
    await asyncio.sleep(0.02)
    with block("left-behind", ms):
        time.sleep(ms / 1000)  # block: left-behind


@situation("sleep")
async def left_behind(ms: float) -> None:
    task = asyncio.create_task(_left_behind(ms))
    _KEPT.add(task)
    task.add_done_callback(_KEPT.discard)


class OutOfStockError(Exception):
    """Handled below."""


@router.get("/exception-handler/{case}")
async def exception_handler() -> None:
    raise OutOfStockError


async def handle_out_of_stock(request: Request, _: Exception) -> PlainTextResponse:
    ms = float(request.query_params["ms"])
    with block("exception-handler", ms):
        time.sleep(ms / 1000)  # block: exception-handler
    return PlainTextResponse("none", 200)


declare("exception-handler", "sleep", file=__file__)


@router.websocket("/websocket/{case}")
async def websocket(socket: WebSocket, ms: float) -> None:
    await socket.accept()
    with block("websocket", ms):
        time.sleep(ms / 1000)  # block: websocket
    await socket.send_text("done")
    await socket.close()


declare("websocket", "sleep", file=__file__, reached="websocket")


class Slowly(BaseModel):
    ms: float

    @field_serializer("ms")
    def _serialize(self, ms: float) -> float:
        end = time.thread_time() + ms / 1000
        with block("serializer"):
            while time.thread_time() < end:  # block: serializer
                sum(range(2_000))  # block: serializer
        return ms


@router.get("/serializer/{case}")
async def serializer(ms: float) -> Slowly:
    return Slowly(ms=ms)


declare("serializer", "cpu", "validation", "json", file=__file__)


@situation("sleep")
async def other_context(ms: float) -> None:
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    await loop.create_task(_in_context(ms), context=context)


async def _in_context(ms: float) -> None:
    with block("other-context", ms):
        time.sleep(ms / 1000)  # block: other-context


mounted = FastAPI()


@mounted.get("/{case}")
async def in_mounted(ms: float) -> None:
    with block("mounted", ms):
        time.sleep(ms / 1000)  # block: mounted


declare("mounted", "sleep", file=__file__)


@router.get("/thread-with-gil/{case}")
def thread_with_gil() -> bool:
    with block("thread-with-gil"):
        return PATTERN.match("a" * 24 + "!") is None  # block: thread-with-gil


declare("thread-with-gil", "gil", file=__file__, rule="LOOP103", fixed_ms=300, apart=True)


def float_of(ms: float) -> float:
    return ms


async def class_dependency(ms: Annotated[float, Depends(float_of)]) -> float:
    with block("after-thread", ms):
        time.sleep(ms / 1000)  # block: after-thread
    return ms


@router.get("/after-thread/{case}", dependencies=[Depends(class_dependency)])
async def after_thread() -> None:
    """Of the dependency, which comes after one in a thread."""


declare("after-thread", "sleep", file=__file__)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    CASE.set("lifespan")
    with block("lifespan", 200):
        time.sleep(0.2)  # block: lifespan
    yield


declare(
    "lifespan", "sleep", file=__file__, rule="LOOP104", fixed_ms=200, reached="start", apart=True
)


def busy_thread(seconds: float) -> threading.Thread:
    """Compute in Python beside the loop: this thread lets go of the GIL every 5 ms."""
    thread = threading.Thread(target=spin, args=(seconds * 1000,), name="busy")
    thread.start()
    return thread
