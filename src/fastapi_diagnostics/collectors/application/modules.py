"""Which modules belong to the application: those its endpoints come from, and what they import.

So models and mappings that nobody's route mentions are seen as well, and those of another
application in the same process are not.
"""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any, Final

from fastapi_diagnostics.callsite import USER, USER_CODE, unwrapped

MAX_MODULES: Final = 2000
_CODE: Final = (FunctionType, type, type(functools.lru_cache(lambda: None)))
"""Attributes of anything else are not read: that could run code of the application."""


def modules_of(things: Iterable[Any], breathe: Callable[[], None]) -> tuple[ModuleType, ...]:
    """Follow imports from the modules of *things* through the user's code.

    Args:
        things: Functions and classes of the application.
        breathe: Called between two modules.
    """
    found: dict[str, ModuleType] = {}
    waiting = [module for thing in things if (module := module_of(thing)) is not None]
    while waiting and len(found) < MAX_MODULES:
        module = waiting.pop()
        if module.__name__ in found:
            continue
        found[module.__name__] = module
        waiting += (other for other in _imported(module) if other.__name__ not in found)
        breathe()
    return tuple(found.values())


def members(module: ModuleType) -> Iterator[Any]:
    """Give the functions and classes that a module itself defines."""
    for value in tuple(vars(module).values()):
        if isinstance(value, _CODE) and getattr(value, "__module__", None) == module.__name__:
            yield value


def module_of(thing: Any) -> ModuleType | None:
    """Give the user's module that defines something; `None` for library code."""
    target = unwrapped(thing)
    name = getattr(target, "__module__", None) or type(thing).__module__
    module = sys.modules.get(name) if isinstance(name, str) else None
    return module if module is not None and _is_users(module) else None


def _imported(module: ModuleType) -> Iterator[ModuleType]:
    for value in tuple(vars(module).values()):
        if isinstance(value, ModuleType):
            other: ModuleType | None = value
        elif isinstance(value, _CODE):
            other = sys.modules.get(getattr(value, "__module__", None) or "")
        else:
            other = sys.modules.get(type(value).__module__)
        if other is not None and other is not module and _is_users(other):
            yield other


def _is_users(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and USER_CODE.kind(file) == USER
