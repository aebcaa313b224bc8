"""State that a class dependency keeps on itself although every request gets a new instance.

FastAPI calls the class anew for each request. Only attributes that a method of the class counts up
or fills are looked at, in the instance's own ``__dict__``, before the endpoint and when the record
is sealed.
"""

import dis
import functools
import inspect
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, Final, Self

from fastapi_diagnostics.callsite import USER, USER_CODE, Site, resolve
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.stand_ins import stand_in
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import LostState
from fastapi_diagnostics.recorder import Recorder, active

NAME: Final = "state of dependencies"
PART: Final = "dependency state"
MAX_INSTANCES: Final = 20
MAX_FACTS: Final = 50
_RUN: Final = "run_endpoint_function"
_MAKERS: Final = frozenset({"__init__", "__new__", "__post_init__"})


def install(hooks: Hooks) -> None:
    """Watch the instances that FastAPI hands to endpoints."""
    try:
        import fastapi.routing as module  # noqa: PLC0415 - tested for, as all hooks
    except ImportError:
        hooks.report(NAME, on=False, why="FastAPI is not installed")
        return
    run = getattr(module, _RUN, None)
    if run is None or not {"dependant", "values"} <= set(inspect.signature(run).parameters):
        hooks.report(NAME, on=False, why=f"this version of FastAPI has no fastapi.routing.{_RUN}")
        return
    hooks.replace(module, _RUN, _watching)
    hooks.report(NAME, on=True)


class StatePart:
    """The instances of one request with what they held before the endpoint ran."""

    __slots__ = ("_absorbed", "instances")

    def __init__(self) -> None:
        self.instances: list[tuple[Any, dict[str, float]]] = []
        self._absorbed: list[LostState] = []

    def seal(self, recorder: Recorder) -> dict[str, Any]:  # noqa: ARG002 - nothing of it is needed
        """Compare what they hold now."""
        facts = [*self._absorbed, *(fact for one in self.instances for fact in _changes(*one))]
        return {"lost_states": tuple(facts[:MAX_FACTS])} if facts else {}

    def absorb(self, other: Self, *, exceptions: int) -> None:  # noqa: ARG002 - no indices here
        """Take over what changed in a request inside this capture."""
        self._absorbed += (fact for one in other.instances for fact in _changes(*one))


_STAND_IN: Final = """
def run_endpoint_function({parameters}):
    try:
        if dependant.dependencies:
            look(dependant, values)
    except Exception as error:
        failed(error)
    return original({arguments})  # to be awaited, as it was
"""


def _watching(original: Callable[..., Any]) -> Any:
    return stand_in(original, _STAND_IN, {"look": _look, "failed": _failed})


def _look(dependant: Any, values: dict[str, Any]) -> None:
    recorder = active()
    if recorder is not None:
        _note(recorder, dependant, values)


def _failed(error: Exception) -> None:
    FAULTS.note("dependency state", error)


def _note(recorder: Recorder, dependant: Any, values: dict[str, Any]) -> None:
    for dependency in dependant.dependencies:
        cls: Any = dependency.call
        if type(cls) is not type or not _counted(cls):
            continue
        instance = values.get(dependency.name)
        part = recorder.part(PART, StatePart)
        if type(instance) is cls and len(part.instances) < MAX_INSTANCES:
            part.instances.append((instance, _held(instance)))


def _held(instance: Any) -> dict[str, float]:
    """Measure what is counted: a number as it is, a dictionary by its length."""
    held = object.__getattribute__(instance, "__dict__")
    found: dict[str, float] = {}
    cls: Any = type(instance)
    for name in _counted(cls):
        value = held.get(name)
        if type(value) in {int, float}:
            found[name] = value
        elif type(value) is dict:
            found[name] = len(value)
    return found


def _changes(instance: Any, before: dict[str, float]) -> Iterator[LostState]:
    now = _held(instance)
    cls: Any = type(instance)
    for name, start in before.items():
        if name in now and now[name] != start:
            yield LostState(
                dependency=cls.__qualname__.rpartition("<locals>.")[2],
                attribute=name,
                before=start,
                after=now[name],
                entries=type(object.__getattribute__(instance, "__dict__").get(name)) is dict,
                location=resolve(*_counted(cls)[name]).location,
            )


@functools.lru_cache(maxsize=512)
def _counted(cls: Any) -> dict[str, Site]:
    """Find the attributes that methods count up (``+=``) or fill (``[...] =``), and where.

    What the caller hands to the class begins with the request's own value and is left out.
    """
    functions = [value for value in vars(cls).values() if type(value) is FunctionType]
    if not any(USER_CODE.kind(f.__code__.co_filename) == USER for f in functions):
        return {}
    given = {
        name
        for f in functions
        if f.__name__ in _MAKERS
        for name in f.__code__.co_varnames[: f.__code__.co_argcount]
    }
    found: dict[str, Site] = {}
    for function in functions:
        if function.__name__ not in _MAKERS:
            for name, offset in _counts_in(function):
                if name not in given:
                    found.setdefault(name, (function.__code__, offset))
    return found


def _counts_in(function: FunctionType) -> Iterator[tuple[str, int]]:
    read: dict[int, list[str]] = {}
    added: set[int] = set()
    for this in dis.get_instructions(function):
        line = this.positions.lineno if this.positions is not None else None
        if line is None:
            continue
        if this.opname in {"LOAD_ATTR", "LOAD_METHOD"}:
            read.setdefault(line, []).append(this.argval)
        elif this.opname == "BINARY_OP" and this.argrepr in {"+=", "-="}:
            added.add(line)
        elif this.opname == "STORE_ATTR" and line in added and this.argval in read.get(line, ()):
            yield this.argval, this.offset
        elif this.opname == "STORE_SUBSCR":
            yield from ((name, this.offset) for name in read.get(line, ()))
