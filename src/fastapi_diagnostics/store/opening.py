"""Opens the store that the settings ask for, or memory in its place."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from fastapi_diagnostics.store.database import FileSource, MemorySource
from fastapi_diagnostics.store.files import UnusableFileError
from fastapi_diagnostics.store.limits import Limits
from fastapi_diagnostics.store.protocol import Store
from fastapi_diagnostics.store.sqlite import SqliteStore
from fastapi_diagnostics.store.urls import DEFAULT_URL, StoreUrlError, file_of, without_secrets

_MAX_BYTES_IN_MEMORY = 32 * 1024 * 1024  # what a guest may take of the process

__all__ = ["DEFAULT_URL", "StoreUrlError", "check_store_url", "open_store"]


def check_store_url(url: str | None) -> None:
    """Refuse a URL that `open_store` would refuse; touches no file.

    Raises:
        StoreUrlError: As `open_store` does.
    """
    file_of(url or DEFAULT_URL, Path())


def open_store(
    url: str | None,
    *,
    directory: Path,
    clock: Callable[[], float],
    limits: Limits,
    steady: Callable[[], float] = time.monotonic,
) -> Store:
    """Open the store; may block for two seconds, so never on an event loop.

    A file that cannot be used for whatever reason is left as it is: the store is then in memory,
    and its status says why.

    Args:
        url: ``memory:``, ``sqlite:///relative.db``, ``sqlite:////absolute.db``; `None` means the
            default file, ``.fastapi_diagnostics/diagnostics.db``.
        directory: What relative paths start from, the working directory.
        clock: Seconds since the epoch.
        limits: How much is kept; in memory at most 32 MiB.
        steady: Seconds that no one sets.

    Raises:
        StoreUrlError: The URL is of a kind that is not supported (yet).
    """
    path = file_of(url or DEFAULT_URL, directory)
    wanted = without_secrets(url or DEFAULT_URL)
    problem = ""
    if path is not None:
        store = SqliteStore(
            FileSource(path, own_folder=not url, clock=clock),
            limits=limits,
            clock=clock,
            steady=steady,
            kind="sqlite",
            wanted=wanted,
            where=str(path),
        )
        try:
            store.open()
        except (UnusableFileError, OSError, sqlite3.Error) as error:
            store.close()
            problem = f"{_sentence(error, path)} Nothing is kept beyond this process."
        else:
            return store
    in_memory = min(limits.max_bytes, _MAX_BYTES_IN_MEMORY)
    return SqliteStore(
        MemorySource(),
        limits=msgspec.structs.replace(limits, max_bytes=in_memory),
        clock=clock,
        steady=steady,
        kind="memory",
        wanted=wanted,
        problem=problem,
    )


def _sentence(error: Exception, path: Path) -> str:
    if isinstance(error, UnusableFileError):
        return str(error)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{path} cannot be used: {reason}."
