"""What an endpoint declares that it wants: parameters and body fields, read from its dependant."""

import dataclasses
import typing
import weakref
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from fastapi import params
from pydantic import AliasChoices, AliasPath, BaseModel

from fastapi_diagnostics.collectors.fastapi import private
from fastapi_diagnostics.collectors.fastapi.samples import (
    Sampling,
    as_json,
    constraints_of,
    root_of,
)
from fastapi_diagnostics.collectors.names import type_text
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import ExpectedField

MAX_FIELDS = 200
_MAX_DEPTH = 6
_MAX_REMEMBERED = 512
_KINDS = (
    ("path", "path_params"),
    ("query", "query_params"),
    ("header", "header_params"),
    ("cookie", "cookie_params"),
)


class Expectation(msgspec.Struct, frozen=True):
    """What one route wants; the attributes are those of `Rejection`."""

    fields: tuple[ExpectedField, ...] = ()
    expects: Literal["json", "form", "none"] = "none"
    body_parameters: tuple[str, ...] = ()
    embedded: bool = False
    takes_request: bool = False
    example: str = ""


_remembered: dict[int, tuple[Any, Expectation]] = {}


def expectation(route: Any) -> Expectation:
    """Read what a route declares; remembered, without keeping the route alive."""
    if getattr(route, "dependant", None) is None:
        return Expectation()
    entry = _remembered.get(id(route))
    if entry is not None and entry[0]() is route:
        return entry[1]
    found = _read(route)
    if len(_remembered) >= _MAX_REMEMBERED:
        _remembered.clear()
    try:
        _remembered[id(route)] = (weakref.ref(route), found)
    except TypeError:
        return found
    return found


def _read(route: Any) -> Expectation:
    dependants = list(_flat(route.dependant))
    body = _distinct(p for dependant in dependants for p in dependant.body_params)
    embedded = private.embeds_body(route)
    fields = [
        field
        for kind, attribute in _KINDS
        for field in _parameter_fields(
            kind, _distinct(p for d in dependants for p in getattr(d, attribute))
        )
    ]
    for parameter in body:
        fields += _body_fields(parameter, embedded=embedded)
    return Expectation(
        fields=tuple(fields[:MAX_FIELDS]),
        expects=_expects(body),
        body_parameters=tuple(_alias(p.field_info, p.name) for p in body),
        embedded=embedded,
        takes_request=any(_takes_request(dependant) for dependant in dependants),
        example=_example(body, embedded=embedded),
    )


def _example(body: list[Any], *, embedded: bool) -> str:
    """Write a body with every required value; empty if no JSON is read."""
    if _expects(body) != "json":
        return ""
    sampling = Sampling(_declared, _is_model, _alias)
    with FAULTS.contained("fastapi.example"):
        if not embedded:
            return as_json(sampling.of_field(body[0].name, body[0].field_info))
        return as_json(
            {
                _alias(p.field_info, p.name): sampling.of_field(p.name, p.field_info)
                for p in body
                if p.field_info.is_required()
            }
        )
    return ""


def _takes_request(dependant: Any) -> bool:
    return bool(dependant.request_param_name or dependant.http_connection_param_name)


def _expects(body: list[Any]) -> Literal["json", "form", "none"]:
    if not body:
        return "none"
    return "form" if any(isinstance(p.field_info, params.Form) for p in body) else "json"


def _flat(dependant: Any, depth: int = 0) -> Iterator[Any]:
    yield dependant
    for inner in dependant.dependencies if depth < 20 else ():  # noqa: PLR2004 - a broken tree
        yield from _flat(inner, depth + 1)


def _distinct(parameters: Iterator[Any]) -> list[Any]:
    return list({p.name: p for p in parameters}.values())


def _parameter_fields(kind: str, parameters: list[Any]) -> Iterator[ExpectedField]:
    """A single parameter that is a model stands for its fields."""
    model = _models(parameters[0].field_info.annotation) if len(parameters) == 1 else []
    if model:
        for field in _model_fields(model[0], (kind,), ()):
            dashed = field.path[-1].replace("_", "-") if kind == "header" else field.path[-1]
            yield msgspec.structs.replace(field, path=(*field.path[:-1], dashed))
        return
    for parameter in parameters:
        yield _field(parameter.name, parameter.field_info, (kind,))


def _body_fields(parameter: Any, *, embedded: bool) -> Iterator[ExpectedField]:
    info = parameter.field_info
    if embedded:
        own = _field(parameter.name, info, ("body",))
        yield own
        yield from _inner_fields(info.annotation, own.path, ())
    else:
        whole = _field(parameter.name, info, ())
        yield msgspec.structs.replace(whole, path=("body",))
        yield from _inner_fields(info.annotation, ("body",), ())


def _inner_fields(
    annotation: Any, path: tuple[str, ...], within: tuple[Any, ...]
) -> Iterator[ExpectedField]:
    if len(path) > _MAX_DEPTH:
        return
    for model in _models(annotation):
        root = root_of(model)
        if model in within:
            continue
        if root is not None:
            yield from _inner_fields(root.annotation, path, (*within, model))
        else:
            yield from _model_fields(model, path, (*within, model))


def _model_fields(
    model: Any, path: tuple[str, ...], within: tuple[Any, ...]
) -> Iterator[ExpectedField]:
    for name, info in _declared(model):
        field = _field(name, info, path)
        yield field
        yield from _inner_fields(getattr(info, "annotation", None), field.path, within)


def _declared(model: Any) -> Iterator[tuple[str, Any]]:
    if issubclass(model, BaseModel):
        yield from model.model_fields.items()
        return
    hints = typing.get_type_hints(model)
    if not dataclasses.is_dataclass(model):  # a TypedDict
        for name, hint in hints.items():
            yield name, _Plain(hint, name in getattr(model, "__required_keys__", ()))
        return
    for field in dataclasses.fields(model):
        required = field.default is field.default_factory is dataclasses.MISSING
        yield field.name, _Plain(hints.get(field.name, Any), required)


class _Plain:
    """Looks like pydantic's FieldInfo for a field that has none."""

    validation_alias = alias = None

    def __init__(self, annotation: Any, required: bool) -> None:  # noqa: FBT001 - as it is asked
        self.annotation = annotation
        self._required = required

    def is_required(self) -> bool:
        return self._required


def _models(annotation: Any) -> list[Any]:
    """Find the classes with fields in an annotation: of its items, of its alternatives."""
    origin = typing.get_origin(annotation)
    if origin is None or _is_model(annotation):
        return [annotation] if _is_model(annotation) else []
    if origin is typing.Annotated:
        return _models(typing.get_args(annotation)[0])
    if isinstance(origin, type) and issubclass(origin, dict):
        return []  # its keys would be parts of the path
    return [model for argument in typing.get_args(annotation) for model in _models(argument)]


def _is_model(annotation: Any) -> bool:
    """Tell a class with fields; a generic alias of one is none."""
    return isinstance(annotation, type) and (
        issubclass(annotation, BaseModel)
        or dataclasses.is_dataclass(annotation)
        or typing.is_typeddict(annotation)
    )


def _field(name: str, info: Any, path: tuple[str, ...]) -> ExpectedField:
    annotation = getattr(info, "annotation", None)
    required = bool(info.is_required())
    return ExpectedField(
        path=(*path, _alias(info, name)),
        name=name,
        type=type_text(annotation),
        required=required,
        constraints=constraints_of(getattr(info, "metadata", ())),
    )


def _alias(info: Any, name: str) -> str:
    """Give the name under which a value is looked for, as pydantic writes it into ``loc``."""
    for alias in (getattr(info, "validation_alias", None), getattr(info, "alias", None)):
        choice = alias.choices[0] if isinstance(alias, AliasChoices) else alias
        first = choice.path[0] if isinstance(choice, AliasPath) else choice
        if isinstance(first, str):
            return first
    return name
