"""Replaces the names through which every request of FastAPI and Starlette goes.

Routes, dependants, endpoints and handlers are left alone; what is replaced does nothing unless a
recorder is active.
"""

import functools
from collections.abc import Callable
from typing import Any, Final

import fastapi.routing
import starlette.routing

from fastapi_diagnostics.collectors.fastapi import private
from fastapi_diagnostics.collectors.fastapi.dependencies import Solving, TimingCache
from fastapi_diagnostics.collectors.fastapi.exceptions import watch_exceptions
from fastapi_diagnostics.collectors.fastapi.part import MAX_SOLVINGS, NAME, FastAPIPart
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.stand_ins import stand_in
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import CURRENT, Recorder


def install(hooks: Hooks) -> None:
    """Watch routes, dependencies, exceptions and refused requests; idempotent."""
    fault = private.solving_fault()
    if not fault:
        hooks.replace(fastapi.routing, private.SOLVE, _watch_solving)
    hooks.report("dependencies", on=not fault, why=fault)
    modules = private.exception_modules()
    for module in modules:
        plain = module is starlette.routing
        hooks.replace(module, private.WRAP, functools.partial(watch_exceptions, plain=plain))
    why = "" if modules else f"this version of Starlette has no {private.WRAP}"
    hooks.report("exceptions", on=bool(modules), why=why)


_STAND_IN: Final = """
async def solve_dependencies({parameters}):
    recorder = current()
    if recorder is None or recorder.closed:
        return await original({arguments})
    solving = begin(recorder, request, dependant, dependency_cache, dependency_overrides_provider)
    if solving is not None:
        dependency_cache = solving.cache
    try:
        solved = await original({arguments})
    except BaseException:
        if solving is not None:
            end(recorder, solving, failed=True)
        raise
    if solving is not None:
        end(recorder, solving)
    if not solved.errors:
        # Generators and websocket endpoints are called by nobody else who could tell.
        recorder.enter("endpoint")
    return solved
"""


def _watch_solving(original: Callable[..., Any]) -> Any:
    """Wrap ``solve_dependencies`` as routes call it; its own recursion does not pass here."""
    names = {"current": CURRENT.get, "begin": _begin, "end": _end}
    return stand_in(original, _STAND_IN, names)


def _end(recorder: Recorder, solving: Solving, *, failed: bool = False) -> None:
    try:
        solving.failed = failed
        solving.ended = recorder.clock()
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("fastapi.solved", error)


def _begin(
    recorder: Recorder, request: Any, dependant: Any, given: Any, provider: Any
) -> Solving | None:
    """Note the scope as the endpoint sees it; time its dependencies, if there are any.

    Args:
        recorder: Of the request.
        request: As FastAPI has it.
        dependant: What the route declares.
        given: The cache of whoever has solved before; `None` if nobody has.
        provider: Knows the application's overrides.
    """
    try:
        recorder.inner = request.scope
        recorder.enter("dependencies")
        if not dependant.dependencies or given is not None:
            return None
        part = recorder.part(NAME, FastAPIPart)
        if len(part.solvings) >= MAX_SOLVINGS:
            return None
        recorder.lingers = True  # one of them may be torn down after the response
        cache = TimingCache(recorder.clock)
        overrides = getattr(provider, "dependency_overrides", None)
        solving = Solving(recorder.clock(), cache, dependant, dict(overrides or ()))
        part.solvings.append(solving)
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("fastapi.solve", error)
        return None
    return solving
