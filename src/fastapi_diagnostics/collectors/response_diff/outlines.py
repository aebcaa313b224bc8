"""Names what was returned and which declared fields went out: types and paths, never values.

Only names that the response model declares are kept: any other key may be data.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import pydantic_core

from fastapi_diagnostics.collectors.response_diff.shapes import (
    ListShape,
    MapShape,
    ModelShape,
    Shape,
    UnionShape,
    class_shape,
    type_text,
)

MAX_PATHS: Final = 60
MAX_DEPTH: Final = 8
"""Lists count, too: enough for ``data.items[].author.publisher.name``."""
MAX_NODES: Final = 100
HEAD_BYTES: Final = 4 * 1024
"""Of longer JSON only the head is read, some 20 µs: the items of a list have the same keys."""
LIST_HEAD: Final = 3
"""Items that are looked at: what `exclude_none` leaves out of one may be in the next."""
_MAX_TYPES: Final = 3


def returned_type(raw: Any) -> str:
    """Name the type of what an endpoint returned, with that of a list's first items."""
    cls = type(raw)
    for base in (list, tuple):
        if cls is base:
            names = {
                type_text(type(item)): None for item in base.__getitem__(raw, slice(LIST_HEAD))
            }
            inner = " | ".join(list(names)[:_MAX_TYPES])
            return f"{base.__name__}[{inner}]" if inner else base.__name__
    return type_text(cls)


def sent_paths(shape: Shape, sent: Any) -> tuple[str, ...]:
    """List the declared fields that went out, as paths, outermost first.

    Args:
        shape: Of the response model.
        sent: JSON as bytes, or the plain data that will become JSON.
    """
    if isinstance(sent, bytes | bytearray):
        head = bytes(sent[:HEAD_BYTES])
        sent = pydantic_core.from_json(head, allow_partial=len(sent) > HEAD_BYTES)
    found: dict[str, None] = {}
    level: list[tuple[Any, Shape, str]] = [(sent, shape, "")]
    nodes = 0
    for _ in range(MAX_DEPTH):
        following: list[tuple[Any, Shape, str]] = []
        for value, inner, path in level:
            nodes += 1
            if nodes > MAX_NODES or len(found) >= MAX_PATHS:
                return tuple(found)[:MAX_PATHS]
            following += _inside(value, inner, path, found)
        level = following
    return tuple(found)[:MAX_PATHS]


def _inside(
    value: Any, shape: Shape, path: str, found: dict[str, None]
) -> Iterator[tuple[Any, Shape, str]]:
    if isinstance(shape, ModelShape):
        if shape.root is not None:
            yield value, shape.root, path
        elif type(value) is dict:
            yield from _fields(value, shape, path, found)
    elif isinstance(shape, ListShape) and type(value) in {list, tuple}:
        yield from _items(value, shape, path)
    elif isinstance(shape, MapShape) and type(value) is dict:
        for item in islice(value.values(), LIST_HEAD):
            yield item, shape.value, f"{path}.*" if path else "*"
    elif isinstance(shape, UnionShape):
        member = _member_of(shape, value)
        if member is not None:
            yield value, member, path


def _fields(
    value: dict[Any, Any], shape: ModelShape, path: str, found: dict[str, None]
) -> Iterator[tuple[Any, Shape, str]]:
    prefix = f"{path}." if path else ""
    found.update({prefix + key: None for key in value if key in shape.known})
    for field, inner in shape.nested():
        name = next((name for name in field.sent if name in value), None)
        if name is not None:
            yield value[name], inner, prefix + name


def _items(value: Any, shape: ListShape, path: str) -> Iterator[tuple[Any, Shape, str]]:
    for position, item in enumerate(value[:LIST_HEAD]):
        inner = shape.items[min(position, len(shape.items) - 1)]
        if inner is not None:
            yield item, inner, f"{path}[]"


def _member_of(shape: UnionShape, value: Any) -> ModelShape | None:
    """Give the first member of a union that declares all that went out."""
    if type(value) is not dict:
        return None
    members = (class_shape(member) for member in shape.members)
    return next((one for one in members if one is not None and value.keys() <= one.known), None)
