"""Blocking work of the outputs, off the application's loop.

It has threads of its own: an application whose threadpool is exhausted is exactly when
somebody opens the dashboard.
"""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

MAX_THREADS = 4

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_limiter: RunVar[anyio.CapacityLimiter] = RunVar("fastapi_diagnostics_outputs")


async def in_thread(function: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Call a blocking function in a thread and give what it returns."""
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(MAX_THREADS)
        _limiter.set(limiter)
    return await anyio.to_thread.run_sync(function, *arguments, limiter=limiter)
