"""What follows the response: tasks, streams and teardowns, failing and in order."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.background import BackgroundTasks as PlainTasks

from fastapi_diagnostics import DiagnosticsMiddleware

ADDRESSES = {"fi": "Espoo"}
SENT: list[str] = []


def plain() -> FastAPI:
    """Every situation."""
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)
    _failing(app)
    _lost(app)
    _streams(app)
    _teardowns(app)
    _right(app)
    return app


def behind_middleware() -> FastAPI:
    """The same behind a `BaseHTTPMiddleware`, which in old Starlette swallows what fails."""
    app = plain()

    @app.middleware("http")
    async def pass_on(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    return app


async def mail(language: str = "sv", password: str = "") -> None:
    SENT.append(ADDRESSES[language] + password)  # MAIL


def mail_in_thread(language: str) -> None:
    SENT.append(ADDRESSES[language])  # MAIL_IN_THREAD


async def forbid() -> None:
    raise HTTPException(404, "no such order")  # FORBID


async def mail_carefully(language: str = "sv") -> None:
    with contextlib.suppress(KeyError):
        SENT.append(ADDRESSES[language])


def notify(tasks: BackgroundTasks) -> None:
    tasks.add_task(mail, "sv")


def notify_well(tasks: BackgroundTasks) -> None:
    tasks.add_task(mail, "fi")


def _failing(app: FastAPI) -> None:
    @app.get("/failed/task")
    async def task(tasks: BackgroundTasks) -> str:
        tasks.add_task(mail, "sv")
        return "ok"

    @app.get("/failed/secret")
    async def secret(tasks: BackgroundTasks) -> str:
        tasks.add_task(mail, "sv", password="hunter2")  # noqa: S106 - as people do
        return "ok"

    @app.get("/failed/thread")
    def in_thread(tasks: BackgroundTasks) -> str:
        tasks.add_task(mail_in_thread, "sv")
        return "ok"

    @app.get("/failed/masked")
    async def masked(tasks: BackgroundTasks) -> str:
        tasks.add_task(forbid)
        return "ok"

    @app.get("/failed/of-response")
    async def of_response() -> JSONResponse:
        return JSONResponse("ok", background=BackgroundTask(mail, "sv"))

    @app.get("/failed/of-dependency", dependencies=[Depends(notify)])
    async def of_dependency() -> str:
        return "ok"

    @app.get("/failed/behind-stream")
    async def behind_stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a", b"b"]), background=BackgroundTask(mail, "sv"))


def _lost(app: FastAPI) -> None:
    @app.get("/lost/behind-another")
    async def behind_another(tasks: BackgroundTasks) -> str:
        tasks.add_task(mail, "sv")
        tasks.add_task(mail_carefully)  # BEHIND_ANOTHER
        return "ok"

    @app.get("/lost/exception")
    async def exception(tasks: BackgroundTasks) -> str:
        tasks.add_task(mail, "fi")  # BEFORE_EXCEPTION
        raise HTTPException(409, "sold out")

    @app.get("/lost/replaced")
    async def replaced(tasks: BackgroundTasks) -> JSONResponse:
        tasks.add_task(mail, "fi")  # REPLACED
        return JSONResponse("ok", background=BackgroundTask(mail_carefully))

    @app.get("/lost/stream")
    async def stream() -> StreamingResponse:
        def rows() -> Iterator[str]:
            yield "a"
            yield ADDRESSES["sv"]  # STREAM_WITH_TASK

        return StreamingResponse(rows(), background=BackgroundTask(mail, "fi"))


def _streams(app: FastAPI) -> None:
    @app.get("/broken/async")
    async def broken() -> StreamingResponse:
        async def rows() -> AsyncIterator[str]:
            yield "a"
            yield ADDRESSES["sv"]  # BROKEN_STREAM

        return StreamingResponse(rows())

    @app.get("/broken/sync")
    async def broken_sync() -> StreamingResponse:
        def rows() -> Iterator[str]:
            yield "a"
            yield ADDRESSES["sv"]  # BROKEN_SYNC_STREAM

        return StreamingResponse(rows())

    @app.get("/broken/first")
    async def broken_at_once() -> StreamingResponse:
        def rows() -> Iterator[str]:
            yield ADDRESSES["sv"]  # BROKEN_AT_ONCE

        return StreamingResponse(rows())


async def closing() -> AsyncIterator[str]:
    yield "session"
    SENT.append(ADDRESSES["sv"])  # TEARDOWN


def closing_in_thread() -> Iterator[str]:
    yield "session"
    SENT.append(ADDRESSES["sv"])  # TEARDOWN_IN_THREAD


async def closing_well() -> AsyncIterator[str]:
    try:
        yield "session"
    finally:
        SENT.append("closed")


def _teardowns(app: FastAPI) -> None:
    @app.get("/teardown/async")
    async def teardown(_session: Annotated[str, Depends(closing)]) -> str:
        return "ok"

    @app.get("/teardown/sync")
    def teardown_in_thread(_session: Annotated[str, Depends(closing_in_thread)]) -> str:
        return "ok"

    @app.get("/teardown/right")
    async def teardown_right(_session: Annotated[str, Depends(closing_well)]) -> str:
        return "ok"

    @app.get("/teardown/missing")
    async def teardown_of_404(_session: Annotated[str, Depends(closing_well)]) -> str:
        raise HTTPException(404, "no such order")


def _right(app: FastAPI) -> None:
    @app.get("/right/one")
    async def one(tasks: BackgroundTasks) -> str:
        tasks.add_task(mail, "fi")
        return "ok"

    @app.get("/right/several")
    async def several(tasks: BackgroundTasks) -> str:
        tasks.add_task(mail_in_thread, "fi")
        tasks.add_task(mail, "fi")
        return "ok"

    @app.get("/right/guarded")
    async def guarded(tasks: BackgroundTasks) -> str:
        tasks.add_task(mail_carefully, "sv")
        tasks.add_task(mail, "fi")
        return "ok"

    @app.get("/right/of-dependency", dependencies=[Depends(notify_well)])
    async def of_dependency() -> str:
        return "ok"

    @app.get("/right/passed-on")
    async def passed_on(tasks: BackgroundTasks) -> JSONResponse:
        tasks.add_task(mail, "fi")
        return JSONResponse("ok", background=tasks)

    @app.get("/right/merged")
    async def merged(tasks: BackgroundTasks) -> JSONResponse:
        tasks.add_task(mail, "fi")
        both = PlainTasks([*tasks.tasks, BackgroundTask(mail_carefully)])
        return JSONResponse("ok", background=both)

    @app.get("/right/answered")
    async def answered(tasks: BackgroundTasks) -> JSONResponse:
        tasks.add_task(mail, "fi")
        return JSONResponse("sold out", status_code=409, background=tasks)

    @app.get("/right/unused")
    async def unused(tasks: BackgroundTasks) -> str:  # noqa: ARG001 - it adds nothing
        raise HTTPException(409, "sold out")

    @app.get("/right/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a"]), background=BackgroundTask(mail, "fi"))
