"""Replaces the names through which every request of FastAPI and Starlette goes.

Routes, dependants, endpoints and handlers are left alone; what is replaced does nothing unless a
recorder is active.
"""

import functools
from collections.abc import Callable
from typing import Any

import fastapi.routing
import starlette.routing

from fastapi_diagnostics.collectors.fastapi import private
from fastapi_diagnostics.collectors.fastapi.dependencies import Solving, TimingCache
from fastapi_diagnostics.collectors.fastapi.exceptions import watch_exceptions
from fastapi_diagnostics.collectors.fastapi.part import MAX_SOLVINGS, NAME, FastAPIPart
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import Recorder, active


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


def _watch_solving(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``solve_dependencies`` as routes call it; its own recursion does not pass here."""

    @functools.wraps(original)
    async def solve_dependencies(**options: Any) -> Any:
        recorder = active()
        if recorder is None:
            return await original(**options)
        solving = _begin(recorder, options)
        try:
            solved = await original(**options)
        except BaseException:
            if solving is not None:
                _end(recorder, solving, failed=True)
            raise
        if solving is not None:
            _end(recorder, solving)
        if not solved.errors:
            # Generators and websocket endpoints are called by nobody else who could tell.
            recorder.enter("endpoint")
        return solved

    return solve_dependencies


def _end(recorder: Recorder, solving: Solving, *, failed: bool = False) -> None:
    try:
        solving.failed = failed
        solving.ended = recorder.clock()
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("fastapi.solved", error)


def _begin(recorder: Recorder, options: dict[str, Any]) -> Solving | None:
    """Note the scope; time the dependencies, if there are any."""
    try:
        recorder.inner = options["request"].scope
        recorder.enter("dependencies")
        dependant = options["dependant"]
        if not dependant.dependencies or options.get("dependency_cache") is not None:
            return None
        part = recorder.part(NAME, FastAPIPart)
        if len(part.solvings) >= MAX_SOLVINGS:
            return None
        recorder.lingers = True  # one of them may be torn down after the response
        cache = TimingCache(recorder.clock)
        provider = options.get("dependency_overrides_provider")
        overrides = getattr(provider, "dependency_overrides", None)
        solving = Solving(recorder.clock(), cache.events, dependant, dict(overrides or ()))
        part.solvings.append(solving)
        options["dependency_cache"] = cache
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("fastapi.solve", error)
        return None
    return solving
