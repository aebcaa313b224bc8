"""Opens the user's Python files, and tells whether they are still what was imported."""

import importlib.util
import time
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from fastapi_diagnostics.callsite import USER, USER_CODE
from fastapi_diagnostics.locks import Lock

_STARTED_NS: Final = time.time_ns()
"""Files last changed before this moment are as they were imported."""
_MAX_FILE_BYTES: Final = 2 * 1024 * 1024
_MAX_REMEMBERED: Final = 64


class SourceFile(msgspec.Struct, frozen=True):
    """The lines of a file."""

    lines: tuple[str, ...]


_lock = Lock()
_remembered: OrderedDict[str, SourceFile] = OrderedDict()


def imported(file: str) -> SourceFile | None:
    """Give a file as it was imported; what was read in time is remembered beyond later edits."""
    path = user_file(file)
    if path is None:
        return None
    if not changed(path):
        source = on_disk(path)
        if source is not None:
            _remember(file, source)
            return source
    return _remembered.get(file)


def _remember(file: str, source: SourceFile) -> None:
    with _lock:
        _remembered[file] = source
        _remembered.move_to_end(file)
        if len(_remembered) > _MAX_REMEMBERED:
            _remembered.popitem(last=False)


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
