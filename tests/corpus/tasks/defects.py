# ruff: noqa: RUF006, PLW0108 - the defects themselves
"""Defects. The guilty line of each bears ``# guilty: <path of the route> <rule>``.

What stands below is written as people write it: nothing in here knows of the diagnostics.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.background import BackgroundTasks as PlainTasks

router = APIRouter(prefix="/defects")


class StockError(Exception):
    """What fails in here."""


async def fail(number: int = 7) -> None:
    raise StockError(f"no such order {number}")


async def fail_later() -> None:
    await asyncio.sleep(0.01)
    raise StockError("too late")


async def wait_for_payment() -> None:
    await asyncio.Event().wait()


async def notify(number: int = 7) -> bool:
    return bool(number)


def fail_in_thread() -> None:
    raise StockError("in a thread")


# Tasks that nobody asks.


@router.get("/forgotten")
async def forgotten() -> str:
    asyncio.create_task(fail())  # guilty: /forgotten TASK103
    await asyncio.sleep(0)
    return "ok"


@router.get("/forgotten-late")
async def forgotten_late() -> str:
    asyncio.create_task(fail_later())  # guilty: /forgotten-late TASK103
    return "ok"


@router.get("/ensured")
async def ensured() -> str:
    asyncio.ensure_future(fail())  # guilty: /ensured TASK103
    return "ok"


@router.get("/by-the-loop")
async def by_the_loop() -> str:
    asyncio.get_running_loop().create_task(fail())  # guilty: /by-the-loop TASK103
    return "ok"


@router.get("/gathered")
async def gathered() -> str:
    asyncio.gather(notify(), fail())  # guilty: /gathered TASK103
    return "ok"


@router.get("/waited-and-not-asked")
async def waited_and_not_asked() -> str:
    task = asyncio.create_task(fail())  # guilty: /waited-and-not-asked TASK103
    await asyncio.wait([task])
    return "ok"


@router.get("/kept-until-done")
async def kept_until_done() -> str:
    task = asyncio.create_task(fail_later())  # guilty: /kept-until-done TASK103
    RUNNING.add(task)
    task.add_done_callback(RUNNING.discard)
    return "ok"


RUNNING: set[asyncio.Task[Any]] = set()


def start_in_service() -> None:
    asyncio.create_task(fail(8))  # guilty: /in-service TASK103


@router.get("/in-service")
async def in_service() -> str:
    start_in_service()
    return "ok"


async def audit() -> None:
    asyncio.create_task(fail(9))  # guilty: /in-dependency TASK103


@router.get("/in-dependency", dependencies=[Depends(audit)])
async def in_dependency() -> str:
    return "ok"


async def start_another() -> None:
    asyncio.create_task(fail(10))  # guilty: /in-background TASK103


@router.get("/in-background")
async def in_background(tasks: BackgroundTasks) -> str:
    tasks.add_task(start_another)
    return "ok"


async def start_child() -> None:
    asyncio.create_task(fail(11))  # guilty: /in-child TASK103


@router.get("/in-child")
async def in_child() -> str:
    await asyncio.create_task(start_child())
    return "ok"


@router.get("/as-completed-once")
async def as_completed_once() -> bool:
    async def second() -> bool:
        await asyncio.sleep(0.005)
        raise StockError("the second")

    first = asyncio.create_task(notify())
    slow = asyncio.create_task(second())  # guilty: /as-completed-once TASK103
    await asyncio.wait({first, slow}, return_when=asyncio.FIRST_COMPLETED)
    return first.result()


@router.get("/destroyed")
async def destroyed() -> str:
    asyncio.create_task(wait_for_payment())  # guilty: /destroyed TASK104
    await asyncio.sleep(0)
    gc.collect()
    return "ok"


@router.get("/destroyed-later")
async def destroyed_later() -> str:
    asyncio.create_task(wait_for_payment())  # guilty: /destroyed-later TASK104
    return "ok"


# Coroutines that nobody awaits.


@router.get("/statement")
async def statement() -> str:
    notify(1)  # guilty: /statement TASK107
    return "ok"


@router.get("/condition")
async def condition() -> str:
    if notify(2):  # guilty: /condition TASK107
        return "always"
    return "never"


@router.get("/over-lines")
async def over_lines() -> str:
    notify(  # guilty: /over-lines TASK107
        3,
    )
    return "ok"


@router.get("/in-a-thread")
def in_a_thread() -> str:
    notify(4)  # guilty: /in-a-thread TASK107
    return "ok"


class Mailer:
    async def send(self, to: str) -> None:
        await asyncio.sleep(0, to)


@router.get("/method")
async def method() -> str:
    Mailer().send("a")  # guilty: /method TASK107
    return "ok"


async def tell_the_warehouse() -> None:
    await asyncio.sleep(0)


@router.get("/dropped-elsewhere")
async def dropped_elsewhere() -> str:
    telling = tell_the_warehouse()  # guilty: /dropped-elsewhere TASK107
    return f"ok {type(telling).__name__}"


async def pack() -> None:
    await asyncio.sleep(0)


@router.get("/in-a-lambda")
async def in_a_lambda(tasks: BackgroundTasks) -> str:
    tasks.add_task(lambda: pack())  # guilty: /in-a-lambda TASK107
    return "ok"


@router.get("/library-dropped-at-once")
async def library_dropped_at_once(request: Request) -> str:
    request.json()  # guilty: /library-dropped-at-once TASK107
    return "ok"


@router.get("/library-kept")
async def library_kept(request: Request) -> str:
    data = request.json()  # guilty: /library-kept TASK107
    return f"ok {type(data).__name__}"


@router.get("/library-one-of-two")
async def library_one_of_two(request: Request) -> str:
    first = request.body()
    second = request.body()  # guilty: /library-one-of-two TASK107
    return f"ok {await first!r} {type(second).__name__}"


# Background tasks.


@router.get("/task")
async def task(tasks: BackgroundTasks) -> str:
    tasks.add_task(fail_task)
    return "ok"


async def fail_task() -> None:
    raise StockError("in the task")  # guilty: /task TASK101


@router.get("/task-in-a-thread")
async def task_in_a_thread(tasks: BackgroundTasks) -> str:
    tasks.add_task(fail_task_in_thread)
    return "ok"


def fail_task_in_thread() -> None:
    raise StockError("in the thread")  # guilty: /task-in-a-thread TASK101


@router.get("/task-of-a-response")
async def task_of_a_response() -> JSONResponse:
    return JSONResponse({}, background=BackgroundTask(fail_for_response))


async def fail_for_response() -> None:
    raise StockError("for the response")  # guilty: /task-of-a-response TASK101


async def add_from_dependency(tasks: BackgroundTasks) -> None:
    tasks.add_task(fail_for_dependency)


async def fail_for_dependency() -> None:
    raise StockError("for the dependency")  # guilty: /task-of-a-dependency TASK101


@router.get("/task-of-a-dependency", dependencies=[Depends(add_from_dependency)])
async def task_of_a_dependency() -> str:
    return "ok"


@router.get("/masked-task")
async def masked_task(tasks: BackgroundTasks) -> str:
    tasks.add_task(fail_masked)
    return "ok"


async def fail_masked() -> None:
    raise HTTPException(404, "no such order")  # guilty: /masked-task TASK101


@router.get("/task-after-a-stream")
async def task_after_a_stream() -> StreamingResponse:
    async def rows() -> AsyncIterator[bytes]:
        yield b"1"

    return StreamingResponse(rows(), background=BackgroundTask(fail_after_stream))


async def fail_after_stream() -> None:
    raise StockError("after the stream")  # guilty: /task-after-a-stream TASK101


@router.get("/called-on-the-spot")
async def called_on_the_spot(tasks: BackgroundTasks) -> str:
    tasks.add_task(notify(5))  # guilty: /called-on-the-spot TASK101
    return "ok"


@router.get("/called-for-a-response")
async def called_for_a_response() -> JSONResponse:
    later = BackgroundTask(notify(6))  # guilty: /called-for-a-response TASK101
    return JSONResponse({}, background=later)


def print_label() -> None:
    """It is called at once, and what it gives is handed over."""


@router.get("/result-of-a-function")
async def result_of_a_function(tasks: BackgroundTasks) -> str:
    tasks.add_task(print_label())  # guilty: /result-of-a-function TASK101
    return "ok"


@router.get("/behind-a-failed-one")
async def behind_a_failed_one() -> JSONResponse:
    group = PlainTasks([BackgroundTask(fail_first)])
    group.add_task(notify)  # guilty: /behind-a-failed-one TASK102
    return JSONResponse({}, background=group)


async def fail_first() -> None:
    raise StockError("the first one")  # guilty: /behind-a-failed-one TASK101


@router.get("/refused")
async def refused(tasks: BackgroundTasks) -> str:
    tasks.add_task(notify)  # guilty: /refused TASK102
    raise HTTPException(409, "already there")


@router.get("/replaced")
async def replaced(tasks: BackgroundTasks) -> JSONResponse:
    tasks.add_task(notify)  # guilty: /replaced TASK102
    return JSONResponse({}, background=BackgroundTask(notify))


# Bodies and teardowns.


@router.get("/stream")
async def stream() -> StreamingResponse:
    async def rows() -> AsyncIterator[bytes]:
        yield b"1"
        raise StockError("in the rows")  # guilty: /stream TASK106

    return StreamingResponse(rows())


@router.get("/stream-in-a-thread")
async def stream_in_a_thread() -> StreamingResponse:
    def rows() -> Iterator[bytes]:
        yield b"1"
        raise StockError("in the rows")  # guilty: /stream-in-a-thread TASK106

    return StreamingResponse(rows())


@router.get("/stream-of-a-file")
async def stream_of_a_file() -> StreamingResponse:
    async def rows() -> AsyncIterator[bytes]:
        yield b"1"
        raise OSError("the disk is gone")  # guilty: /stream-of-a-file TASK106

    return StreamingResponse(rows())


@router.get("/stream-with-tasks")
async def stream_with_tasks(tasks: BackgroundTasks) -> StreamingResponse:
    async def rows() -> AsyncIterator[bytes]:
        yield b"1"
        raise StockError("in the rows")  # guilty: /stream-with-tasks TASK106

    tasks.add_task(notify)  # guilty: /stream-with-tasks TASK102
    return StreamingResponse(rows())


@router.get("/stream-of-numbers")
async def stream_of_numbers() -> StreamingResponse:
    async def rows() -> AsyncIterator[int]:
        yield 1

    return StreamingResponse(rows())  # type: ignore[arg-type]


async def committing() -> AsyncIterator[str]:
    yield "session"
    raise StockError("the commit failed")  # guilty: /teardown TASK105


@router.get("/teardown")
async def teardown(_db: Annotated[str, Depends(committing)]) -> str:
    return "ok"


def committing_in_thread() -> Iterator[str]:
    yield "session"
    raise StockError("the commit failed")  # guilty: /teardown-in-a-thread TASK105


@router.get("/teardown-in-a-thread")
async def teardown_in_a_thread(_db: Annotated[str, Depends(committing_in_thread)]) -> str:
    return "ok"


async def refusing() -> AsyncIterator[str]:
    yield "session"
    raise HTTPException(409, "too late to refuse")  # guilty: /masked-teardown TASK105


@router.get("/masked-teardown")
async def masked_teardown(_db: Annotated[str, Depends(refusing)]) -> str:
    return "ok"


class Session:
    async def __call__(self) -> AsyncIterator[str]:
        yield "session"
        await self.commit()

    async def commit(self) -> None:
        raise StockError("the commit failed")  # guilty: /teardown-of-an-object TASK105


@router.get("/teardown-of-an-object")
async def teardown_of_an_object(_db: Annotated[str, Depends(Session())]) -> str:
    return "ok"
