"""Classes that are used as dependencies, each made in a worker thread, mostly for nothing.

FastAPI calls whatever is no coroutine function in a thread, and so every class.
"""

import dis
from collections.abc import Iterable, Iterator
from types import FunctionType
from typing import Any, Final

from fastapi_diagnostics.app_record import ThreadClass
from fastapi_diagnostics.collectors.application.pydantic_models import is_model
from fastapi_diagnostics.collectors.application.text import Sources

_PURE: Final = frozenset(
    {"abs", "bool", "dict", "float", "frozenset", "int", "isinstance", "len", "list", "max", "min"}
    | {"round", "set", "sorted", "str", "sum", "tuple"}
)
_PURE_METHODS: Final = frozenset({"casefold", "lower", "lstrip", "rstrip", "strip", "upper"})
_HARMLESS: Final = {
    "LOAD_GLOBAL": _PURE,
    "LOAD_ATTR": _PURE_METHODS,
    "LOAD_METHOD": _PURE_METHODS,
}
_CALLS: Final = frozenset({"CALL", "CALL_FUNCTION_EX", "CALL_KW"})


def thread_classes(calls: Iterable[Iterable[Any]], sources: Sources) -> Iterator[ThreadClass]:
    """List the user's own classes among dependencies.

    Args:
        calls: For each route all that it depends on.
        sources: Of the user's files.
    """
    routes: dict[type, int] = {}
    for of_route in calls:
        for call in {id(call): call for call in of_route}.values():
            if isinstance(call, type):
                routes[call] = routes.get(call, 0) + 1
    for cls, count in routes.items():
        place = sources.of_class(cls)
        if place is not None:
            yield ThreadClass(
                name=cls.__qualname__.rpartition("<locals>.")[2],
                location=place,
                routes=count,
                only_stores=only_stores(cls),
            )


def only_stores(cls: type) -> bool:
    """Tell whether making an instance calls nothing that could wait; `False` if in doubt."""
    if is_model(cls):
        return _validates_nothing(cls) and not _own(cls, "__init__")
    if type(cls) is not type or _own(cls, "__new__"):
        return False
    init = _own(cls, "__init__")
    return init is None or (type(init) is FunctionType and _calls_nothing(init))


def _own(cls: type, name: str) -> Any:
    """Give what a class or a base that is neither `object` nor pydantic's defines."""
    bases = (base for base in cls.__mro__ if base is not object)
    held = (base for base in bases if not base.__module__.startswith("pydantic."))
    return next((vars(base)[name] for base in held if name in vars(base)), None)


def _validates_nothing(model: Any) -> bool:
    decorators = model.__pydantic_decorators__
    groups = ("validators", "field_validators", "root_validators", "model_validators")
    return not any(getattr(decorators, group, None) for group in groups)


def _calls_nothing(function: FunctionType) -> bool:
    calls, harmless = 0, 0
    for this in dis.get_instructions(function):
        if this.opname == "IMPORT_NAME":
            return False
        calls += this.opname in _CALLS
        names = _HARMLESS.get(this.opname, frozenset())
        harmless += this.argval in names
    return calls <= harmless
