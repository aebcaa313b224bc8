"""Looks at an application as it stands, without a request: routes, handlers, models, mappings.

Nothing is replaced or called, so there is nothing to install or to undo.
Runs on the worker's thread, never on the application's loop.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, Final, TypeVar

from fastapi_diagnostics.app_record import (
    AppRecord,
    EagerMapping,
    ImplicitOptional,
    OldPydanticUse,
)
from fastapi_diagnostics.collectors.application.calls import old_calls
from fastapi_diagnostics.collectors.application.constructors import thread_classes
from fastapi_diagnostics.collectors.application.handlers import guarding_middleware, handlers_of
from fastapi_diagnostics.collectors.application.mappings import eager_mappings
from fastapi_diagnostics.collectors.application.modules import members, modules_of
from fastapi_diagnostics.collectors.application.parameters import implicit_parameters
from fastapi_diagnostics.collectors.application.pydantic_models import (
    implicit_fields,
    is_model,
    models_in,
    old_declarations,
)
from fastapi_diagnostics.collectors.application.routes import Walk, chain, described
from fastapi_diagnostics.collectors.application.text import Sources
from fastapi_diagnostics.collectors.route_tree import routes_version
from fastapi_diagnostics.faults import FAULTS

__all__ = ["MAX_FACTS", "collect", "routes_version"]

MAX_FACTS: Final = 500
"""Facts of a kind that are kept."""
_GROUPS: Final = ("query_params", "header_params", "cookie_params", "body_params")

T = TypeVar("T")


def collect(app: Any, *, breathe: Callable[[], None] = lambda: None) -> AppRecord:
    """Describe an application.

    Args:
        app: A FastAPI or Starlette application.
        breathe: Called every few milliseconds, to let requests have the interpreter.
    """
    began = time.thread_time()
    walk = Walk(app, breathe)
    sources = Sources()
    cut: list[str] = [] if walk.whole else ["routes"]
    dependants = _dependants(walk)
    reached = _models_of_routes(walk, dependants)
    modules = modules_of((*_things(walk, dependants), *reached), breathe)
    declared = (one for module in modules for one in members(module) if is_model(one))
    models = tuple(dict.fromkeys((*reached, *declared)))
    routes = described(walk, breathe)
    old = _old(models, modules, dependants, sources, breathe)
    return AppRecord(
        title=str(getattr(app, "title", "")),
        routes=routes,
        handlers=tuple(handlers_of(walk.applications)),
        old_pydantic=_kept("old_pydantic", old, cut),
        implicit_optionals=_kept("implicit_optionals", _implicit(models, dependants, sources), cut),
        eager_mappings=_kept("eager_mappings", _eager(modules, sources), cut),
        thread_classes=_kept("thread_classes", thread_classes(_calls(walk), sources), cut),
        guarding_middleware=guarding_middleware(walk.applications),
        truncated=tuple(cut),
        duration_ms=round((time.thread_time() - began) * 1000, 2),
    )


def _dependants(walk: Walk) -> tuple[Any, ...]:
    """Give the endpoints and dependencies as FastAPI knows them, each function once."""
    found: dict[int, Any] = {}
    for walked in walk.routes:
        dependant = getattr(walked.route, "dependant", None)
        if dependant is not None:
            found.setdefault(id(dependant.call), dependant)
            for _, inner in chain(dependant):
                found.setdefault(id(inner.call), inner)
    return tuple(found.values())


def _calls(walk: Walk) -> Iterator[Iterator[Any]]:
    """Give for each route what it depends on."""
    for walked in walk.routes:
        dependant = getattr(walked.route, "dependant", None)
        yield (inner.call for _, inner in chain(dependant))


def _things(walk: Walk, dependants: Iterable[Any]) -> Iterator[Any]:
    """Give what tells which modules the application consists of."""
    for dependant in dependants:
        yield dependant.call
    for walked in walk.routes:
        yield getattr(walked.route, "endpoint", None)
    for _, app in walk.applications:
        yield from tuple(app.exception_handlers.values())
        yield from (entry.cls for entry in getattr(app, "user_middleware", ()))


def _models_of_routes(walk: Walk, dependants: Iterable[Any]) -> tuple[type, ...]:
    seen: set[Any] = set()
    annotations = [getattr(walked.route, "response_model", None) for walked in walk.routes]
    for dependant in dependants:
        for group in _GROUPS:
            parameters = getattr(dependant, group, ())
            infos = (getattr(parameter, "field_info", None) for parameter in parameters)
            annotations += [getattr(info, "annotation", None) for info in infos]
    return tuple(model for one in annotations for model in models_in(one, seen))


def _old(
    models: Iterable[type],
    modules: Iterable[ModuleType],
    dependants: Iterable[Any],
    sources: Sources,
    breathe: Callable[[], None],
) -> Iterator[OldPydanticUse]:
    for model in models:
        yield from old_declarations(model, sources)
    for module in modules:
        breathe()
        for value in members(module):
            yield from _old_calls_in(value, sources)
    for dependant in dependants:  # functions that no module holds
        yield from old_calls(dependant.call, sources)


def _old_calls_in(value: Any, sources: Sources) -> Iterator[OldPydanticUse]:
    if not isinstance(value, type):
        yield from old_calls(value, sources)
        return
    for member in tuple(vars(value).values()):
        yield from old_calls(member, sources, value if is_model(value) else None)


def _implicit(
    models: Iterable[type], dependants: Iterable[Any], sources: Sources
) -> Iterator[ImplicitOptional]:
    for dependant in dependants:
        yield from implicit_parameters(dependant, sources)
    for model in models:
        yield from implicit_fields(model, sources)


def _eager(modules: Iterable[ModuleType], sources: Sources) -> Iterator[EagerMapping]:
    for module in modules:
        for value in members(module):
            if isinstance(value, type):
                yield from eager_mappings(value, sources)


def _kept(name: str, facts: Iterable[T], cut: list[str]) -> tuple[T, ...]:
    """Take as many different facts as are kept; what fails loses the rest of its kind."""
    found: dict[T, None] = {}
    with FAULTS.contained(f"application {name}"):
        for fact in facts:
            if len(found) >= MAX_FACTS:
                cut.append(name)
                break
            found[fact] = None
    return tuple(found)
