"""One process beside this one, for what would hold up everybody here."""

import asyncio
import functools
import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from fastapi.concurrency import run_in_threadpool

T = TypeVar("T")
Argument = TypeVar("Argument")


@functools.cache
def _pool() -> ProcessPoolExecutor:
    # Spawned: a fork of a process with threads may inherit a lock that nobody releases.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=_ignore_interrupts)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the shop, which ends us


async def in_process(function: Callable[[Argument], T], argument: Argument) -> T:
    """Call a function in the other process, which is started in a thread at the first call."""
    future = await run_in_threadpool(lambda: _pool().submit(function, argument))
    return await asyncio.wrap_future(future)


def close_pool() -> None:
    """End the other process, if it was ever started."""
    if _pool.cache_info().currsize:
        _pool().shutdown()
        _pool.cache_clear()
