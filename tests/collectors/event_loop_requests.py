"""Runs coroutines as recorded requests on a real loop, without a server or an application."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.record import LoopBlock, RequestRecord
from fastapi_diagnostics.recorder import CURRENT, Recorder

Endpoint = Callable[[], Awaitable[Any]]


def spin(seconds: float) -> None:
    """Compute for so much CPU time of this thread, however busy the machine is."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


async def request(name: str, endpoint: Endpoint, **scope: Any) -> RequestRecord:
    """Run *endpoint* as one request, opened and sealed as the middleware does it."""
    watched = event_loop.watch_running_loop()
    recorder = Recorder(
        record_id=name,
        kind="http",
        clock=time.perf_counter,
        wall=time.time,
        phase="endpoint",
        scope={"type": "http", "method": "GET", "path": f"/{name}", "client": (name, 1), **scope},
    )
    CURRENT.set(recorder)
    driver = None if watched else event_loop.driver()
    try:
        await (endpoint() if driver is None else driver(endpoint(), recorder))
        recorder.responded = time.perf_counter()
        return recorder.seal("closed", route=f"GET /{name}")
    finally:
        recorder.close()


async def together(**endpoints: Endpoint) -> dict[str, RequestRecord]:
    """Run requests at once, each in a task of its own, started in this order."""
    tasks = {
        name: asyncio.create_task(request(name, endpoint)) for name, endpoint in endpoints.items()
    }
    return {name: await task for name, task in tasks.items()}


def run(work: Awaitable[Any], make_loop: Callable[[], asyncio.AbstractEventLoop]) -> Any:
    """Run *work* on a loop that is watched before it begins, as a server's is."""

    async def main() -> Any:
        event_loop.watch_running_loop()
        await asyncio.sleep(0)
        return await work

    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(main())


def the_block(record: RequestRecord) -> LoopBlock:
    """Give the only block of a record."""
    (block,) = record.blocks
    return block
