"""Opens the user's Python files, and tells whether they are still what was imported."""

import importlib.util
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from fastapi_diagnostics.callsite import USER, USER_CODE
from fastapi_diagnostics.locks import Lock

_STARTED_NS: Final = time.time_ns()
"""Files last changed before this moment are as they were imported."""
_MAX_FILE_BYTES: Final = 2 * 1024 * 1024
_MAX_REMEMBERED: Final = 64
_LOOK_AGAIN_S: Final = 1.0
"""So often it is asked whether a file has been edited: a finding asks for a dozen lines of one."""


class SourceFile(msgspec.Struct, frozen=True, eq=False):
    """The lines of a file; one object for each reading, so that what follows can be remembered."""

    lines: tuple[str, ...]


class _Known(NamedTuple):
    """What was read of a file, and the reading of the clock when it was last looked at."""

    source: SourceFile
    at: float


_lock = Lock()
_known: OrderedDict[tuple[tuple[str, ...], tuple[str, ...], str], _Known] = OrderedDict()


def imported(file: str, clock: Callable[[], float] = time.monotonic) -> SourceFile | None:
    """Give a file as it was imported; what was read in time is remembered beyond later edits."""
    place, now = (USER_CODE.roots, USER_CODE.packages, file), clock()
    known = _known.get(place)
    if known is not None and now - known.at < _LOOK_AGAIN_S:
        return known.source
    source = _as_imported(file) or (known.source if known is not None else None)
    if source is None:
        return None
    with _lock:
        _known[place] = _Known(source, now)
        _known.move_to_end(place)
        if len(_known) > _MAX_REMEMBERED:
            _known.popitem(last=False)
    return source


def look_again() -> None:
    """Ask of every file anew whether it has been edited; for tests."""
    with _lock:
        for place, known in _known.items():
            _known[place] = known._replace(at=-math.inf)


def _as_imported(file: str) -> SourceFile | None:
    path = user_file(file)
    return None if path is None or changed(path) else on_disk(path)


def user_file(file: str) -> Path | None:
    """Find the file that a stored place names; `None` unless it is a Python file of the user."""
    try:
        path = USER_CODE.absolute(file)
        if path.suffix != ".py" or USER_CODE.kind(str(path)) != USER:
            return None
        # What a link or a ".." leads to must be the user's as well.
        return path if USER_CODE.kind(str(path.resolve())) == USER else None
    except (OSError, ValueError, RuntimeError):
        return None


def on_disk(path: Path) -> SourceFile | None:
    """Read a file as it is now; `None` if it cannot be read or is over 2 MiB."""
    try:
        status = path.stat()
        if status.st_size > _MAX_FILE_BYTES:
            return None
        return _read(str(path), status.st_mtime_ns, status.st_size)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=_MAX_REMEMBERED)
def _read(path: str, _mtime_ns: int, _size: int) -> SourceFile | None:
    try:
        text = importlib.util.decode_source(Path(path).read_bytes())
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
    # Not splitlines(): a form feed or U+2028 is no new line for Python.
    return SourceFile(tuple(text.split("\n")))


def changed(path: Path) -> bool:
    """Tell whether a file was changed after this process had imported it.

    A file younger than the process may have been imported late:
    then its byte code was made from the file as it is.
    """
    try:
        status = path.stat()
    except OSError:
        return True
    if status.st_mtime_ns <= _STARTED_NS:
        return False
    return not _compiled_from(path, int(status.st_mtime), status.st_size)


def _compiled_from(path: Path, mtime_s: int, size: int) -> bool:
    try:
        header = Path(importlib.util.cache_from_source(str(path))).read_bytes()[:16]
    except (OSError, NotImplementedError, ValueError):
        return False
    if len(header) < 16 or int.from_bytes(header[4:8], "little"):  # noqa: PLR2004 - PEP 552
        return False
    compiled_mtime = int.from_bytes(header[8:12], "little")
    compiled_size = int.from_bytes(header[12:16], "little")
    return (compiled_mtime, compiled_size) == (mtime_s & 0xFFFFFFFF, size & 0xFFFFFFFF)
