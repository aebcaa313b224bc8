"""Sessions, from their making to their end."""

import functools
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.sqlalchemy import leaving, pool, transactions
from fastapi_diagnostics.collectors.sqlalchemy.leaving import leaving_now
from fastapi_diagnostics.collectors.sqlalchemy.session_notes import (
    MAX_NOTED,
    MAX_SESSIONS,
    Lost,
    SessionNote,
)
from fastapi_diagnostics.collectors.sqlalchemy.session_part import (
    SessionPart,
    call_site,
    part_of,
)
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import Recorder, active

_MAX_CLASSES: Final = 10


def install(hooks: Hooks) -> None:
    """Watch sessions, transactions and connections; called once SQLAlchemy is there."""
    from sqlalchemy.orm import Session  # noqa: PLC0415 - only once the application has it

    hooks.replace(Session, "__init__", _making)
    hooks.replace(Session, "close", _closing)
    transactions.install(hooks)
    leaving.install(hooks)
    pool.install(hooks, part_of)


def _making(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        recorder = active()
        if recorder is None:
            return
        try:
            part = part_of(recorder)
            if len(part.sessions) < MAX_SESSIONS:
                part.sessions[self.hash_key] = SessionNote(call_site(), perf_counter())
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("sql.session made", error)

    return __init__


def _closing(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def close(self: Any) -> None:
        recorder = active()
        note = None if recorder is None else _note_closing(recorder, self)
        if note is None:
            original(self)
            return
        try:
            original(self)
        finally:
            note.closing = False

    return close


def _note_closing(recorder: Recorder, session: Any) -> SessionNote | None:
    """Note who closes a session that was made in this record; `None` for all others."""
    try:
        part = part_of(recorder)
        note = part.sessions.get(session.hash_key)
        if note is None:
            return None
        left = leaving_now()
        note.closing, note.raised = True, left.raised
        if len(note.closes) < MAX_NOTED:
            note.closes.append((perf_counter(), left.sites, recorder.phase))
        if not left.raised and note.added:
            _note_pending(recorder, part, note, session)
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("sql.session close", error)
        return None
    return note


def _note_pending(recorder: Recorder, part: SessionPart, note: SessionNote, session: Any) -> None:
    """Note objects that were added and never flushed."""
    names = dict.fromkeys(type(instance).__name__ for instance in session.new)
    if names and len(part.lost) < MAX_NOTED:
        added = tuple(names)[:_MAX_CLASSES]
        part.lost.append(
            Lost(recorder.phase, note, note.closes[-1][1], (), 0, added, note.is_async)
        )
