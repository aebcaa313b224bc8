"""Looks at pydantic models: what they still use of pydantic 1, and defaults that are `None`."""

import functools
import sys
import types
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

from fastapi_diagnostics.app_record import ImplicitOptional, OldPydanticUse
from fastapi_diagnostics.callsite import definition
from fastapi_diagnostics.collectors.application.text import Sources
from fastapi_diagnostics.collectors.names import type_text

_PYDANTIC = ("pydantic.", "pydantic_", "fastapi.", "starlette.")


def is_model(value: Any) -> bool:
    """Tell whether something is a model class of pydantic 2; those of ``pydantic.v1`` are not."""
    base = _base_model()
    return base is not None and isinstance(value, type) and issubclass(value, base)


def old_declarations(model: Any, sources: Sources) -> Iterator[OldPydanticUse]:
    """Find ``@validator``, ``@root_validator`` and ``class Config`` in a model's own body."""
    decorators = getattr(model, "__pydantic_decorators__", None)
    for api, group in (("@validator", "validators"), ("@root_validator", "root_validators")):
        for name in getattr(decorators, group, ()):
            place = _own_method(model, name)
            if place is not None:
                yield OldPydanticUse(
                    model=model.__name__,
                    api=api,
                    location=sources.at(place),
                    lines=sources.header(place),
                )
    if isinstance(vars(model).get("Config"), type):
        place = sources.of_class(model, r"class\s+Config\b")
        if place is not None:
            yield OldPydanticUse(
                model=model.__name__,
                api="class Config",
                location=place,
                lines=sources.block(place),
            )


def implicit_fields(model: Any, sources: Sources) -> Iterator[ImplicitOptional]:
    """Find fields such as ``name: str = None`` in a model's own body."""
    if vars(model).get("__table__") is not None:
        return  # a table of SQLModel: its annotation says what the column holds
    if getattr(model, "model_config", {}).get("validate_default"):
        return  # None would be refused, unless a validator makes something of it
    own = vars(model).get("__annotations__", {})
    for name, info in getattr(model, "model_fields", {}).items():
        if name not in own or not is_implicit(info):
            continue
        place = sources.of_class(model, rf"{name}\s*:")
        if place is not None:
            annotation, default = sources.declaration(place, name)
            yield ImplicitOptional(
                owner=model.__name__,
                name=name,
                annotation=annotation or type_text(info.annotation),
                location=place,
                default=default or "None",
                field=True,
            )


def is_implicit(info: Any) -> bool:
    """Tell whether a field's default is `None` and its type is known not to allow that."""
    if info.is_required() or info.default is not None or info.default_factory is not None:
        return False
    if getattr(info, "validate_default", None):
        return False  # refused, unless a validator makes something of it
    # A validator that runs before may make something of it.
    if any(hasattr(item, "func") for item in getattr(info, "metadata", ())):
        return False
    return not _may_be_none(info.annotation)


def _may_be_none(annotation: Any) -> bool:
    if type(annotation).__name__ == "TypeAliasType":
        annotation = annotation.__value__
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _may_be_none(arguments[0]) or any(hasattr(one, "func") for one in arguments[1:])
    if origin in {typing.Union, types.UnionType}:
        return any(map(_may_be_none, arguments))
    if origin is typing.Literal:
        return None in arguments
    return _class_may_be_none(annotation if origin is None else origin)


def _class_may_be_none(cls: Any) -> bool:
    if not isinstance(cls, type) or cls in {object, Any, type(None)}:
        return True  # Any, a type variable, a name that nobody resolved
    if is_model(cls) or issubclass(cls, Enum):
        return False
    # A class with a schema of its own may take anything.
    custom = hasattr(cls, "__get_pydantic_core_schema__")
    return custom and not cls.__module__.startswith(_PYDANTIC)


def models_in(annotation: Any, seen: set[Any]) -> Iterator[type]:
    """Give the model classes that an annotation mentions, and those that their fields mention."""
    for part in (annotation, *typing.get_args(annotation)):
        if part is not annotation:
            yield from models_in(part, seen)
        elif is_model(part) and part not in seen:
            seen.add(part)
            yield part
            for info in part.model_fields.values():
                yield from models_in(info.annotation, seen)


def _own_method(model: Any, name: str) -> Any:
    method = vars(model).get(name)
    return definition(getattr(method, "__func__", method)) if method is not None else None


@functools.lru_cache(maxsize=1)
def _base_model() -> Any:
    module = sys.modules.get("pydantic")
    return getattr(module, "BaseModel", None) if hasattr(module, "TypeAdapter") else None
