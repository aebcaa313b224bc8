"""Who closes a session or a connection, and whether an exception was on its way.

An asynchronous session is closed in a task of its own: neither is to be seen there.
"""

import functools
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from fastapi_diagnostics.callsite import Site
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.sqlalchemy.session_part import call_site, part_of
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import active


class Leaving(NamedTuple):
    """The user's line that closes something, and whether an exception made it do so."""

    sites: tuple[Site, ...]
    raised: bool


_LEAVING: ContextVar[Leaving | None] = ContextVar("fastapi_diagnostics_leaving", default=None)


_MODULE: Final = "sqlalchemy.ext.asyncio"
_watched = False


def wanted() -> bool:
    """Tell whether the application has imported asynchronous sessions since `install`."""
    return not _watched and _MODULE in sys.modules


def install(hooks: Hooks) -> None:
    """Watch asynchronous sessions and connections, if they are there; may be called again."""
    global _watched  # noqa: PLW0603 - one flag for the process, read once per request
    if not wanted():
        return
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession  # noqa: PLC0415

    _watched = True
    hooks.on_undo(_forget)
    for owner in (AsyncSession, AsyncConnection):
        hooks.replace(owner, "__aexit__", _leaving_block)
        hooks.replace(owner, "close", _leaving_call)


def _forget() -> None:
    global _watched  # noqa: PLW0603
    _watched = False


def leaving_now() -> Leaving:
    """Tell who closes the session or connection that is being closed."""
    return _LEAVING.get() or Leaving(call_site(), sys.exc_info()[0] is not None)


def _leaving_block(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def __aexit__(self: Any, kind: Any, error: Any, traceback: Any) -> Any:  # noqa: N807
        token = _note_leaving(self, raised=kind is not None)
        try:
            return await original(self, kind, error, traceback)
        finally:
            if token is not None:
                _LEAVING.reset(token)

    return __aexit__


def _leaving_call(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def close(self: Any) -> Any:
        token = None
        if _LEAVING.get() is None:
            token = _note_leaving(self, raised=sys.exc_info()[0] is not None)
        try:
            return await original(self)
        finally:
            if token is not None:
                _LEAVING.reset(token)

    return close


def _note_leaving(owner: Any, *, raised: bool) -> Any:
    recorder = active()
    if recorder is None:
        return None
    try:
        session = getattr(owner, "sync_session", None)
        if session is not None:
            note = part_of(recorder).sessions.get(session.hash_key)
            if note is not None:
                note.is_async = True
                note.closing = True  # also while the task that closes it has not begun
        return _LEAVING.set(Leaving(call_site(), raised))
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("sql.leaving", error)
        return None
