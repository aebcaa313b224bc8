"""Background tasks: which were registered, which ran, how they ended, and why others never did.

What never ran is what was *registered and never started*, told when the request is closed.
Registered is a task only once it is bound to an answer: in the `BackgroundTasks` that FastAPI
injects, or as ``background=`` of a response that was sent. One that is built and dropped is not.
"""

import asyncio
import functools
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from fastapi_diagnostics.callsite import caller_sites
from fastapi_diagnostics.collectors import handed_over
from fastapi_diagnostics.collectors.background.part import (
    MAX_TASK_GROUPS,
    PART,
    BackgroundPart,
    Sending,
    Task,
)
from fastapi_diagnostics.collectors.background.streams import MAX_BROKEN, body_error
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import BrokenStream
from fastapi_diagnostics.recorder import CURRENT, Recorder, active

_current = CURRENT.get

NAME: Final = "background tasks"
PROGRESS_S: Final = 0.25
"""While tasks follow one another, the record on the page is at most this much behind."""


def install(hooks: Hooks) -> None:
    """Watch Starlette's `BackgroundTask` and the responses that carry one."""
    try:
        from starlette import background, responses  # noqa: PLC0415 - tested for, as all hooks
    except ImportError:
        hooks.report(NAME, on=False, why="Starlette is not installed")
        return
    hooks.replace(background.BackgroundTask, "__init__", _registering)
    hooks.replace(background.BackgroundTask, "__call__", _running)
    hooks.replace(background.BackgroundTasks, "__init__", _grouping)
    for name in ("Response", "StreamingResponse", "FileResponse"):
        cls = getattr(responses, name, None)
        if cls is not None and "__call__" in vars(cls):
            hooks.replace(cls, "__call__", _sending)
    hooks.report(NAME, on=True)


def _registering(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - stands in for it
        original(self, *args, **kwargs)
        recorder = active()
        if recorder is None:
            return
        try:
            handed_over.note(self.func)
            sites, _ = caller_sites(sys._getframe(1), 1)  # noqa: SLF001 - the way to a frame
            recorder.part(PART, BackgroundPart).noted(self, sites)
            recorder.lingers = True
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("background.init", error)

    return __init__


def _grouping(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - stands in for it
        original(self, *args, **kwargs)
        recorder = active()
        if recorder is None:
            return
        try:
            # What FastAPI makes while it solves dependencies is bound to the response.
            if sys._getframe(1).f_code.co_name == "solve_dependencies":  # noqa: SLF001 - the caller
                injected = recorder.part(PART, BackgroundPart).injected
                if len(injected) < MAX_TASK_GROUPS:
                    injected.append(self)
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("background.group", error)

    return __init__


def _running(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def __call__(self: Any) -> None:  # noqa: N807 - stands in for it
        recorder = active()
        if recorder is None:
            await original(self)
            return
        entry = _started(recorder, self)
        try:
            await original(self)
        except BaseException as error:
            _failed(recorder, entry, error)
            raise
        finally:
            _ended(recorder, entry)

    return __call__


def _sending(original: Callable[..., Any]) -> Callable[..., Any]:
    # A coroutine function like the original: who is handed a response as an application asks.
    @functools.wraps(original)
    async def __call__(self: Any, scope: Any, receive: Any, send: Any) -> None:  # noqa: N807
        recorder = _current()
        if recorder is None or recorder.closed:
            await original(self, scope, receive, send)
            return
        background = getattr(self, "background", None)
        if background is None:
            try:
                await original(self, scope, receive, send)
            except Exception as error:
                _broke(recorder, self, error)
                raise
            return
        sending = Sending(background)
        _begun(recorder, sending)

        async def observed_send(message: Any) -> None:
            try:
                await send(message)
            except OSError:
                sending.gone = True
                raise

        try:
            await original(self, scope, receive, observed_send)
        except Exception as error:
            _broken(recorder, sending, _broke(recorder, self, error) or error)
            raise

    return __call__


def _begun(recorder: Recorder, sending: Sending) -> None:
    try:
        sendings = recorder.part(PART, BackgroundPart).sendings
        if len(sendings) < MAX_TASK_GROUPS:
            sendings.append(sending)
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("background.send", error)


def _started(recorder: Recorder, task: Any) -> Task | None:
    try:
        entry = recorder.part(PART, BackgroundPart).noted(task)
        if entry is not None:
            entry.started = recorder.clock()
            # Once the response has begun, no failure of a task can change what the client gets;
            # behind a BaseHTTPMiddleware a task may start before the last, empty message.
            entry.after_response = recorder.responded is not None or recorder.status is not None
        recorder.enter("background")
        if recorder.refresh is not None:
            _show_progress(recorder, at_least_s=PROGRESS_S)
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("background.start", error)
        return None
    return entry


def _ended(recorder: Recorder, entry: Task | None) -> None:
    try:
        if entry is not None:
            entry.ended = recorder.clock()
        recorder.enter("teardown")
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("background.ended", error)


def _failed(recorder: Recorder, entry: Task | None, error: BaseException) -> None:
    try:
        if entry is None:
            return
        entry.failed = True
        if isinstance(error, Exception):
            index = recorder.note_exception(error, "background")
            entry.exception = index if index >= 0 else None
            _show_progress(recorder, at_least_s=0.0)
        else:
            entry.cancelled = True
    except Exception as failure:  # noqa: BLE001 - ours, contained
        FAULTS.note("background.failed", failure)


def _show_progress(recorder: Recorder, *, at_least_s: float) -> None:
    """Keep the record anew in the next turn of the loop, if it is still open then.

    Args:
        recorder: Of a request whose response was sent, or else there is nothing to show yet.
        at_least_s: How long ago the last time must be; a record is not kept for each of many
            short tasks.
    """
    refresh = recorder.refresh
    part = recorder.part(PART, BackgroundPart)
    now = recorder.clock()
    if refresh is None or now - (part.shown or recorder.responded or now) < at_least_s:
        return
    part.shown = now
    with suppress(RuntimeError):  # not on asyncio: it is kept at its close
        asyncio.get_running_loop().call_soon(refresh)


def _broke(recorder: Recorder, response: Any, error: Exception) -> Exception | None:
    """Note a body that broke off, and give what it raised; `None` for any other failure."""
    try:
        found = body_error(error)
        if found is None:
            return None
        index = recorder.note_exception(found, "response")
        broken = recorder.part(PART, BackgroundPart).broken
        if index >= 0 and len(broken) < MAX_BROKEN:
            broken.append(BrokenStream(response=type(response).__name__, exception=index))
    except Exception as failure:  # noqa: BLE001 - ours, contained
        FAULTS.note("background.broke", failure)
        return None
    return found


def _broken(recorder: Recorder, sending: Sending, error: Exception) -> None:
    try:
        index = recorder.note_exception(error)
        sending.broken = True
        sending.exception = index if index >= 0 else None
    except Exception as failure:  # noqa: BLE001 - ours, contained
        FAULTS.note("background.broken", failure)
