"""Positions in a list, as opaque text."""

import base64
import binascii
from typing import TypeVar

import msgspec

from fastapi_diagnostics.store.protocol import InvalidCursorError

T = TypeVar("T", bound=tuple[object, ...])

_LONGEST = 500
_LARGEST = 2**63 - 1


def encode_cursor(*position: str | int) -> str:
    """Write a position; the first part names the list."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode_cursor(cursor: str | None, kind: type[T], first: T) -> T:
    """Read a position.

    Args:
        cursor: From the page before; `None` for the first page.
        kind: The type of the tuple, its first part a literal that names the list.
        first: What stands before everything.

    Raises:
        InvalidCursorError: It is not a cursor of this list.
    """
    if cursor is None:
        return first
    try:
        padded = cursor[:_LONGEST].encode("ascii") + b"=" * (-len(cursor) % 4)
        position = msgspec.json.decode(base64.b64decode(padded, b"-_", validate=True), type=kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise InvalidCursorError("The cursor did not come from this list.") from None
    if any(isinstance(part, int) and not 0 <= part <= _LARGEST for part in position):
        raise InvalidCursorError("The cursor did not come from this list.")
    return position
