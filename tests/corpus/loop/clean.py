# ruff: noqa: ARG001, FAST003 - a case is only a path
"""Situations that look like blocks and are none: whatever is said of them is false."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator

import anyio.to_thread
import sqlalchemy
from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from tests.corpus.loop.calls import COUNT_SQL, async_engine
from tests.corpus.loop.places import busy_thread
from tests.corpus.loop.truth import CASE, WATCHES, Watch, declare, situation, spin

router = APIRouter()
_LOCK = asyncio.Lock()


@situation()
async def async_sleep(ms: float) -> None:
    await asyncio.sleep(ms / 1000)


@situation()
async def sleep_in_threadpool(ms: float) -> None:
    await run_in_threadpool(time.sleep, ms / 1000)


@router.get("/plain-def/{case}")
def plain_def(ms: float) -> None:
    time.sleep(ms / 1000)


declare("plain-def", file=__file__)


def _slow_def(ms: float) -> None:
    time.sleep(ms / 1000)


@router.get("/def-dependency/{case}", dependencies=[Depends(_slow_def)])
async def def_dependency() -> None:
    """Of the dependency, which has a thread."""


declare("def-dependency", file=__file__)


@situation()
async def many_steps(ms: float) -> None:
    for _ in range(200):
        spin(0.5)
        await asyncio.sleep(0)


@situation()
async def many_steps_thrice(ms: float) -> None:
    await asyncio.gather(*(many_steps(ms) for _ in range(3)))


@situation()
async def async_database(ms: float) -> None:
    async with async_engine.connect() as connection:
        await connection.execute(sqlalchemy.text(COUNT_SQL), {"n": 300_000})


@situation()
async def short_computation(ms: float) -> None:
    spin(3)


@situation()
async def gathered_sleeps(ms: float) -> None:
    await asyncio.gather(*(asyncio.sleep(ms / 1000) for _ in range(200)))


@router.get("/clean-stream/{case}")
async def clean_stream(ms: float) -> StreamingResponse:
    async def body() -> AsyncIterator[str]:
        for number in range(10):
            yield str(number)
            await asyncio.sleep(ms / 10_000)

    return StreamingResponse(body())


declare("clean-stream", file=__file__)


@situation()
async def hash_in_thread(ms: float) -> None:
    await asyncio.to_thread(hashlib.pbkdf2_hmac, "sha256", b"secret", b"salt", 200_000)


@situation()
async def asynchronous_lock(ms: float) -> None:
    async with _LOCK:
        await asyncio.sleep(ms / 4000)


@situation()
async def asynchronous_subprocess(ms: float) -> None:
    process = await asyncio.create_subprocess_exec("sleep", str(ms / 1000))
    await process.wait()


@situation()
async def cancelled(ms: float) -> None:
    try:
        async with asyncio.timeout(ms / 1000):
            await asyncio.Event().wait()
    except TimeoutError:
        return


@situation(apart=True)
async def beside_a_busy_thread(ms: float) -> None:
    thread = busy_thread(ms / 1000)
    while thread.is_alive():  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    await anyio.to_thread.run_sync(thread.join)


@situation(reached="watch")
async def watch(ms: float) -> None:
    """Tick until it is over, and note each tick that came late."""
    begin = time.time()
    gaps = []
    while time.time() < begin + ms / 1000:
        before = time.time()
        await asyncio.sleep(0.005)
        late_ms = (time.time() - before) * 1000 - 5
        if late_ms > 5:
            gaps.append((before, late_ms))
    WATCHES.append(Watch(case=CASE.get(), begin=begin, end=time.time(), gaps=gaps))
