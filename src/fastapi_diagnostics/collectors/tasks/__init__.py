"""Tasks that failed unobserved or were destroyed while pending, and coroutines never awaited.

Who started a task is noted on the task; how it ended is heard from asyncio itself, which tells the
loop's `call_exception_handler` when a task is collected. Standing in for that method, and not for
the handler, keeps the user's handler, asyncio's log and `get_exception_handler` as they are.
`task.exception()` is never called: it would silence asyncio. No task factory is set: one in the
way of ``asyncio.eager_task_factory`` changes how anyio starts tasks.
"""

import asyncio
import functools
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import msgspec

from fastapi_diagnostics.callsite import USER, USER_CODE, Site
from fastapi_diagnostics.collectors import handed_over
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.origins import ORIGIN
from fastapi_diagnostics.collectors.stand_ins import stand_in
from fastapi_diagnostics.collectors.tasks import waiting
from fastapi_diagnostics.collectors.tasks.calls import dropped_by, kept_by, only_call_of
from fastapi_diagnostics.collectors.tasks.facts import (
    Late,
    Loss,
    code_and_name,
    deliver,
    is_users,
    origin_of,
    task_behind,
)
from fastapi_diagnostics.collectors.tasks.part import PART, TasksPart
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import CURRENT, active

NAME: Final = "tasks"
NEVER_AWAITED: Final = "coroutines never awaited"
_WARN: Final = "_warn_unawaited_coroutine"
_DESTROYED: Final = "destroyed but it is pending"
_ASYNCIO: Final = str(Path(asyncio.__file__).parent)
_UNSEEN_FILE: Final = "<fastapi_diagnostics: importlib._bootstrap>"
_MAX_FRAMES: Final = 6
_RUNS_ENDPOINT: Final = ("fastapi.routing", "run_endpoint_function")
_OURS: Final = frozenset({__file__, "<fastapi_diagnostics: create_task>"})
_current = CURRENT.get

on_late: Late | None = None
"""Called with the id of a record that was sealed before, or `None` for a loss outside of requests,
and with the facts to add to it."""


def install(hooks: Hooks) -> None:
    """Watch the tasks of asyncio's loops and of uvloop's, and the interpreter's warning."""
    for cls in _loop_classes():
        hooks.replace(cls, "create_task", _starting)
        hooks.replace(cls, "call_exception_handler", _telling)
    hooks.on_undo(waiting.forget)
    hooks.report(NAME, on=True)
    if callable(getattr(warnings, _WARN, None)):
        hooks.replace(warnings, _WARN, _warning)
        hooks.report(NEVER_AWAITED, on=True)
    else:
        hooks.report(NEVER_AWAITED, on=False, why=f"this Python has no warnings.{_WARN}")


def _loop_classes() -> tuple[type, ...]:
    found: list[type] = [asyncio.BaseEventLoop]
    uvloop = getattr(sys.modules.get("uvloop"), "Loop", None)
    running = type(waiting.running_loop())
    for cls in (uvloop, running):
        if isinstance(cls, type) and not issubclass(cls, (*found, type(None))):
            found.append(cls)
    return tuple(found)


_STAND_IN: Final = """
def create_task({parameters}):
    task = original({arguments})
    note(task, get_frame(1))
    try:
        return task
    finally:
        del task  # an eager task that failed must not hold itself through this frame
"""


def _starting(original: Callable[..., Any]) -> Any:
    names = {"note": _note_start, "get_frame": sys._getframe}  # noqa: SLF001 - the way to a frame
    try:
        return stand_in(original, _STAND_IN, names)
    except ValueError:  # a loop of somebody else's making

        @functools.wraps(original)
        def create_task(self: Any, *args: Any, **kwargs: Any) -> Any:
            task = original(self, *args, **kwargs)
            _note_start(task, sys._getframe(1))  # noqa: SLF001 - as above
            try:
                return task
            finally:
                del task  # as above

        return create_task


def _note_start(task: Any, frame: FrameType | None) -> None:
    """Note on a task who started it; *frame* asked for it."""
    try:
        recorder = _current()
        if recorder is not None and recorder.closed:
            recorder = None
        site = _direct_site(frame)
        if recorder is not None or site is not None:
            setattr(task, ORIGIN, (recorder, site))
        if task._source_traceback:  # noqa: SLF001 - in debug mode
            _forget_frame(task)
    except AttributeError:
        pass  # a task of somebody else's making, without room for a note
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("tasks.start", error)


def _direct_site(frame: FrameType | None) -> Site | None:
    """Find the user's line that asked asyncio for a task; `None` if a library did."""
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return None
        code = frame.f_code
        filename = code.co_filename
        kind = USER_CODE.kinds.get(filename)
        if kind is None:
            kind = USER_CODE.kind(filename)
        if kind == USER:
            return code, frame.f_lasti
        if not filename.startswith(_ASYNCIO):
            return None
        frame = frame.f_back
    return None


def _forget_frame(task: Any) -> None:
    """Take our frame off the traceback that asyncio's debug mode prints."""
    created = getattr(task, "_source_traceback", None)
    if created:
        created[:] = [line for line in created if line.filename not in _OURS]


def _telling(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call_exception_handler(self: Any, context: Any) -> Any:
        try:
            loss = _loss_in(context, self)
            if loss is not None:
                waiting.put(lambda: _tell(loss), self)
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("tasks.handler", error)
        return original(self, context)

    return call_exception_handler


def _loss_in(context: Any, loop: Any) -> Loss | None:
    """Read what asyncio tells of; `None` for what is no loss, or not the user's."""
    error = context.get("exception")
    if isinstance(error, Exception) and context.get("future") is not None:
        return _loss_of(task_behind(context["future"], error), error)
    if error is None and _is_destroyed(context, loop):
        return _loss_of(context["task"], None)
    return None


def _loss_of(task: Any, error: Exception | None) -> Loss | None:
    recorder, site = origin_of(task)
    code, name = code_and_name(task)
    if not is_users(code, site):
        return None
    return Loss(
        kind="destroyed" if error is None else "failed",
        name=name,
        code=code,
        recorder=recorder,
        site=site,
        error=error,
    )


def _is_destroyed(context: Any, loop: Any) -> bool:
    """Tell whether a task was lost while its loop ran; a loop that ends leaves tasks behind."""
    if context.get("task") is None or _DESTROYED not in str(context.get("message", "")):
        return False
    return bool(loop.is_running()) and not sys.is_finalizing()


def _warning(original: Callable[[Any], None]) -> Callable[[Any], None]:
    def _warn_unawaited_coroutine(coroutine: Any) -> None:
        _never_awaited(coroutine)
        original(coroutine)

    # The warning names the line below this frame. As importing modules must not shift such lines,
    # `warnings` passes over frames of a file that is called like this.
    _warn_unawaited_coroutine.__code__ = _warn_unawaited_coroutine.__code__.replace(
        co_filename=_UNSEEN_FILE
    )
    return _warn_unawaited_coroutine


def _never_awaited(coroutine: Any) -> None:
    try:
        if handed_over.forget(coroutine):
            return
        code: CodeType = coroutine.cr_code
        frame, recorder = sys._getframe(2), active()  # noqa: SLF001 - below ours and the hook
        site, exact = dropped_by(frame, code.co_name), True
        if site is None and recorder is not None and _ends_an_endpoint(frame):
            scope = recorder.inner or recorder.scope or {}
            site, exact = kept_by(scope.get("endpoint"), code.co_name), False
        if sys.is_finalizing() or not is_users(code, site):
            return
        if recorder is not None:
            recorder.part(PART, TasksPart)  # which describes what is queued when it is sealed
        name = coroutine.__qualname__
        loss = Loss(
            kind="never-awaited", name=name, code=code, recorder=recorder, site=site, exact=exact
        )
        waiting.put(lambda: _tell(_located(loss)), waiting.running_loop())
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("tasks.coroutine", error)


def _ends_an_endpoint(frame: FrameType) -> bool:
    """Tell whether an endpoint has just returned: what is dropped now were its variables."""
    return frame.f_code.co_name == _RUNS_ENDPOINT[1] and (
        frame.f_globals.get("__name__") == _RUNS_ENDPOINT[0]
    )


def _located(loss: Loss) -> Loss:
    """Find the call that made a coroutine, where another statement dropped it."""
    made = only_call_of(loss.code) if loss.site is None and loss.code is not None else None
    return loss if made is None else msgspec.structs.replace(loss, site=made, exact=False)


def _tell(loss: Loss) -> None:
    deliver(loss, on_late)
