"""Makes up a value for what is declared, to show what a right body looks like.

Nothing is validated here: that would run the application's validators. Bounds, enumerations,
formats and given examples are followed; a text with a pattern is only as good as the pattern is
simple.
"""

import datetime as dt
import decimal
import enum
import ipaddress
import math
import types
import typing
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from fastapi_diagnostics.collectors.names import type_text
from fastapi_diagnostics.redaction import is_secret_name

MAX_TEXT: Final = 4000
"""Characters of an example; a longer one is left out."""
_MAX_DEPTH: Final = 6
_MAX_LENGTH: Final = 40
_UNKNOWN: Final = "…"

_BY_TYPE: Final[dict[Any, Any]] = {
    bool: True,
    int: 1,
    float: 1.5,
    str: "text",
    bytes: "text",
    decimal.Decimal: "1.50",
    uuid.UUID: "6f1c2b1e-8f0a-4f64-9c3e-0d8c5a1b2e3f",
    dt.datetime: "2026-01-31T12:00:00Z",
    dt.date: "2026-01-31",
    dt.time: "12:00:00",
    dt.timedelta: "PT1H",
    ipaddress.IPv4Address: "192.0.2.1",
    ipaddress.IPv6Address: "2001:db8::1",
    Any: _UNKNOWN,
}
_BY_NAME: Final = {
    "EmailStr": "name@example.org",
    "NameEmail": "name@example.org",
    "HttpUrl": "https://example.org/",
    "AnyUrl": "https://example.org/",
    "AnyHttpUrl": "https://example.org/",
    "SecretStr": "text",
    "PastDate": "2000-01-31",
    "FutureDate": "2100-01-31",
    "PastDatetime": "2000-01-31T12:00:00Z",
    "FutureDatetime": "2100-01-31T12:00:00Z",
}
_WORDS: Final = (
    ("ge", ">= {}"),
    ("gt", "> {}"),
    ("le", "<= {}"),
    ("lt", "< {}"),
    ("multiple_of", "a multiple of {}"),
    ("min_length", "length >= {}"),
    ("max_length", "length <= {}"),
    ("pattern", "matches {}"),
)


def constraints_of(metadata: Iterable[Any]) -> tuple[str, ...]:
    """Write the bounds in ``Annotated`` or in a field's metadata as people do."""
    bounds = _bounds(metadata)
    return tuple(
        text.format(str(bounds[name])[:80]) for name, text in _WORDS if bounds.get(name) is not None
    )


def as_json(value: Any) -> str:
    """Write an example; empty where it is too long or cannot be written."""
    try:
        text = msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return ""
    return text if len(text) <= MAX_TEXT else ""


def root_of(model: Any) -> Any:
    """Give the one field of a ``RootModel``, which is sent without a name; `None` for others."""
    if not getattr(model, "__pydantic_root_model__", False):
        return None
    return model.model_fields.get("root")


class Sampling:
    """Makes examples; *declared* lists the fields of a model class.

    Args:
        declared: Gives name and field information of each field of a model class.
        models: Gives the classes with fields that an annotation itself names.
        alias: Gives the name under which a field is looked for.
    """

    def __init__(self, declared: Any, is_model: Any, alias: Any) -> None:
        self._declared = declared
        self._is_model = is_model
        self._alias = alias

    def of_field(self, name: str, info: Any, within: tuple[Any, ...] = ()) -> Any:
        """Make an example for a parameter or a field."""
        given = getattr(info, "examples", None)
        if isinstance(given, list) and given and not is_secret_name(name):
            return given[0]
        metadata = getattr(info, "metadata", ())
        return self._of(getattr(info, "annotation", None), metadata, within)

    def of_model(self, model: Any, within: tuple[Any, ...] = ()) -> dict[str, Any]:
        """Make an object with every required field of a model class."""
        inside = (*within, model)
        return {
            self._alias(info, name): self.of_field(name, info, inside)
            for name, info in self._declared(model)
            if info.is_required()
        }

    def _of(self, annotation: Any, metadata: Iterable[Any], within: tuple[Any, ...]) -> Any:
        if type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        if typing.get_origin(annotation) is typing.Annotated:
            annotation, *inner = typing.get_args(annotation)
            metadata = (*metadata, *inner)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if self._is_model(annotation):
            stop = annotation in within or len(within) > _MAX_DEPTH
            root = root_of(annotation)
            if root is not None and not stop:
                return self.of_field("root", root, (*within, annotation))
            return {} if stop else self.of_model(annotation, within)
        if origin in {typing.Union, types.UnionType}:
            first = next((a for a in arguments if a is not type(None)), None)
            return self._of(first, metadata, within)
        if origin is typing.Literal:
            return _plain(arguments[0])
        if origin is not None:
            return self._container(origin, arguments, metadata, within)
        return _scalar(annotation, _bounds(metadata))

    def _container(
        self, origin: Any, arguments: tuple[Any, ...], metadata: Iterable[Any], within: Any
    ) -> Any:
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {}
        if not arguments:
            return _UNKNOWN
        if origin is tuple and arguments[-1] is not ...:
            return [self._of(argument, (), within) for argument in arguments]
        if any(argument in within for argument in arguments):
            return []  # a model that holds itself
        bounds = _bounds(metadata)
        most = bounds.get("max_length")
        wanted = max(1 if most is None else min(1, most), bounds.get("min_length") or 0)
        return [self._of(arguments[0], (), within)] * min(wanted, _MAX_LENGTH)


def _scalar(annotation: Any, bounds: dict[str, Any]) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return next((_plain(member.value) for member in annotation), _UNKNOWN)
    named = _BY_NAME.get(type_text(annotation)) or _BY_NAME.get(getattr(annotation, "__name__", ""))
    if named is not None:
        return named
    value = next(
        (v for cls, v in _BY_TYPE.items() if annotation is cls), _BY_TYPE.get(_base(annotation))
    )
    if value is None:
        return [] if annotation in {list, set, tuple} else {} if annotation is dict else _UNKNOWN
    if isinstance(value, str) and annotation is str:
        return _text(bounds)
    if annotation in {int, float, decimal.Decimal}:
        return _number(annotation, bounds)
    return value


def _base(annotation: Any) -> Any:
    bases = annotation.__mro__ if isinstance(annotation, type) else ()
    return next((base for base in bases if base in _BY_TYPE), None)


def _text(bounds: dict[str, Any]) -> str:
    if bounds.get("pattern") is not None:
        return _UNKNOWN
    text = "text"
    least, most = bounds.get("min_length") or 0, bounds.get("max_length")
    while len(text) < min(least, _MAX_LENGTH):
        text += "text"
    return text if most is None else text[: max(most, least)]


def _number(cls: type, bounds: dict[str, Any]) -> Any:
    try:
        value = _within(bounds, whole=cls is int)
    except (TypeError, ValueError, OverflowError, ArithmeticError):
        return 1
    return str(value) if cls is decimal.Decimal else value


def _within(bounds: dict[str, Any], *, whole: bool) -> Any:
    """Find a number between the bounds, near one."""
    step = bounds.get("multiple_of")
    least, above = bounds.get("ge"), bounds.get("gt")
    most, below = bounds.get("le"), bounds.get("lt")
    low = max((float(b) for b in (least, above) if b is not None), default=None)
    high = min((float(b) for b in (most, below) if b is not None), default=None)
    value = 1.0 if whole else 1.5
    if low is not None and (value < low or (above is not None and value <= float(above))):
        value = low + 1 if high is None or low + 1 < high else (low + high) / 2
        value = low if least is not None and low == float(least) else value
    if high is not None and (value > high or (below is not None and value >= float(below))):
        value = high - 1 if low is None or high - 1 > low else (low + high) / 2
        value = high if most is not None and high == float(most) else value
    if step:
        value = math.ceil(value / float(step)) * float(step)
    return int(value) if whole or float(value).is_integer() else value


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _bounds(metadata: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in _flat(metadata):
        for name, _ in _WORDS:
            value = getattr(item, name, None)
            if value is not None:
                found[name] = getattr(value, "pattern", value)
    return found


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    for item in metadata:
        yield item
        yield from _flat(getattr(item, "metadata", ()) or ())
