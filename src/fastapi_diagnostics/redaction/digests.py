"""Digests bound values, so that equal ones are recognised and none can be read back."""

import enum
import hashlib
from collections.abc import Iterator
from typing import Any, Final

from fastapi_diagnostics.redaction.values import plain_scalar

_MAX_DEPTH: Final = 8
_PLAIN: Final = frozenset({int, float, bool, type(None)})
_BYTES: Final = frozenset({bytes, bytearray, memoryview})


def values_digest(values: object, key: bytes) -> str:
    """Digest bound values; never raises.

    Values of different types differ: ``1``, ``1.0``, ``True`` and ``"1"`` have four digests.
    A list and a tuple of the same values have one, and so do dictionaries of any order.
    Objects of unknown types are told apart by identity: the same one has the same digest as long
    as it lives, two equal ones have different digests.

    Args:
        values: The parameters of a statement: a list, tuple or mapping.
        key: At most the first 64 bytes are used.

    Returns:
        16 hexadecimal digits.
    """
    try:
        data = _canonical(values, 0)
    except Exception:  # noqa: BLE001 - such as a container that another thread is changing
        data = _identity(values)
    return hashlib.blake2b(data, key=key[:64], digest_size=8).hexdigest()


def _canonical(value: Any, depth: int) -> bytes:
    cls = type(value)
    if cls in _PLAIN:
        return (f"i{value:x}" if cls is int else repr(value)).encode()
    if cls is str:
        data: bytes = value.encode("utf-8", "surrogatepass")
        return b"s%d:" % len(data) + data
    if depth >= _MAX_DEPTH:
        return _identity(value)
    if issubclass(cls, dict):
        pairs = [(_canonical(k, depth + 1), _canonical(v, depth + 1)) for k, v in dict.items(value)]
        return b"{" + b",".join(k + b"=" + v for k, v in sorted(pairs)) + b"}"
    for base in _CONTAINERS:
        if issubclass(cls, base):
            items: Iterator[Any] = base.__iter__(value)
            return _joined([_canonical(item, depth + 1) for item in items], base)
    return _leaf(value)


_CONTAINERS: Final[tuple[type[Any], ...]] = (list, tuple, type({}.values()), set, frozenset)


def _joined(parts: list[bytes], base: type) -> bytes:
    if base in {set, frozenset}:
        return b"<" + b",".join(sorted(parts)) + b">"
    return b"[" + b",".join(parts) + b"]"


def _leaf(value: Any) -> bytes:
    cls = type(value)
    if cls in _BYTES:
        data = bytes(value)
        return b"b%d:" % len(data) + data
    if issubclass(cls, str) and not issubclass(cls, enum.Enum):
        return _canonical(str.__str__(value), 0)
    text = plain_scalar(value)
    if text is None or text.startswith("<"):
        return _identity(value)
    return f"{cls.__module__}.{cls.__qualname__}:{text}".encode("utf-8", "surrogatepass")


def _identity(value: object) -> bytes:
    cls = type(value)
    return f"{cls.__module__}.{cls.__qualname__}@{id(value):x}".encode("utf-8", "surrogatepass")
