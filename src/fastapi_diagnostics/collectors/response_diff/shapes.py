"""What a response model looks like from the outside: where models stand in an annotation.

A shape is only made where the answer is certain.
"""

import collections
import collections.abc
import types
import typing
from functools import lru_cache
from typing import Any, Final, TypeAlias, Union, get_args, get_origin

import typing_extensions
from pydantic import RootModel

from fastapi_diagnostics.collectors.response_diff.declared import (
    FieldShape,
    custom,
    declared_fields,
)

_SEQUENCES: Final = frozenset(
    {
        list,
        tuple,
        collections.deque,
        collections.abc.Sequence,
        collections.abc.MutableSequence,
        collections.abc.Collection,
        collections.abc.Iterable,
    }
)
_MAPPINGS: Final = frozenset(
    {dict, collections.abc.Mapping, collections.abc.MutableMapping, collections.OrderedDict}
)
_QUALIFIERS: Final = frozenset(
    {
        typing.Required,
        typing.NotRequired,
        typing_extensions.Required,
        typing_extensions.NotRequired,
        typing_extensions.ReadOnly,
        typing.Final,
    }
)
_TAGS: Final = frozenset({str, int, bool})
_MAX_NESTING: Final = 12


class ModelShape:
    """A pydantic model, a dataclass or a ``TypedDict`` that lets nothing undeclared through.

    Attributes:
        name: Of the class as it is written: for a generic model without its parameters.
        bases: As they stand in the class statement, such as ``BaseModel``.
        root: The shape of a ``RootModel``'s content; `None` for all others.
        known: Names and aliases of all fields, computed ones included.
    """

    __slots__ = ("_nested", "bases", "cls", "fields", "known", "module", "name", "root")

    def __init__(self, cls: type, fields: list[FieldShape], computed: frozenset[str]) -> None:
        written = _written_class(cls)
        self.cls = cls
        self.name = written.__name__
        self.module = written.__module__
        bases = vars(written).get("__orig_bases__", written.__bases__)
        self.bases = ", ".join(type_text(base) for base in bases if base is not object)
        self.fields = fields
        self.known = computed.union(*(field.known for field in fields))
        self.root: Shape | None = None
        self._nested: list[tuple[FieldShape, Shape]] | None = None

    def nested(self) -> "list[tuple[FieldShape, Shape]]":
        """Give the fields that hold models again; made late, since models may be recursive."""
        if self._nested is None:
            shapes = ((field, shape_of(field.annotation)) for field in self.fields)
            self._nested = [
                (field, shape) for field, shape in shapes if shape is not None and not field.opaque
            ]
        return self._nested


class ListShape:
    """A list whose items are models; `items` has more than one only for a fixed tuple."""

    __slots__ = ("items",)

    def __init__(self, items: "tuple[Shape | None, ...]") -> None:
        self.items = items


class MapShape:
    """A mapping whose values are models."""

    __slots__ = ("value",)

    def __init__(self, value: "Shape") -> None:
        self.value = value


class UnionShape:
    """Several classes: an object of exactly one of them tells which one it is, or a tag does.

    Failing that, what no member knows is certain to be removed.
    """

    __slots__ = ("_anyone", "_complete", "members")

    def __init__(self, members: tuple[type, ...], *, complete: bool) -> None:
        self.members = members
        self._complete = complete
        self._anyone: tuple[ModelShape | None] | None = None

    def member_for(self, raw: Any) -> "ModelShape | None":
        """Give the member that a ``dict``'s tag names, else all of them as one."""
        if not self._complete:
            return None
        if type(raw) is dict:
            tagged = [cls for cls in self.members if _tag_fits(cls, raw)]
            if len(tagged) == 1:
                return class_shape(tagged[0])
        if self._anyone is None:
            self._anyone = (_anyone(self.members),)
        return self._anyone[0]


Shape: TypeAlias = ModelShape | ListShape | MapShape | UnionShape


def field_shape(info: Any) -> Shape | None:
    """Give the shape of a response field's ``field_info``; `None` where nothing can be said."""
    if custom(getattr(info, "metadata", ())):
        return None
    return shape_of(info.annotation)


def shape_of(annotation: Any, depth: int = 0) -> Shape | None:
    """Give the shape of an annotation; `None` for plain values and wherever it is uncertain."""
    annotation, certain = _bare(annotation)
    if not certain or depth > _MAX_NESTING:
        return None
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin in {Union, types.UnionType}:
        return _union(arguments, depth)
    if origin in _SEQUENCES and arguments:
        return _sequence(origin, arguments, depth)
    if origin in _MAPPINGS and len(arguments) == 2:  # noqa: PLR2004 - key and value
        value = shape_of(arguments[1], depth + 1)
        return None if value is None else MapShape(value)
    if isinstance(annotation, type) and origin is None:
        return class_shape(annotation)
    return None


def _tag_fits(cls: type, raw: dict[Any, Any]) -> bool:
    """Tell whether a ``Literal`` field of a class has the value that came."""
    shape = class_shape(cls)
    tags = [
        (field, get_args(bare))
        for field in (shape.fields if shape is not None else ())
        for bare, certain in (_bare(field.annotation),)
        if certain and get_origin(bare) is typing.Literal
    ]
    return bool(tags) and all(
        # Only plain values are compared: any other would run its own __eq__.
        any(type(raw.get(key)) in _TAGS and raw[key] in allowed for key in field.keys)
        for field, allowed in tags
    )


def _anyone(members: tuple[type, ...]) -> ModelShape | None:
    """Make a model that knows what any member knows; `None` if one of them is opaque."""
    shapes = [class_shape(cls) for cls in members]
    if len(shapes) < 2 or any(shape is None or shape.root is not None for shape in shapes):  # noqa: PLR2004
        return None
    found = ModelShape(members[0], [], frozenset())
    found.name = " or ".join(shape.name for shape in shapes if shape is not None)
    found.bases = ""
    found.known = frozenset().union(*(shape.known for shape in shapes if shape is not None))
    return found


@lru_cache(maxsize=2048)
def class_shape(cls: type) -> ModelShape | None:
    """Give the shape of a class; `None` if it is no model or an opaque one."""
    declared = declared_fields(cls)
    if declared is None:
        return None
    shape = ModelShape(cls, declared.fields, declared.computed)
    if issubclass(cls, RootModel):
        content = declared.fields[0]
        shape.root = None if content.opaque else shape_of(content.annotation)
        return shape if shape.root is not None else None
    return shape


def type_text(annotation: Any) -> str:
    """Write an annotation as people do: ``list[BookOut]``."""
    if annotation is type(None):
        return "None"
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation.__name__
    bare, _ = _bare(annotation)
    origin, arguments = get_origin(bare), get_args(bare)
    if origin in {Union, types.UnionType}:
        return " | ".join(map(type_text, arguments))
    if isinstance(origin, type):
        inner = ", ".join("..." if item is Ellipsis else type_text(item) for item in arguments)
        return f"{origin.__name__}[{inner}]"
    return getattr(bare, "__name__", None) or str(bare).replace("typing.", "")


def _bare(annotation: Any) -> tuple[Any, bool]:
    """Look through ``Annotated``, aliases and qualifiers; ``False`` if one changes the value."""
    for _ in range(_MAX_NESTING):
        origin = get_origin(annotation)
        if origin is typing.Annotated:
            annotation, *metadata = get_args(annotation)
            if custom(metadata):
                return annotation, False
        elif origin in _QUALIFIERS:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation, True
    return annotation, False


def _union(arguments: tuple[Any, ...], depth: int) -> Shape | None:
    members = [item for item in arguments if item is not type(None)]
    if len(members) == 1:
        return shape_of(members[0], depth + 1)
    bare = [_bare(item) for item in members]
    if not all(certain for _, certain in bare):
        return None
    classes = tuple(item for item, _ in bare if isinstance(item, type))
    return UnionShape(classes, complete=len(classes) == len(bare))


def _sequence(origin: Any, arguments: tuple[Any, ...], depth: int) -> Shape | None:
    if origin is tuple and arguments[-1] is not Ellipsis:
        items = tuple(shape_of(item, depth + 1) for item in arguments)
    else:
        items = (shape_of(arguments[0], depth + 1),)
    return ListShape(items) if any(items) else None


def _written_class(cls: type) -> type:
    """Give the class that stands in the source: ``Page`` for ``Page[Book]``."""
    metadata = vars(cls).get("__pydantic_generic_metadata__") or {}
    origin = metadata.get("origin")
    return origin if isinstance(origin, type) else cls
