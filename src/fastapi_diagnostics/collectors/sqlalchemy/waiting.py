"""Where a task or a thread waits: the user's line, and the library's function behind it."""

import asyncio
import gc
import os
import sys
from time import perf_counter
from types import AsyncGeneratorType, FrameType
from typing import Any

from fastapi_diagnostics.callsite import USER, USER_CODE, Site
from fastapi_diagnostics.collectors.sqlalchemy.holds import Hold, Look

_MAX_DEPTH = 300
_STEPS_OF_GENERATORS = ("async_generator_asend", "async_generator_athrow")
_ROUTING = ("/fastapi/routing.py", "/starlette/routing.py")
_DATABASE = "sqlalchemy."
"""Between two statements, what waits in there waits for rows, for a processor or for the GIL."""
_COMPUTING = ("argon2.", "bcrypt.")
"""Compute in threads of their own while the caller's seems to wait."""
_WAITING_SHARE = 0.2
"""A thread that ran, or was ready to, for less than this was waiting."""


def look_at(hold: Hold, *, database: bool) -> Look:
    """Look at what the owner of a connection is doing; from any thread."""
    task = hold.task() if hold.task is not None else None
    sites, call = _of_task(task) if task is not None else _of_thread(hold)
    return Look(_parting(sites, hold), call, database)


def _parting(sites: list[Site], hold: Hold) -> Site | None:
    """Choose the innermost line of a function that ran the last statement, too.

    That one has the connection; functions below it, such as a client of the user's own, know
    nothing of it.
    """
    codes = {code for code, _ in hold.stack}
    return next((site for site in sites if site[0] in codes), sites[0] if sites else None)


def _of_task(task: "asyncio.Task[Any]") -> tuple[list[Site], str]:
    """Give the user's lines that wait, innermost first, and what they wait in."""
    sites: list[Site] = []
    if task.done() or getattr(task, "_fut_waiter", task) is None:
        return sites, ""  # it is running, or is about to
    call = ""
    step: Any = task.get_coro()
    for _ in range(_MAX_DEPTH):
        frame, step = _frame_and_next(step)
        if frame is None:
            break
        code = frame.f_code
        if USER_CODE.kind(code.co_filename) == USER:
            sites.insert(0, (code, frame.f_lasti))
            call = ""
        elif sites and _name(frame).startswith(_DATABASE):
            return [], ""
        elif code.co_filename.replace("\\", "/").endswith(_ROUTING):
            sites.clear()  # what stands around it is middleware
        elif sites and not call:
            call = _name(frame)
    return sites, call


def _frame_and_next(step: Any) -> tuple[FrameType | None, Any]:
    """Go one step along a chain of coroutines, generators and asynchronous generators."""
    if type(step).__name__ in _STEPS_OF_GENERATORS:
        # Neither tells its generator; only the garbage collector can.
        generators = (one for one in gc.get_referents(step) if isinstance(one, AsyncGeneratorType))
        step = next(generators, None)
    for prefix, follow in (("cr_", "cr_await"), ("gi_", "gi_yieldfrom"), ("ag_", "ag_await")):
        frame = getattr(step, f"{prefix}frame", None)
        if frame is not None:
            return frame, getattr(step, follow, None)
    return None, None


def _of_thread(hold: Hold) -> tuple[list[Site], str]:
    used, hold.cpu = hold.cpu, cpu_of(hold.native)
    if used is None or hold.cpu is None:
        return [], ""
    moment, seconds = hold.cpu[0] - used[0], hold.cpu[1] - used[1]
    if moment <= 0 or seconds / moment > _WAITING_SHARE:
        return [], ""
    frame = sys._current_frames().get(hold.thread)  # noqa: SLF001 - what is there to be read
    sites: list[Site] = []
    call = ""
    for _ in range(_MAX_DEPTH):
        if frame is None:
            break
        if USER_CODE.kind(frame.f_code.co_filename) == USER:
            sites.append((frame.f_code, frame.f_lasti))
        elif not sites:
            call = _name(frame)
            if call.startswith((_DATABASE, *_COMPUTING)):
                return [], ""
        frame = frame.f_back
    return sites, call


def gathering() -> Site | None:
    """Find the user's line that gathers the running task with others; `None` if none does.

    A task made of a library's coroutine has no line of the user's of its own.
    """
    loop = asyncio._get_running_loop()  # noqa: SLF001 - the one that does not raise
    task = None if loop is None else asyncio.current_task(loop)
    if task is None:
        return None
    for other in asyncio.all_tasks(loop):
        waiter = getattr(other, "_fut_waiter", None)
        if task in (getattr(waiter, "_children", None) or ()) or _groups(other, task):
            sites, _ = _of_task(other)
            return sites[0] if sites else None
    return None


def _groups(other: "asyncio.Task[Any]", task: "asyncio.Task[Any]") -> bool:
    """Tell whether a task waits at the end of the ``TaskGroup`` that another one belongs to."""
    step: Any = other.get_coro()
    for _ in range(_MAX_DEPTH):
        frame, step = _frame_and_next(step)
        if frame is None:
            return False
        if frame.f_code is asyncio.TaskGroup.__aexit__.__code__:
            return task in getattr(frame.f_locals.get("self"), "_tasks", ())
    return False


def cpu_of(native: int) -> tuple[float, float] | None:
    """Give a moment and the seconds for which a thread has run, or was ready to, by then.

    On a busy machine it gets a processor late, and was not waiting for anything else.

    Returns:
        `None` where the system does not tell (other than Linux), or the thread is gone.
    """
    try:
        file = os.open(f"/proc/self/task/{native}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, AttributeError):
        return None
    try:
        ran, queued, *_ = os.read(file, 64).split()
        return perf_counter(), (int(ran) + int(queued)) / 1e9
    except (OSError, ValueError, IndexError):
        return None
    finally:
        os.close(file)


def still_runs(hold: Hold) -> bool:
    """Tell whether whoever took a connection is at work beside the request."""
    if hold.task is not None:
        task = hold.task()
        return task is not None and not task.done()
    code = hold.sites[0][0] if hold.sites else None
    frame = sys._current_frames().get(hold.thread)  # noqa: SLF001 - what is there to be read
    for _ in range(_MAX_DEPTH):
        if frame is None or code is None:
            return False
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False


def _name(frame: FrameType) -> str:
    module = frame.f_globals.get("__name__", "")
    return f"{module}.{frame.f_code.co_qualname}" if isinstance(module, str) else ""
