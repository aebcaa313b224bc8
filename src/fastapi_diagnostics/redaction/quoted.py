"""Finds secrets in texts about a value: validators often quote what they refuse.

Such a text has neither name nor shape ("hunter2 is too weak"), but the value is at hand.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from fastapi_diagnostics.redaction.names import is_secret_name
from fastapi_diagnostics.redaction.shapes import REDACTED

MAX_SECRETS: Final = 100
_MAX_READ: Final = 1000
_MAX_DEPTH: Final = 20
_MAX_LENGTH: Final = 10_000
_MIN_ANYWHERE: Final = 5
"""Shorter ones are replaced only where they stand alone: "a" is in every other word."""


def secrets_in(value: object, path: Iterable[object] = ()) -> frozenset[str]:
    """Collect what stands below secret names; runs no code of the application.

    Args:
        value: What was refused; only dictionaries, lists, tuples, texts and numbers are read.
        path: The names that lead to it, such as the ``loc`` of a validation error.
    """
    secret = any(type(part) is str and is_secret_name(part) for part in path)
    found: dict[str, None] = {}
    waiting: list[tuple[Any, bool, int]] = [(value, secret, 0)]
    for _ in range(_MAX_READ):
        if not waiting or len(found) >= MAX_SECRETS:
            break
        inner, secret, depth = waiting.pop()
        if secret:
            found |= dict.fromkeys(_written(inner))
        if depth < _MAX_DEPTH:
            waiting += ((item, s, depth + 1) for item, s in _children(inner, secret=secret))
    return frozenset(found)


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Replace *secrets* wherever *text* quotes them."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _MIN_ANYWHERE:
            text = text.replace(secret, REDACTED)
        elif secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", REDACTED, text)
    return text


def _children(value: Any, *, secret: bool) -> Iterator[tuple[Any, bool]]:
    cls = type(value)
    if issubclass(cls, dict):
        for key, item in islice(dict.items(value), _MAX_READ):
            yield item, secret or (type(key) is str and is_secret_name(key))
    elif cls is list or cls is tuple:
        yield from ((item, secret) for item in value[:_MAX_READ])


def _written(value: Any) -> Iterator[str]:
    """Give the ways in which a value may stand in a text."""
    cls = type(value)
    if cls is bytes:
        value, cls = value[:_MAX_LENGTH].decode("utf-8", "replace"), str
    if issubclass(cls, str):
        text = str.__str__(value)[:_MAX_LENGTH]
        yield from filter(None, (text, text.strip(), repr(text)[1:-1]))
    elif cls in {int, float}:
        yield repr(value)
