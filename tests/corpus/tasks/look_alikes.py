# ruff: noqa: RUF006 - a look-alike of that defect
"""What looks like the defects and is in order: nothing may be said about any of it."""

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException, Request
from fastapi.responses import StreamingResponse

router = APIRouter(prefix="/look-alikes")
HELD: set[asyncio.Task[Any]] = set()
STAYING = asyncio.Event()


async def fail() -> None:
    raise LookupError("no such order")


async def fail_later() -> None:
    await asyncio.sleep(0.01)
    raise LookupError("too late")


async def work(number: int = 1) -> int:
    await asyncio.sleep(0.001)
    return number


@router.get("/awaited")
async def awaited() -> int:
    task = asyncio.create_task(work())
    return await task


@router.get("/failure-awaited")
async def failure_awaited() -> str:
    task = asyncio.create_task(fail())
    with suppress(LookupError):
        await task
    return "ok"


@router.get("/shielded")
async def shielded() -> str:
    task = asyncio.create_task(work())
    HELD.add(task)
    task.add_done_callback(HELD.discard)
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), 0.0001)
    return "ok"


@router.get("/group")
async def group() -> str:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work())
        tasks.create_task(work())
    return "ok"


@router.get("/group-that-fails")
async def group_that_fails() -> str:
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())
            tasks.create_task(work())
    except* LookupError:
        pass
    return "ok"


@router.get("/anyio-group-that-fails")
async def anyio_group_that_fails() -> str:
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)
            tasks.start_soon(work)
    except* LookupError:
        pass
    return "ok"


@router.get("/gathered-with-exceptions")
async def gathered_with_exceptions() -> int:
    return len(await asyncio.gather(fail(), fail(), work(), return_exceptions=True))


@router.get("/gathered-and-caught")
async def gathered_and_caught() -> str:
    with suppress(LookupError):
        await asyncio.gather(fail(), fail_later(), fail())
    return "ok"


@router.get("/read-later")
async def read_later() -> str:
    task = asyncio.create_task(fail())
    HELD.add(task)
    await asyncio.sleep(0)
    gc.collect()
    asyncio.get_running_loop().call_soon(_read)
    return "ok"


def _read() -> None:
    for task in tuple(HELD):
        if task.done():
            HELD.discard(task)
            task.exception()


@router.get("/failure-logged")
async def failure_logged() -> str:
    task = asyncio.create_task(fail_later())
    HELD.add(task)
    task.add_done_callback(_finished)
    return "ok"


def _finished(task: asyncio.Task[Any]) -> None:
    HELD.discard(task)
    if not task.cancelled():
        task.exception()


@router.get("/failed-and-still-held")
async def failed_and_still_held() -> str:
    KEPT.append(asyncio.create_task(fail()))
    await asyncio.sleep(0)
    return "ok"


KEPT: list[asyncio.Task[Any]] = []


@router.get("/cancelled")
async def cancelled() -> str:
    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    return "ok"


@router.get("/cancelled-before-it-began")
async def cancelled_before_it_began() -> str:
    asyncio.create_task(work()).cancel()
    return "ok"


@router.get("/timed-out")
async def timed_out() -> str:
    with suppress(TimeoutError):
        await asyncio.wait_for(work(), 0.0001)
    with suppress(TimeoutError):
        async with asyncio.timeout(0.0001):
            await asyncio.sleep(1)
    return "ok"


@router.get("/outlives-on-purpose")
async def outlives_on_purpose() -> str:
    task = asyncio.create_task(_stay(), name="stays")
    HELD.add(task)
    task.add_done_callback(HELD.discard)
    return "ok"


async def _stay() -> None:
    await STAYING.wait()


@router.get("/outlives-a-little")
async def outlives_a_little() -> str:
    asyncio.create_task(work())
    return "ok"


@router.get("/closed-coroutine")
async def closed_coroutine() -> str:
    coroutine = work()
    coroutine.close()
    return "ok"


@router.get("/awaited-later")
async def awaited_later() -> int:
    first, second = work(1), work(2)
    return await first + await second


@router.get("/coroutine-in-a-list")
async def coroutine_in_a_list() -> int:
    return sum(await asyncio.gather(*[work(number) for number in range(3)]))


@router.get("/as-completed")
async def as_completed() -> int:
    return sum([await done for done in asyncio.as_completed([work(1), work(2)])])


@router.get("/tasks")
async def tasks(tasks: BackgroundTasks) -> str:
    tasks.add_task(work)
    tasks.add_task(work, 2)
    return "ok"


@router.get("/guarded-task")
async def guarded_task(tasks: BackgroundTasks) -> str:
    tasks.add_task(_guarded)
    tasks.add_task(work)
    return "ok"


async def _guarded() -> None:
    with suppress(LookupError):
        await fail()


@router.get("/async-function-to-a-task")
async def async_function_to_a_task(tasks: BackgroundTasks) -> str:
    tasks.add_task(work, number=3)
    return "ok"


@router.get("/stream")
async def stream() -> StreamingResponse:
    async def rows() -> AsyncIterator[bytes]:
        yield b"1"
        with suppress(LookupError):
            await fail()
        yield b"2"

    return StreamingResponse(rows())


async def _session() -> AsyncIterator[str]:
    try:
        yield "session"
    finally:
        with suppress(LookupError):
            await fail()


@router.get("/guarded-teardown")
async def guarded_teardown(_db: Annotated[str, Depends(_session)]) -> str:
    return "ok"


async def _failing_early() -> AsyncIterator[str]:
    yield "session"
    raise LookupError("the commit failed")


if "scope" in inspect.signature(Depends).parameters:  # FastAPI 0.121

    @router.get("/teardown-before-the-response")
    async def teardown_before_the_response(
        _db: Annotated[str, Depends(_failing_early, scope="function")],
    ) -> str:
        return "ok"


async def _rolling_back() -> AsyncIterator[str]:
    try:
        yield "session"
    except HTTPException:
        await work()
        raise


@router.get("/rolls-back")
async def rolls_back(_db: Annotated[str, Depends(_rolling_back)]) -> str:
    raise HTTPException(409, "already there")


async def _wrapping() -> AsyncIterator[str]:
    try:
        yield "session"
    except LookupError as error:
        raise HTTPException(404, "no such order") from error


@router.get("/turned-into-404")
async def turned_into_404(_db: Annotated[str, Depends(_wrapping)]) -> str:
    await fail()
    return "never"


@router.get("/library-kept-and-awaited")
async def library_kept_and_awaited(request: Request) -> str:
    body = request.body()
    return f"ok {await body!r}"


@router.get("/library-closed")
async def library_closed(request: Request) -> str:
    body = request.body()
    body.close()
    return "ok"
