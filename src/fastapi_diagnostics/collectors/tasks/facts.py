"""Describes what became of a task or a coroutine as plain values."""

import itertools
import os
import secrets
import time
from collections.abc import Callable
from types import CodeType
from typing import Any, Final, Literal

import msgspec

from fastapi_diagnostics.callsite import USER, USER_CODE, Site, function_name, resolve
from fastapi_diagnostics.collectors.origins import ORIGIN
from fastapi_diagnostics.collectors.tasks.part import PART, TasksPart
from fastapi_diagnostics.record import Location, LooseTask
from fastapi_diagnostics.recorder import Recorder, rfc3339
from fastapi_diagnostics.tracebacks import describe_exception

MAX_CHILDREN: Final = 200

Late = Callable[[str | None, tuple[LooseTask, ...]], object]


class Loss(msgspec.Struct, frozen=True):
    """What was noted at the moment of the loss; holds no task and no frame.

    Attributes:
        name: Qualified name of the coroutine function.
        code: Of that function; `None` where it is not written in Python.
        site: The user's line that started the task or made the coroutine, if it is known.
        error: What the task raised; dropped with this.
    """

    kind: Literal["failed", "destroyed", "never-awaited"]
    name: str
    code: CodeType | None
    recorder: Recorder | None
    site: Site | None
    exact: bool = True
    error: Exception | None = None


def deliver(loss: Loss, late: Late | None) -> None:
    """Describe a loss and put it where it belongs: into the open recording, or behind it.

    Raises:
        Exception: Whatever describing the application's exception raises.
    """
    recorder = loss.recorder
    is_open = recorder is not None and not recorder.closed
    begun = recorder is not None and (recorder.closed or recorder.status is not None)
    error = loss.error
    phase = recorder.phase if recorder is not None and is_open else "outside"
    fact = LooseTask(
        id=_new_id(),
        kind=loss.kind,
        name=_short(loss.name),
        at=rfc3339(time.time()),
        created_at=resolve(*loss.site).location if loss.site is not None else None,
        defined_at=_definition(loss.code),
        exact=loss.exact,
        exception=None if error is None else describe_exception(error, phase, answered=begun),
        after_response=begun,
    )
    if recorder is not None and is_open:
        recorder.part(PART, TasksPart).note(fact)
    elif late is not None:
        late(recorder.id if recorder is not None else None, (fact,))


def origin_of(future: Any) -> tuple[Any, Any]:
    """Give what was noted when a task was started: recorder and site, each `None` if unknown."""
    noted = getattr(future, ORIGIN, None)
    return noted if isinstance(noted, tuple) else (None, None)


def task_behind(future: Any, error: BaseException) -> Any:
    """Find the task whose exception a lost `asyncio.gather` was to give; else the future itself."""
    for child in tuple(getattr(future, "_children", ()))[:MAX_CHILDREN]:
        if getattr(child, "_exception", None) is error:
            return child
    return future


def code_and_name(task: Any) -> tuple[CodeType | None, str]:
    """Give the code and the qualified name of the coroutine that a task runs."""
    # Not get_coro(): before Python 3.12.2 that crashes for a task that ended as it was made.
    coroutine = getattr(task, "_coro", None)
    code = getattr(coroutine, "cr_code", None)
    name = getattr(coroutine, "__qualname__", None) or type(coroutine).__qualname__
    return (code if isinstance(code, CodeType) else None), str(name)


def is_users(code: CodeType | None, site: Site | None) -> bool:
    """Tell whether a loss is the user's: a line of theirs started it, or it runs their code."""
    if site is not None:
        return True
    return code is not None and USER_CODE.kind(code.co_filename) == USER


def _definition(code: CodeType | None) -> Location | None:
    if code is None or USER_CODE.kind(code.co_filename) != USER:
        return None
    return Location(
        file=USER_CODE.shown(code.co_filename),
        line=code.co_firstlineno,
        function=function_name(code),
    )


def _short(name: str) -> str:
    return name.rpartition("<locals>.")[2]


class _Ids:
    """Gives ids that are unique among all workers."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin a new series; a forked child must not continue its parent's."""
        self._prefix = secrets.token_hex(4)
        self._counter = itertools.count(1)

    def __call__(self) -> str:
        return f"{self._prefix}-{next(self._counter):x}"


_new_id = _Ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_id.renew)
