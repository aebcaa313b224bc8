"""How asyncio's own loops queue a callback and run it: read here and nowhere else.

``call_soon`` and ``call_soon_threadsafe`` leave the queueing to one method, and ``call_later`` to
``call_at``. We stand in for these two, with handles that are timed when they run. These are two
instance attributes of the loop: from the third on (of 30 in all) Python keeps the attributes of
such a loop in a dictionary, and every callback of the loop becomes 0.15 µs slower.
"""

import asyncio
import contextvars
from asyncio import events
from collections import deque
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, Final

NAME: Final = "_call_soon"
AT: Final = "call_at"
Handle: Final[Any] = events.Handle
_LEADING_THERE: Final = {
    "call_soon": NAME,
    "call_soon_threadsafe": NAME,
    "call_later": AT,
    AT: "TimerHandle",
}
_QUEUEING: Final = frozenset({"events", "Handle", "_source_traceback", "_ready", "append"})
"""All that the method uses in Python 3.11 to 3.13."""
_FILLED: Final = ("_context", "_loop", "_callback", "_args", "_cancelled", "_repr")
_FILLING: Final = frozenset(
    {*_FILLED, "_source_traceback", "contextvars", "copy_context", "get_debug"}
    | {"format_helpers", "extract_stack", "sys", "_getframe"}
)
"""All that the constructor of a handle uses in these versions."""


def queue_of(loop: Any) -> "deque[Any] | None":
    """Give the queue of a loop; `None` if it is not known that everything goes through `NAME`."""
    base = asyncio.BaseEventLoop
    if not isinstance(loop, base) or not _are_known(Handle, events.TimerHandle):
        return None
    if _names_in(getattr(base, NAME, None)) != _QUEUEING:
        return None
    for name in (NAME, *_LEADING_THERE):
        method = getattr(base, name, None)
        if method is None or getattr(type(loop), name) is not method:
            return None
        if name != NAME and _LEADING_THERE[name] not in _names_in(method):
            return None
    found = getattr(loop, "_ready", None)
    return found if type(found) is deque and hasattr(loop, "_debug") else None


def _are_known(handle: Any, timer: Any) -> bool:
    known = _names_in(handle.__init__) == _FILLING and hasattr(handle, "_run")
    return known and issubclass(timer, handle) and hasattr(timer, "_when")


def _names_in(function: Any) -> frozenset[str]:
    return frozenset(function.__code__.co_names if isinstance(function, FunctionType) else ())


def queue_untimed(
    loop: Any, callback: Callable[..., Any], args: tuple[Any, ...], context: Any
) -> None:
    """Queue a callback past whatever stands in on this loop; its `queue_of` must be known."""
    getattr(type(loop), NAME)(loop, callback, args, context)


def code_of_running() -> CodeType | None:
    """Give the code that calls each callback: below it there is nothing of the callback's."""
    return getattr(getattr(Handle, "_run", None), "__code__", None)


def queueing(
    loop: Any, queue: "deque[Any]", run: Callable[[Any], None], clock: Callable[[], float]
) -> dict[str, Callable[..., Any]]:
    """Make the stand-ins, by the names of what they stand in for.

    Args:
        loop: Whose `queue_of` is *queue*.
        queue: As above.
        run: Runs each handle. Of a handle it may read `queued`, when it was ready; `callback`,
            `None` once it was cancelled; and `context`.
        clock: Says when a callback was ready.
    """
    append = queue.append
    call_at = loop.call_at
    plain_timer: Any = events.TimerHandle
    handle_of, timer_of = _timed_handles(loop, run, clock)

    def call_soon(callback: Any, args: tuple[Any, ...], context: Any) -> Any:
        handle = handle_of(callback, args, context)
        if loop._debug:  # noqa: SLF001
            Handle.__init__(handle, callback, args, loop, context)  # notes who called
            if handle.trace:
                del handle.trace[-1]  # as the original does
        append(handle)
        return handle

    def call_timed_at(
        when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Any:
        timer: Any = call_at(when, callback, *args, context=context)
        if type(timer) is plain_timer:
            timer.__class__ = timer_of
            if timer.trace:
                del timer.trace[-1]
        return timer

    return {NAME: call_soon, AT: call_timed_at}


def _timed_handles(
    loop: Any, run: Callable[[Any], None], clock: Callable[[], float]
) -> tuple[Any, Any]:
    """Make the classes of a loop's handles; they are printed like asyncio's own."""
    copy_context = contextvars.copy_context
    loop_time = loop.time

    def fill(handle: Any, callback: Any, args: tuple[Any, ...], context: Any) -> None:
        # As asyncio does, but without a call that asks for the debug mode: that pays for the clock.
        handle._context = copy_context() if context is None else context  # noqa: SLF001
        handle._loop = loop  # noqa: SLF001
        handle._callback = callback  # noqa: SLF001
        handle._args = args  # noqa: SLF001
        handle._cancelled = False  # noqa: SLF001
        handle._repr = None  # noqa: SLF001
        handle._source_traceback = None  # noqa: SLF001
        handle.queued = clock()

    def due(timer: Any) -> float:
        late: float = loop_time() - timer._when  # noqa: SLF001
        return clock() - late

    common = {
        "_run": run,
        "callback": Handle._callback,  # noqa: SLF001
        "context": Handle._context,  # noqa: SLF001
        "trace": Handle._source_traceback,  # noqa: SLF001
        "__module__": Handle.__module__,
    }
    soon = common | {"__slots__": ("queued",), "__init__": fill}
    at = common | {"__slots__": (), "queued": property(due)}
    return (
        type(Handle.__name__, (Handle,), soon),
        type(events.TimerHandle.__name__, (events.TimerHandle,), at),
    )
