"""Coroutines that were handed over where their function was wanted.

The collector of background tasks tells of them; so the one of coroutines that nobody awaited, which
hears of each when it is dropped, is silent.
"""

from types import CoroutineType
from typing import Any, Final

_MAX: Final = 200
_ids: dict[int, None] = {}  # in the order of their coming; no object is kept alive


def note(value: Any) -> None:
    """Remember a value if it is a coroutine."""
    if type(value) is not CoroutineType:
        return
    _ids[id(value)] = None
    if len(_ids) > _MAX:
        _ids.pop(next(iter(_ids)), None)


def forget(coroutine: Any) -> bool:
    """Tell whether a coroutine was noted, as it is dropped; its id may be given anew."""
    known = id(coroutine) in _ids
    _ids.pop(id(coroutine), None)
    return known
