"""Time in the threadpool: FastAPI and Starlette run ``def`` functions through one name of anyio."""

import functools
import time
from collections.abc import Callable
from typing import Any, Final

from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.times import PART, TimePart
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import Recorder, active

NAME: Final = "threadpool"


def install(hooks: Hooks) -> None:
    """Time every call of `anyio.to_thread.run_sync`, which callers look up as an attribute."""
    try:
        from anyio import to_thread  # noqa: PLC0415 - tested for, as all hooks
    except ImportError:
        hooks.report(NAME, on=False, why="anyio is not installed")
        return
    hooks.replace(to_thread, "run_sync", _timed)
    hooks.report(NAME, on=True)


def _timed(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def run_sync(func: Callable[..., Any], *args: Any, **options: Any) -> Any:
        recorder = active()
        if recorder is None:
            return await original(func, *args, **options)
        call = _Call(func)
        asked = time.perf_counter()
        try:
            return await original(call, *args, **options)
        finally:
            _note(recorder, asked, call.began)

    return run_sync


class _Call:
    """Stands in for the function and notes when the thread began with it."""

    __slots__ = ("__wrapped__", "began")

    def __init__(self, func: Callable[..., Any]) -> None:
        self.__wrapped__ = func
        self.began: float | None = None

    def __call__(self, *args: Any) -> Any:
        self.began = time.perf_counter()
        return self.__wrapped__(*args)


def _note(recorder: Recorder, asked: float, began: float | None) -> None:
    try:
        if recorder.closed:
            return
        now = time.perf_counter()
        part = recorder.part(PART, TimePart)
        part.threadpool = (part.threadpool or 0.0) + now - asked
        part.threadpool_wait += (now if began is None else began) - asked
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("threadpool", error)
