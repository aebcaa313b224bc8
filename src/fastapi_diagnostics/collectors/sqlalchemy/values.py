"""Bound values: held back within bounds on the request's path, digested and previewed later."""

import re
import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from fastapi_diagnostics.collectors.sqlalchemy.columns import secret_columns, secret_word
from fastapi_diagnostics.redaction import is_secret_name, preview, values_digest

MAX_VALUES: Final = 20
"""Values of one statement that are shown."""
SMALL_TEXT: Final = 1000
SMALL_COUNT: Final = 100
_KEY: Final = secrets.token_bytes(16)
"""New for every process: digests are compared within a record only."""
_KEYED: Final = blake2b(digest_size=8, key=_KEY)
"""Copied for each digest: half as dear as a new one."""
_NAMED = re.compile(r"%\((\w+)\)s|(?<![:\w]):([A-Za-z_]\w*)")
_SUFFIX = re.compile(r"_\d+(?:_\d+)*$")


class Digested(NamedTuple):
    """What is left of values that were too many or too large to keep."""

    digest: str
    shown: tuple[str, ...]


def held(parameters: Any, *, executemany: bool) -> Any:
    """Give what may be kept until the end of the request: a reference, or a digest of much."""
    if executemany:
        return ()
    values = parameters.values() if parameters.__class__ is dict else parameters
    small = len(values) <= SMALL_COUNT
    for value in values:
        if value.__class__ in _SIZED and len(value) > SMALL_TEXT:
            small = False
            break
    if small:
        return parameters
    return Digested(digest_of(list(values)), (f"<{len(values)} values>",))


_SIZED = frozenset({str, bytes, bytearray, memoryview, list, tuple, dict})
_SIMPLE = frozenset({int, str, float, bool, type(None)})


def digest_of(values: Sequence[Any]) -> str:
    """Digest values so that equal ones are recognised and none can be read back."""
    for value in values:
        if value.__class__ not in _SIMPLE:
            return values_digest(values, _KEY)
    # One call for the usual values: their ``repr`` tells all of them apart.
    text = repr(tuple(values))
    digest = _KEYED.copy()
    digest.update(text.encode() if text.isascii() else text.encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def described(
    statement: str, parameters: Any, names: tuple[str, ...] | None, literals: str, mode: str
) -> tuple[str, tuple[str, ...]]:
    """Digest and preview bound values in the order of their placeholders.

    Args:
        statement: As handed to the driver.
        parameters: As kept by `held`.
        names: Of the positional values, where SQLAlchemy knows them.
        literals: Digest of the values that were written out in the statement.
        mode: ``redacted``, or ``none`` to show nothing.
    """
    if parameters.__class__ is Digested:
        return parameters.digest + literals, parameters.shown if mode != "none" else ()
    values: Sequence[Any] = parameters
    if parameters.__class__ is not tuple and isinstance(parameters, Mapping):
        names = _order(statement)
        if not set(names) <= parameters.keys():
            names = tuple(parameters)
        values = [parameters[name] for name in names]
    if not values:
        return literals, ()
    digest = digest_of(values) + literals
    if mode == "none":
        return digest, ()
    shown = zip(values, _secrets(statement, names, len(values)), strict=False)  # at most 20
    return digest, tuple([preview(value, name=name) for value, name in shown])


@lru_cache(maxsize=1000)
def _secrets(statement: str, names: tuple[str, ...] | None, count: int) -> tuple[str, ...]:
    """Give for each value the name that makes a secret of it; empty for the others."""
    if names is None or len(names) != count:
        names = tuple(_names_unknown(statement, count))
    placeholders, columns = secret_columns(statement)
    if columns and placeholders == count:
        # In ``api_key = :value`` and ``lower(password) = ?`` the value has another name.
        names = tuple(column or name for column, name in zip(columns, names, strict=False))
    plain = (_SUFFIX.sub("", name) for name in names[:MAX_VALUES])
    return tuple(name if is_secret_name(name) else "" for name in plain)


@lru_cache(maxsize=1000)
def _order(statement: str) -> tuple[str, ...]:
    return tuple(first or second for first, second in _NAMED.findall(statement[:65536]))


def _names_unknown(statement: str, count: int) -> list[str]:
    """Where no name fits its value, a secret-looking column makes all of them secret."""
    return [secret_word(statement)] * count
