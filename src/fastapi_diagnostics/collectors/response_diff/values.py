"""Reads what an object holds without running any code of the user's.

No ``getattr`` and no ``isinstance`` on the object (either may run code of its class): what is
looked at is its type, ``__dict__``, the items of a ``dict`` and declared fields.
"""

import dataclasses
import functools
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel

Source: TypeAlias = Literal["dict", "orm", "object"]

_MISSING: Final = object()


def values_of(raw: Any) -> tuple[dict[Any, Any] | None, Source]:
    """Give what an object holds by name, without running any code of the user's.

    Returns:
        The names and values, `None` if they cannot be told; and what held them.
    """
    cls = type(raw)
    if issubclass(cls, dict):
        # A subclass may iterate in its own way.
        return (raw if cls is dict else dict(dict.items(raw))), "dict"
    if mapper_of(cls) is not None:  # type: ignore[arg-type] # mypy: no class is hashable
        return _attributes(raw), "orm"
    if BaseModel in cls.__mro__:
        extra = _slot(raw, "__pydantic_extra__")
        values = _attributes(raw)
        return ({**values, **extra} if values is not None and extra else values), "object"
    if dataclasses.is_dataclass(cls):
        pairs = ((field.name, _slot(raw, field.name)) for field in dataclasses.fields(cls))
        return {name: value for name, value in pairs if value is not _MISSING}, "object"
    if cls.__module__ == "builtins":
        return None, "object"
    return _attributes(raw), "object"


@functools.lru_cache(maxsize=2048)
def mapper_of(cls: type) -> Any:
    """Give the SQLAlchemy mapper of a class; `None` if it is not mapped."""
    for base in cls.__mro__:
        mapper = vars(base).get("__mapper__")
        if mapper is not None:
            return mapper
    return None


@functools.lru_cache(maxsize=2048)
def relationships_of(cls: type) -> frozenset[str]:
    """Name the relationships of a mapped class."""
    return frozenset(mapper_of(cls).relationships.keys())


def attribute_of(cls: type, name: str) -> str:
    """Name a relationship as queries do: ``Author.books``, by the class that declares it."""
    return f"{mapper_of(cls).relationships[name].parent.class_.__name__}.{name}"


def is_read_by_property(cls: type, fields: tuple[str, ...], name: str) -> bool:
    """Tell whether one of *fields* is computed by a property of *cls* that mentions *name*."""
    for field in fields:
        held = next((vars(base)[field] for base in cls.__mro__ if field in vars(base)), None)
        if getattr(held, "target_collection", None) == name:
            return True  # an association proxy
        getter = getattr(held, "fget", None) or getattr(held, "func", None)
        code = getattr(getter, "__code__", None)
        if code is not None and name in code.co_names:
            return True
    return False


def unset_names(raw: Any, values: dict[Any, Any]) -> frozenset[str]:
    """Name what a pydantic object holds only because it has a default."""
    given = _slot(raw, "__pydantic_fields_set__")
    if not isinstance(given, set):
        return frozenset()
    return frozenset(type(raw).model_fields) & frozenset(values) - given


def is_cached(cls: type, name: str) -> bool:
    """Tell whether a name in ``__dict__`` is only the remembered result of a cached property."""
    held = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
    return isinstance(held, functools.cached_property)


def root_content(raw: Any) -> Any:
    """Give what a ``RootModel`` holds; anything else is the content already."""
    if BaseModel in type(raw).__mro__:
        values = _attributes(raw) or {}
        return values.get("root")
    return raw


def _attributes(raw: Any) -> dict[str, Any] | None:
    try:
        values = object.__getattribute__(raw, "__dict__")
    except AttributeError:
        return None
    return values if isinstance(values, dict) else None


def _slot(raw: Any, name: str) -> Any:
    """Read an attribute past any ``__getattr__`` of the user's."""
    try:
        values = object.__getattribute__(raw, "__dict__")
    except AttributeError:
        values = {}
    if name in values:
        return values[name]
    for base in type(raw).__mro__:
        held = vars(base).get(name, _MISSING)
        if type(held).__name__ == "member_descriptor":  # a slot: reading it runs no code
            try:
                return held.__get__(raw)
            except AttributeError:
                return _MISSING
    return _MISSING
