"""Puts the database file where nobody else can read it, and never touches a file of others."""

import contextlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from fastapi_diagnostics.store.schema import APPLICATION_ID, SCHEMA_VERSION

if sys.platform != "win32":
    import fcntl

FileId = tuple[int, int]
"""Device and inode."""

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_LOCK_PATIENCE_S = 2.0
_LOCK_PAUSE_S = 0.01


held: dict[int, FileId] = {}
"""Files that connections of this process have open, by connection holder.

POSIX drops all locks of a process on a file as soon as the process closes *any* descriptor of it,
so a file that SQLite has open here must not be opened and closed for a look at its header.
"""


class UnusableFileError(Exception):
    """There is a reason not to use this file; the message is a sentence for the user."""


def prepare_own_folder(folder: Path) -> None:
    """Make the folder that holds nothing but our files, private and invisible to git.

    Raises:
        UnusableFileError: Somebody else could have planted or could replace it.
        OSError: It cannot be made.
    """
    _refuse_open_to_all(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=_FOLDER_MODE)
        folder.chmod(_FOLDER_MODE)  # whatever the umask took away or left
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a folder"
        raise UnusableFileError(f"{folder} is {what}.")
    _refuse_foreign(folder, found)
    _refuse_open_to_all(folder)
    if stat.S_IMODE(found.st_mode) & ~_FOLDER_MODE:
        folder.chmod(_FOLDER_MODE)
    _hide_from_git(folder / ".gitignore")


def _hide_from_git(path: Path) -> None:
    try:
        descriptor = create_private(path)
    except FileExistsError:
        return
    try:
        os.write(descriptor, b"*\n")
    except OSError:
        path.unlink(missing_ok=True)  # an empty one would hide nothing for ever
        raise
    finally:
        os.close(descriptor)


def check_folder(folder: Path) -> None:
    """Refuse a folder that is missing or in which anybody may replace our file.

    Raises:
        UnusableFileError: It is no folder, or writable for all without the sticky bit.
    """
    if not folder.is_dir():
        raise UnusableFileError(f"The folder {folder} does not exist.")
    _refuse_open_to_all(folder)


def create_private(path: Path) -> int:
    """Create a file that only its owner can read, whatever the umask; give its descriptor.

    Raises:
        FileExistsError: Something is there already, be it a dangling link.
    """
    descriptor = os.open(
        path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), _FILE_MODE
    )
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, _FILE_MODE)
    return descriptor


def examine(path: Path) -> Literal["missing", "ours"]:
    """Look at the file without SQLite, which would write beside it; make it private if it is ours.

    An empty file counts as missing: there is nothing in it to lose.

    Raises:
        UnusableFileError: It is a link, another user's, another program's, or newer than we are.
        OSError: It cannot be read.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return "missing"
    if not stat.S_ISREG(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a regular file"
        raise UnusableFileError(f"{path} is {what}.")
    _refuse_foreign(path, found)
    if (found.st_dev, found.st_ino) in list(held.values()):
        return "ours"  # looked at before, and an inode in use is not given to another file
    if found.st_size == 0:
        return "missing"
    header = _header(path)
    if not _is_ours(header):
        raise UnusableFileError(f"{path} is not a store of fastapi-diagnostics; it was left alone.")
    if int.from_bytes(header[60:64], "big") > SCHEMA_VERSION:
        raise UnusableFileError(
            f"{path} was written by a newer version of fastapi-diagnostics; it was left alone."
        )
    if stat.S_IMODE(found.st_mode) & ~_FILE_MODE:
        path.chmod(_FILE_MODE)
    return "ours"


def belongs_to_others(path: Path) -> bool:
    """Tell whether a file that used to be ours is now somebody else's database."""
    if file_id(path) in list(held.values()):
        return False
    header = _header(path)
    return header.startswith(_MAGIC) and not _is_ours(header)


def file_id(path: Path) -> FileId | None:
    """Tell which file stands at *path* now; `None` if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def remove_side_files(path: Path) -> None:
    """Remove what SQLite left beside a database that is gone: it must not meet the next one."""
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def set_aside(path: Path, stamp: str) -> Path:
    """Rename a damaged store of ours to make room for a fresh one; keep one such copy."""
    for old in path.parent.glob(f"{path.name}.corrupt-*"):
        old.unlink(missing_ok=True)
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    path.rename(aside)
    remove_side_files(path)
    return aside


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Let one process at a time create, rename or remove the file in *folder*.

    Raises:
        UnusableFileError: Another process held the lock for two seconds.
    """
    if sys.platform == "win32":
        # An open file cannot be removed or renamed there, so nothing can go wrong.
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    give_up = time.monotonic() + _LOCK_PATIENCE_S
    while sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise UnusableFileError(f"{folder} is locked by another process.") from None
            time.sleep(_LOCK_PAUSE_S)
        else:
            return


def _header(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    try:
        return os.read(descriptor, _HEADER_BYTES)
    finally:
        os.close(descriptor)


def _is_ours(header: bytes) -> bool:
    return header.startswith(_MAGIC) and header[68:72] == APPLICATION_ID.to_bytes(4, "big")


def _refuse_foreign(path: Path, found: os.stat_result) -> None:
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise UnusableFileError(f"{path} belongs to another user.")


def _refuse_open_to_all(folder: Path) -> None:
    mode = folder.stat().st_mode
    if sys.platform != "win32" and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise UnusableFileError(f"Every user of this machine may write to {folder}.")
