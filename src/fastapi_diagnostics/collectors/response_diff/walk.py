"""Compares what an endpoint returned with what went out, guided by the response model.

First the raw value is walked along the model's shape: a key that no field of a model without
extra fields accepts is a candidate. Only if there are any is the output read, to see each of them
missing there.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, TypeAlias

import pydantic_core

from fastapi_diagnostics.collectors.response_diff.declared import FieldShape, excluded_by_class
from fastapi_diagnostics.collectors.response_diff.near_names import is_near
from fastapi_diagnostics.collectors.response_diff.shapes import (
    ListShape,
    MapShape,
    ModelShape,
    Shape,
    UnionShape,
    class_shape,
)
from fastapi_diagnostics.collectors.response_diff.values import (
    Source,
    is_cached,
    relationships_of,
    root_content,
    unset_names,
    values_of,
)

MAX_NODES: Final = 300
MAX_DEPTH: Final = 6
MAX_CANDIDATES: Final = 500
LIST_HEAD: Final = 4
MAP_HEAD: Final = 5
WHOLE_BYTES: Final = 32 * 1024
"""JSON up to this size is read as a whole (some 100 µs); of longer ones only the head."""
HEAD_BYTES: Final = 4 * 1024
Steps: TypeAlias = tuple[Any, ...]
"""How to get to a place in the output: list positions, and the names a field may go out under."""

_MISSING: Final = object()


class Candidate:
    """A key of the raw value that no field accepts."""

    __slots__ = ("key", "near", "owner", "path", "relationship", "shape", "source", "steps", "type")

    def __init__(  # noqa: PLR0913 - one thing each, by keyword
        self,
        *,
        path: str,
        key: str,
        steps: Steps,
        source: Source,
        owner: type,
        shape: ModelShape,
        value: Any,
        near: str | None,
        relationship: bool,
    ) -> None:
        self.path = path
        self.key = key
        self.steps = steps
        self.source: Source = source
        self.owner = owner
        self.shape = shape
        self.type = type(value)
        self.near = near
        self.relationship = relationship


class Walk:
    """One walk over one raw value.

    Args:
        shape: Of the response model.
        ignored: Names that the route itself excludes at the top level.
    """

    def __init__(self, shape: Shape, ignored: frozenset[str] = frozenset()) -> None:
        self._shape = shape
        self._ignored = ignored
        self._nodes = 0
        self.found: list[Candidate] = []

    def over(self, raw: Any, path: str = "") -> list[Candidate]:
        """Collect the candidates of *raw*; *path* is put before theirs."""
        self._visit(raw, self._shape, path, ())
        return self.found

    def _visit(self, raw: Any, shape: Shape, path: str, steps: Steps) -> None:
        self._nodes += 1
        if raw is None or self._nodes > MAX_NODES or len(steps) > 2 * MAX_DEPTH:
            return
        if isinstance(shape, ModelShape):
            if shape.root is not None:
                self._visit(root_content(raw), shape.root, path, steps)
            else:
                self._visit_model(raw, shape, path, steps)
        elif isinstance(shape, ListShape):
            for position, item, inner in _items(raw, shape):
                self._visit(item, inner, f"{path}[]", (*steps, position))
        elif isinstance(shape, MapShape):
            if issubclass(type(raw), dict):
                for key in islice(dict.keys(raw), MAP_HEAD):
                    value = dict.__getitem__(raw, key)
                    self._visit(value, shape.value, _joined(path, "*"), (*steps, (str(key), key)))
        elif isinstance(shape, UnionShape):
            self._visit_union(raw, shape, path, steps)

    def _visit_union(self, raw: Any, shape: UnionShape, path: str, steps: Steps) -> None:
        cls: Any = type(raw)
        inner = class_shape(cls) if cls in shape.members else shape.member_for(raw)
        if inner is not None:
            self._visit(raw, inner, path, steps)

    def _visit_model(self, raw: Any, shape: ModelShape, path: str, steps: Steps) -> None:
        values, source = values_of(raw)
        if values is None:
            return
        # A table of SQLModel can be its own response model, which leaves its relationships out.
        if (type(raw) is not shape.cls or source == "orm") and len(self.found) < MAX_CANDIDATES:
            self._compare(raw, values, source, shape, path=path, steps=steps)
        for field, inner in shape.nested():
            value = _value_of(field, values, source)
            if value is not _MISSING:
                self._visit(value, inner, _joined(path, field.sent[0]), (*steps, field.sent))

    def _compare(
        self,
        raw: Any,
        values: dict[Any, Any],
        source: Source,
        shape: ModelShape,
        *,
        path: str,
        steps: Steps,
    ) -> None:
        extra = [key for key in values if key not in shape.known]
        if source == "dict":
            extra += _refused_names(shape, values)
        elif extra:
            extra.sort()  # an object's __dict__ has the order in which things were loaded
        if not extra:
            return
        cls = type(raw)
        relationships: frozenset[str] = frozenset()
        if source == "orm":
            relationships = relationships_of(cls)  # type: ignore[arg-type] # mypy: no class is hashable
        excluded = excluded_by_class(cls) if source == "object" else frozenset()
        unset = unset_names(raw, values) if source == "object" else frozenset()
        for key in extra:
            if not isinstance(key, str) or key in excluded or key in unset:
                continue
            if source != "dict" and (key.startswith("_") or is_cached(cls, key)):
                continue
            if source == "orm" and _says_nothing(key, values[key], shape, cls, relationships):
                continue
            if not steps and key in self._ignored:
                continue
            self.found.append(
                Candidate(
                    path=_joined(path, key),
                    key=key,
                    steps=steps,
                    source=source,
                    owner=cls,
                    shape=shape,
                    value=values[key],
                    near=_near(key, shape, values, cls),
                    relationship=key in relationships,
                )
            )


def _says_nothing(
    key: str, value: Any, shape: ModelShape, cls: type, relationships: frozenset[str]
) -> bool:
    """Pass over an empty relationship, and what else a table that is its own model holds."""
    return value is None if key in relationships else cls is shape.cls


def confirmed(candidates: list[Candidate], sent: Any) -> Iterator[Candidate]:
    """Keep the candidates that are really missing from what went out, where that can be seen."""
    output = _loaded(sent)
    for candidate in candidates:
        holder = _at(output, candidate.steps)
        if isinstance(holder, dict) and candidate.key not in holder:
            yield candidate


def _refused_names(shape: ModelShape, values: dict[Any, Any]) -> list[str]:
    """Find fields given by their Python name where only the alias is accepted."""
    return [
        field.name
        for field in shape.fields
        if field.name not in field.keys
        and field.name in values
        and not any(key in values for key in field.keys)
        and not any(field.name in other.keys for other in shape.fields)
    ]


def _value_of(field: FieldShape, values: dict[Any, Any], source: Source) -> Any:
    for name in field.keys if source == "dict" else field.known:
        if name in values:
            return values[name]
    return _MISSING


def _near(key: str, shape: ModelShape, values: dict[Any, Any], owner: type) -> str | None:
    """Find a declared field that got nothing and whose name is close to *key*."""
    for field in shape.fields:
        if any(name in values for name in field.keys) or _computes(owner, field.name):
            continue
        if field.name == key or any(is_near(key, name) for name in field.keys):
            return field.sent[0]
    return None


def _computes(owner: type, name: str) -> bool:
    """Tell whether objects of a class have an attribute that is not in their ``__dict__``."""
    return not issubclass(owner, dict) and any(name in vars(base) for base in owner.__mro__)


def _items(raw: Any, shape: ListShape) -> Iterator[tuple[int, Any, Shape]]:
    """Give the first items and the last one with their shapes."""
    base: Any = next((kind for kind in (list, tuple) if issubclass(type(raw), kind)), None)
    if base is None:
        return
    length = base.__len__(raw)
    positions = (*range(min(length, LIST_HEAD)), *((length - 1,) if length > LIST_HEAD else ()))
    for position in positions:
        inner = shape.items[min(position, len(shape.items) - 1)]
        if inner is not None:
            yield position, base.__getitem__(raw, position), inner


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _loaded(sent: Any) -> Any:
    if not isinstance(sent, bytes | bytearray):
        return sent
    if len(sent) <= WHOLE_BYTES:
        return pydantic_core.from_json(sent)
    return pydantic_core.from_json(bytes(sent[:HEAD_BYTES]), allow_partial=True)


def _at(output: Any, steps: Steps) -> Any:
    place = output
    for step in steps:
        if isinstance(step, int):
            if not isinstance(place, list | tuple) or step >= len(place):
                return None
            place = place[step]
        else:
            if not isinstance(place, dict):
                return None
            place = next((place[name] for name in step if name in place), None)
    return place
