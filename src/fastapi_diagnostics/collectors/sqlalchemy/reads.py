"""Notes that a relationship was read: only of those that some statement loaded eagerly.

The class of such an attribute is swapped for one that counts; all others stay as they are. What
goes past the attribute is seen where it can be: ``jsonable_encoder`` and pickling.
"""

import sys
from collections.abc import Callable
from functools import lru_cache
from itertools import count
from types import CodeType, FunctionType
from typing import Any, Final
from weakref import WeakKeyDictionary

from fastapi_diagnostics.callsite import USER, USER_CODE, unwrapped
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.faults import FAULTS

_serial: Final = count(1)
_last_read: Final[dict[int, int]] = {}
"""When each attribute (by identity) was read last, as a number that grows with every read."""
_last_found: Final[dict[int, int]] = {}
"""The same of those reads that gave an object, or a collection with objects in it."""
_watched: Final["WeakKeyDictionary[Any, tuple[int, ...]]"] = WeakKeyDictionary()
_swapped: Final[list[Any]] = []
_installation: Final[list[object]] = [object()]
_GENERIC: Final = frozenset({"__dict__", "vars"})


def install(hooks: Hooks) -> None:
    """See reads of whole objects, and put the attributes back when all is undone."""
    from sqlalchemy.orm.state import InstanceState  # noqa: PLC0415 - only once it is there

    hooks.on_undo(_forget)
    hooks.replace(InstanceState, "__getstate__", _pickled)
    encoders = sys.modules.get("fastapi.encoders")
    if encoders is not None and "vars" not in vars(encoders):
        encoders.vars = _encoded  # type: ignore[attr-defined]  # found before the builtin
        hooks.on_undo(lambda: vars(encoders).pop("vars", None))


def stamp() -> int:
    """Give a number that every later read exceeds."""
    return next(_serial)


def watching() -> object:
    """Give what stands for this installation; attributes watched under another one are not."""
    return _installation[0]


def read_since(moment: int, attributes: tuple[int, ...]) -> bool:
    """Tell whether anybody read one of the attributes after a `stamp`."""
    return any(_last_read.get(attribute, 0) > moment for attribute in attributes)


def found_since(moment: int, attributes: tuple[int, ...]) -> bool:
    """Tell whether such a read gave anything."""
    return any(_last_found.get(attribute, 0) > moment for attribute in attributes)


def watch(relationship: Any) -> tuple[int, ...]:
    """Count reads of a relationship from now on.

    Returns:
        Identities of its attribute and of those that the loaded objects may serve as well: a
        many-to-one to the same class finds them in the session without a statement.
    """
    known = _watched.get(relationship)
    if known is None:
        found = [*_attributes(relationship)]
        for other in _to_same_class(relationship):
            found += _attributes(other)
        for attribute in found:
            _swap(attribute)
        known = _watched[relationship] = tuple(id(attribute) for attribute in found)
    return known


@lru_cache(maxsize=4096)
def looks_inside(code: CodeType) -> bool:
    """Tell whether a function mentions ``__dict__`` or ``vars``: it may read what nobody sees."""
    return not _GENERIC.isdisjoint(code.co_names) or any(
        looks_inside(inner) for inner in code.co_consts if isinstance(inner, CodeType)
    )


@lru_cache(maxsize=1000)
def class_looks_inside(cls: type) -> bool:
    """Tell the same of the methods that the user wrote for a mapped class."""
    return any(
        looks_inside(function.__code__)
        for base in cls.__mro__
        for member in vars(base).values()
        if isinstance(function := unwrapped(getattr(member, "fget", member)), FunctionType)
        and USER_CODE.kind(function.__code__.co_filename) == USER
    )


def _attributes(relationship: Any) -> list[Any]:
    mappers = relationship.parent.self_and_descendants
    held = (vars(mapper.class_).get(relationship.key) for mapper in mappers)
    return [attribute for attribute in held if type(attribute) in {_plain(), _counting()}]


def _to_same_class(relationship: Any) -> list[Any]:
    target = relationship.mapper.base_mapper
    return [
        other
        for mapper in relationship.parent.registry.mappers
        for other in mapper.relationships
        if not other.uselist and other is not relationship and other.mapper.base_mapper is target
    ]


def _swap(attribute: Any) -> None:
    if type(attribute) is _plain():
        attribute.__class__ = _counting()
        _swapped.append(attribute)


@lru_cache(maxsize=1)
def _plain() -> type:
    from sqlalchemy.orm.attributes import InstrumentedAttribute  # noqa: PLC0415

    return InstrumentedAttribute


@lru_cache(maxsize=1)
def _counting() -> type:
    plain: Any = _plain()
    read: Callable[..., Any] = plain.__get__

    class CountingAttribute(plain):  # type: ignore[misc]  # known at run time only
        """A mapped attribute that notes when it is read."""

        __slots__ = ()
        inherit_cache = True  # as the plain one: else SQLAlchemy would compile queries anew

        def __get__(self, instance: Any, owner: Any) -> Any:
            if instance is None:
                return read(self, instance, owner)
            _last_read[id(self)] = next(_serial)
            value = read(self, instance, owner)
            _note_found(self, value)
            return value

    return CountingAttribute


def _note_found(attribute: Any, value: Any) -> None:
    # Other collections may run code of the user's when asked how long they are.
    empty = type(value) in _collections() and not len(value)
    if value is not None and not empty:
        _last_found[id(attribute)] = next(_serial)


@lru_cache(maxsize=1)
def _collections() -> frozenset[type]:
    from sqlalchemy.orm import collections  # noqa: PLC0415 - only once it is there

    return frozenset({collections.InstrumentedList, collections.InstrumentedSet})


def _forget() -> None:
    for attribute in _swapped:
        attribute.__class__ = _plain()
    _swapped.clear()
    _watched.clear()
    _last_read.clear()
    _last_found.clear()
    _installation[0] = object()


def _all_read(instance: Any) -> None:
    """Count every relationship that an object holds: somebody takes it as a whole."""
    cls = type(instance)
    for key, value in tuple(vars(instance).items()):
        attribute = getattr(cls, key, None)
        if type(attribute) is _counting():
            _last_read[id(attribute)] = next(_serial)
            _note_found(attribute, value)


def _pickled(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def __getstate__(self: Any) -> Any:  # noqa: N807
        if _swapped:
            try:
                instance = self.obj()
                if instance is not None:
                    _all_read(instance)
            except Exception as error:  # noqa: BLE001 - ours, contained
                FAULTS.note("sql.pickled", error)
        return original(self)

    return __getstate__


def _encoded(*arguments: Any) -> dict[str, Any]:
    """Stand for ``vars`` in ``fastapi.encoders``, where it takes objects it does not know."""
    taken: dict[str, Any] = vars(*arguments)  # of what has none this raises, as without us
    if arguments and _swapped:
        try:
            _all_read(arguments[0])
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("sql.encoded", error)
    return taken
