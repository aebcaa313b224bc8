"""Renders any value in a few characters without running the application's code.

Only types of the standard library whose rendering is written in C or known to be harmless are
rendered; of everything else the class is named and nothing read.
"""

import datetime as dt
import decimal
import enum
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from fastapi_diagnostics.redaction.names import is_secret_name
from fastapi_diagnostics.redaction.shapes import REDACTED, is_card_number
from fastapi_diagnostics.redaction.text import cut, redact_within

Mode = Literal["redacted", "none"]

MAX_DEPTH: Final = 6
MAX_ITEMS: Final = 20
_SCANNED: Final = 2048
_MAX_BITS: Final = 512
_BIG: Final = 10**12

_CLASS_NAME = type.__dict__["__name__"].__get__
"""Reads a class's name past whatever its metaclass says."""
_ZONES = (type(None), dt.timezone, ZoneInfo)
_SEQUENCES = (list, tuple, set, frozenset, deque)
_BRACKETS = {list: "[]", tuple: "()", set: "{}", frozenset: "{}", deque: "[]"}


def preview(
    value: object,
    *,
    name: str = "",
    mode: Mode | str = "redacted",
    limit: int = 80,
) -> str:
    """Render a value safely; never raises.

    Args:
        value: Anything; its own ``__repr__`` and the like are not called.
        name: What it is called; a secret's name hides the value.
        mode: ``none`` to tell only type and size.
        limit: Characters of the result.

    Returns:
        Such as ``'abc'``, ``[1, 2, …]``, ``<Author>``, ``<redacted>`` or ``<str, 12 characters>``.
    """
    try:
        if mode == "none":
            return cut(_kind(value), limit)
        if name and is_secret_name(name):
            return REDACTED
        if type(value) is int and -_BIG < value < _BIG:
            return cut(repr(value), limit)  # a key, as most bound values are; no card number
        return cut(_Rendering(limit).of(value, 0), limit)
    except Exception:  # noqa: BLE001 - such as a container that another thread is changing
        return f"<{class_name(value)}>"


def class_name(value: object) -> str:
    """Name the class of *value*, whatever the class says of itself."""
    return redact_within(str(_CLASS_NAME(type(value))), 60, 200)


def plain_scalar(value: Any) -> str | None:
    """Write a number, date or the like exactly; `None` for texts, containers and all others."""
    cls: type = type(value)
    write = _SCALARS.get(cls)
    if write is not None:
        return write(value)
    if issubclass(cls, enum.Enum):
        return f"{class_name(value)}.{object.__getattribute__(value, '_name_')}"
    if issubclass(cls, int):
        return _integer(int.__pos__(value))
    if issubclass(cls, float):
        return float.__repr__(value)
    if issubclass(cls, uuid.UUID) and cls.__module__.startswith("asyncpg."):
        return uuid.UUID.__str__(value)
    return None


class _Rendering:
    """One rendering: stops reading once there is more than fits."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def of(self, value: Any, depth: int, name: str = "") -> str:
        if name and is_secret_name(name):
            return REDACTED
        cls = type(value)
        scalar = plain_scalar(value)
        if scalar is not None:
            text = scalar if not _is_card(value) else REDACTED
        elif issubclass(cls, str):
            text = self._string(str.__str__(value))
        elif issubclass(cls, bytes | bytearray | memoryview):
            return _kind(value)
        elif issubclass(cls, dict):
            return self._mapping(value, depth)
        elif issubclass(cls, _SEQUENCES):
            return self._sequence(value, depth)
        else:
            text = f"<{class_name(value)}>"
        self._left -= len(text)
        return text

    def _string(self, value: str) -> str:
        text = redact_within(value, self._limit, _SCANNED)
        if text == REDACTED:
            return text
        text = text.replace("\n", "\\n").replace("\t", "\\t")
        mark = '"' if "'" in text and '"' not in text else "'"
        return mark + cut(text, self._limit - 2) + mark

    def _mapping(self, value: Any, depth: int) -> str:
        if depth >= MAX_DEPTH:
            return "{…}"
        parts = []
        for key, inner in islice(dict.items(value), MAX_ITEMS):
            if self._left <= 0:
                break
            label = _text_of(key)
            # {"name": "password", "value": …}, as in a list of headers or settings
            named = _pair_name(value) if label == "value" else ""
            parts.append(f"{self.of(key, depth + 1)}: {self.of(inner, depth + 1, named or label)}")
        return self._joined(parts, dict.__len__(value), "{}")

    def _sequence(self, value: Any, depth: int) -> str:
        kind = next(base for base in _SEQUENCES if issubclass(type(value), base))
        marks = _BRACKETS[kind]
        if depth >= MAX_DEPTH:
            return f"{marks[0]}…{marks[1]}"
        size = _LENGTHS[kind](value)
        items = list(islice(kind.__iter__(value), MAX_ITEMS))
        names = _item_names(type(value), items)
        parts = []
        for item, name in zip(items, names, strict=False):
            if self._left <= 0:
                break
            parts.append(self.of(item, depth + 1, name))
        return self._joined(parts, size, marks)

    def _joined(self, parts: list[str], size: int, marks: str) -> str:
        more = ", …" if len(parts) < size else ""
        return f"{marks[0]}{', '.join(parts)}{more}{marks[1]}"


def _item_names(cls: type, items: list[Any]) -> Iterable[str]:
    """Name the items of named tuples, and the second of a pair such as a header."""
    fields = getattr(cls, "_fields", ()) if issubclass(cls, tuple) else ()
    if type(fields) is tuple and len(fields) >= len(items) > 0:
        return [field if type(field) is str else "" for field in fields]
    if len(items) == 2:  # noqa: PLR2004 - a pair
        return ["", _text_of(items[0])]
    return [""] * len(items)


def _pair_name(value: Any) -> str:
    return _text_of(dict.get(value, "name")) or _text_of(dict.get(value, "key"))


def _text_of(value: Any) -> str:
    cls = type(value)
    if issubclass(cls, str):
        return str.__str__(value)
    return value[:256].decode("latin-1") if cls is bytes else ""


def _kind(value: Any) -> str:
    """Tell type and size only."""
    cls = type(value)
    name = class_name(value)
    if value is None:
        return "<None>"
    for base, unit in _UNITS:
        if issubclass(cls, base):
            size = value.nbytes if base is memoryview else _LENGTHS[base](value)
            return f"<{name}, {size} {unit if size != 1 else unit[:-1]}>"
    return f"<{name}>"


_LENGTHS: Final[Mapping[type, Callable[[Any], int]]] = {
    base: base.__len__ for base in (str, bytes, bytearray, dict, *_SEQUENCES)
}
_UNITS: Final[tuple[tuple[type, str], ...]] = (
    (str, "characters"),
    (bytes, "bytes"),
    (bytearray, "bytes"),
    (memoryview, "bytes"),
    (dict, "keys"),
    *((kind, "items") for kind in _SEQUENCES),
)


def _integer(value: int) -> str:
    bits = value.bit_length()
    return repr(value) if bits <= _MAX_BITS else f"<int, {bits} bits>"


def _is_card(value: Any) -> bool:
    cls = type(value)
    if cls is decimal.Decimal:
        digits = str(value)
    elif issubclass(cls, int):
        number = int.__pos__(value)
        digits = repr(number) if _BIG <= number < _BIG**2 else ""
    else:
        return False
    return digits.isdigit() and is_card_number(digits)


def _moment(value: dt.datetime | dt.time) -> str:
    """A time zone of the application's own could run anything."""
    return value.isoformat() if type(value.tzinfo) in _ZONES else f"<{class_name(value)}>"


_SCALARS: Final[Mapping[type, Callable[[Any], str]]] = {
    bool: repr,
    int: _integer,
    float: repr,
    type(None): repr,
    decimal.Decimal: str,
    dt.datetime: _moment,
    dt.time: _moment,
    dt.date: str,
    dt.timedelta: str,
    uuid.UUID: str,
}
