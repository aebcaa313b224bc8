"""Time in the threadpool: FastAPI and Starlette run ``def`` functions through one name of anyio.

There are 40 threads by default, and whoever finds them all taken waits.
"""

import functools
import itertools
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Literal

from fastapi_diagnostics.callsite import (
    HANDED,
    MAX_HANDED,
    Site,
    caller_sites,
    definition,
    unwrapped,
)
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.times import PART, TimePart
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import Location, ThreadHolder, ThreadWait
from fastapi_diagnostics.recorder import Recorder, active
from fastapi_diagnostics.redaction import redact_path

NAME: Final = "threadpool"
MIN_WAIT_S: Final = 0.005
"""A shorter wait for a thread is no fact: threads need a moment to start."""
MAX_WAITS: Final = 50
MAX_HOLDERS: Final = 10

Role = Literal["endpoint", "dependency", "class-dependency", "other"]


def install(hooks: Hooks) -> None:
    """Time every call of `anyio.to_thread.run_sync`, which callers look up as an attribute."""
    try:
        from anyio import to_thread  # noqa: PLC0415 - tested for, as all hooks
    except ImportError:
        hooks.report(NAME, on=False, why="anyio is not installed")
        return
    hooks.replace(to_thread, "run_sync", functools.partial(_timed, to_thread))
    hooks.report(NAME, on=True)


def name_routes(name: Callable[[Recorder], str]) -> None:
    """Set how the route of a request that holds a thread is named; else its method and path."""
    ROUTES.name = name


def path_of(recorder: Recorder) -> str:
    """Give method and path of a request."""
    scope = recorder.scope or {}
    path = redact_path(scope.get("path", ""))
    return f"{scope.get('method') or 'WS'} {path}" if path else recorder.name


class Routes:
    """Names routes; whoever knows them may set a better `name`."""

    def __init__(self) -> None:
        self.name: Callable[[Recorder], str] = path_of


ROUTES = Routes()


class _Call:
    """Stands in for the function and notes when the thread began with it.

    Attributes:
        route: Named while its request is open, once somebody waits for its thread.
        sites: The user's lines that called; none where FastAPI or Starlette did.
        limiter: Identity of what counts the threads; of the loop's thread for the default one.
        holders: Who had the threads when it asked; `None` if one was free.
        threads: How many there were then.
    """

    __slots__ = (
        "__wrapped__",
        "began",
        "holders",
        "limiter",
        "recorder",
        "route",
        "sites",
        "threads",
    )

    def __init__(self, func: Callable[..., Any], recorder: Recorder) -> None:
        self.__wrapped__ = func
        self.began: float | None = None
        self.recorder = recorder
        self.limiter = 0
        self.route: str | None = None
        self.holders: tuple[_Call, ...] | None = None
        self.sites: tuple[Site, ...] = ()
        self.threads = 0

    def __call__(self, *args: Any) -> Any:
        self.began = time.perf_counter()
        HANDED.sites = self.sites
        try:
            return self.__wrapped__(*args)
        finally:
            HANDED.sites = ()


_OPEN: Final[dict[int, dict[int, _Call]]] = {}
"""Calls that have asked for a thread and are not through, oldest first, by limiter."""


def _timed(to_thread: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def run_sync(func: Callable[..., Any], *args: Any, **options: Any) -> Any:
        recorder = active()
        if recorder is None:
            return await original(func, *args, **options)
        call = _asked(to_thread, func, recorder, options)
        asked = time.perf_counter()
        try:
            return await original(call, *args, **options)
        finally:
            _note(recorder, asked, call)

    return run_sync


def _asked(
    to_thread: Any, func: Callable[..., Any], recorder: Recorder, options: dict[str, Any]
) -> _Call:
    """Note who has the threads, if none is free."""
    call = _Call(func, recorder)
    try:
        # From whoever called `run_sync`.
        call.sites = caller_sites(sys._getframe(2), MAX_HANDED)[0]  # noqa: SLF001
        limiter = options.get("limiter")
        call.limiter = threading.get_ident() if limiter is None else id(limiter)
        earlier = _OPEN.setdefault(call.limiter, {})
        if earlier:
            _note_holders(call, earlier, limiter or to_thread.current_default_thread_limiter())
        earlier[id(call)] = call
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("threadpool ask", error)
    return call


def _note_holders(call: _Call, earlier: dict[int, _Call], limiter: Any) -> None:
    # Those who have asked a moment ago have not borrowed their threads yet.
    if len(earlier) < limiter.total_tokens and limiter.available_tokens > 0:
        return
    call.threads = int(limiter.total_tokens)
    call.holders = tuple(itertools.islice(earlier.values(), call.threads))
    for one in call.holders:
        if one.route is None:
            one.route = ROUTES.name(one.recorder) or path_of(one.recorder)


def _note(recorder: Recorder, asked: float, call: _Call) -> None:
    try:
        others = _OPEN.get(call.limiter, {})
        others.pop(id(call), None)
        if not others:
            _OPEN.pop(call.limiter, None)
        if recorder.closed:
            return
        now = time.perf_counter()
        part = recorder.part(PART, TimePart)
        waited = (now if call.began is None else call.began) - asked
        part.threadpool = (part.threadpool or 0.0) + now - asked
        part.threadpool_wait += waited
        if call.holders is not None and waited >= MIN_WAIT_S:
            waits = part.thread_waits = part.thread_waits or []
            if len(waits) < MAX_WAITS:
                waits.append(_fact(recorder, call, asked, now))
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("threadpool", error)


def _fact(recorder: Recorder, call: _Call, asked: float, now: float) -> ThreadWait:
    name, location = _described(call.__wrapped__)
    began = call.began
    return ThreadWait(
        name=name,
        role=_role(recorder, call),
        location=location,
        started_ms=recorder.ms(asked),
        waited_ms=round(((now if began is None else began) - asked) * 1000, 3),
        ran_ms=None if began is None else round((now - began) * 1000, 3),
        phase=recorder.phase_during(asked, now),
        threads=call.threads,
        holders=_holders(call),
    )


def _holders(call: _Call) -> tuple[ThreadHolder, ...]:
    """Count who had the threads, by route and function; the rest belonged to no request."""
    counted: Counter[tuple[str, str, Location | None]] = Counter()
    first: dict[tuple[str, str, Location | None], str] = {}
    for one in call.holders or ():
        key = (one.route or "", *_described(one.__wrapped__))
        counted[key] += 1
        first.setdefault(key, one.recorder.id)
    unknown = call.threads - counted.total()
    if unknown > 0:
        counted["", "work of no request", None] = unknown
    return tuple(
        ThreadHolder(
            request_id=first.get(key, ""), route=key[0], name=key[1], location=key[2], threads=count
        )
        for key, count in counted.most_common(MAX_HOLDERS)
    )


def _target(func: Any) -> Any:
    """Give the function behind a partial, or behind the steps of a ``yield`` dependency."""
    keywords = getattr(func, "keywords", None) or {}
    # FastAPI from 0.13x on hands its endpoint to a function of its own.
    target = unwrapped(keywords["function"] if callable(keywords.get("function")) else func)
    manager = getattr(target, "__self__", None)
    inner = getattr(manager, "func", None)  # of contextlib's generator context managers
    return target if inner is None else unwrapped(inner)


def _described(func: Any) -> tuple[str, Location | None]:
    target = _target(func)
    name = getattr(target, "__qualname__", None) or type(target).__name__
    body = vars(target).get("__init__") if isinstance(target, type) else target
    return name.replace(".<locals>", ""), definition(body)


def _role(recorder: Recorder, call: _Call) -> Role:
    target = _target(call.__wrapped__)
    endpoint = (recorder.scope or {}).get("endpoint")
    if endpoint is not None and unwrapped(endpoint) is target:
        return "endpoint"
    if recorder.phase != "dependencies":
        return "other"
    return "class-dependency" if isinstance(target, type) else "dependency"
