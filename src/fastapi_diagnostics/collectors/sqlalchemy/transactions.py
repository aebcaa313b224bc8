"""Transactions of sessions and connections, and those that ended otherwise than meant."""

import functools
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final
from weakref import ref

from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.sqlalchemy import holds
from fastapi_diagnostics.collectors.sqlalchemy.holds import Hold
from fastapi_diagnostics.collectors.sqlalchemy.leaving import leaving_now
from fastapi_diagnostics.collectors.sqlalchemy.session_notes import (
    MAX_NOTED,
    MAX_SESSIONS,
    Bound,
    Failed,
    Lost,
    Reuse,
)
from fastapi_diagnostics.collectors.sqlalchemy.session_part import (
    PART,
    call_site,
    part_of,
)
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import active

_MAX_DEPTH: Final = 30


def install(hooks: Hooks) -> None:
    """Watch every transaction from now on."""
    from sqlalchemy import event  # noqa: PLC0415 - only once the application has it
    from sqlalchemy.engine import Connection, Engine  # noqa: PLC0415
    from sqlalchemy.orm import Session, SessionTransaction  # noqa: PLC0415

    for target, name, listener in (
        (Session, "after_begin", _begun),
        (Session, "transient_to_pending", _added),
        (Engine, "commit", _committed),
        (Engine, "rollback", _watched_rollback(Connection.close.__code__)),
        (Engine, "savepoint", _savepoint),
        (Engine, "rollback_savepoint", _savepoint_undone),
        (Engine, "release_savepoint", _savepoint_done),
    ):
        event.listen(target, name, listener)
        hooks.on_undo(functools.partial(event.remove, target, name, listener))
    hooks.replace(SessionTransaction, "commit", _committing)


def _begun(session: Any, transaction: Any, connection: Any) -> None:  # noqa: ARG001
    recorder = active()
    if recorder is None:
        return
    try:
        part = part_of(recorder)
        key = session.hash_key
        hold = holds.of_connection(connection)
        if hold is not None:
            hold.session = key
        if len(part.bound) < MAX_SESSIONS:
            part.bound.append(Bound(perf_counter(), id(connection), key))
        note = part.sessions.get(key)
        if note is not None:
            note.is_async = connection.dialect.is_async
            part.asynchronous = part.asynchronous or note.is_async
            if note.closes and not note.closing and len(part.reuses) < MAX_NOTED:
                used = Reuse(
                    perf_counter(), recorder.phase, call_site(), note, len(note.closes), None
                )
                part.reuses.append(used)
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("sql.begin", error)


def _added(session: Any, instance: Any) -> None:  # noqa: ARG001
    recorder = active()
    if recorder is None:
        return
    try:
        note = part_of(recorder).sessions.get(session.hash_key)
        if note is not None and not note.added:
            note.added = call_site() or note.opened
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("sql.add", error)


def _committed(conn: Any) -> None:
    _ended(conn, None)


def _watched_rollback(closing: Any) -> Callable[[Any], None]:
    def rolled_back(conn: Any) -> None:
        _ended(conn, closing)

    return rolled_back


def _ended(conn: Any, closing: Any) -> None:
    """Note the end of a transaction; *closing* is the code of ``Connection.close``."""
    try:
        hold = None if conn.invalidated else holds.of_connection(conn)
        if hold is None:
            return
        if hold.looks:
            holds.end_idle(hold)
        if closing is not None and hold.writes:
            _note_lost(hold, conn, closing)
        hold.settle()
        if hold.idle_since is not None:
            now = perf_counter()
            hold.idle_s += now - hold.idle_since
            hold.idle_since = now
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("sql.end", error)


def _note_lost(hold: Hold, conn: Any, closing: Any) -> None:
    """Note what a rollback undid, if nobody asked for it but by closing without a commit."""
    recorder = hold.recorder
    if recorder is None or recorder.closed:
        return
    part = part_of(recorder)
    note = None if hold.session is None else part.sessions.get(hold.session)
    if hold.session is None:
        leaving = leaving_now()
        meant = leaving.raised or not _is_below(closing)
    else:
        meant = note is None or note.raised or not note.closing
    # Where the driver says that nothing is open, the application has a way of its own to commit.
    driver = getattr(conn.connection, "driver_connection", None)
    if meant or getattr(driver, "in_transaction", True) is False or len(part.lost) >= MAX_NOTED:
        return
    closed = note.closes[-1][1] if note is not None and note.closes else ()
    if note is None:
        closed = leaving.sites
    written = tuple(hold.written)
    part.lost.append(Lost(recorder.phase, note, closed, written, hold.writes, (), hold.is_async))


def _is_below(code: Any) -> bool:
    frame = sys._getframe(2)  # noqa: SLF001 - the stack is the evidence
    for _ in range(_MAX_DEPTH):
        if frame.f_code is code:
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _savepoint(conn: Any, name: str) -> None:  # noqa: ARG001
    _mark(conn, lambda hold: hold.marks.append(hold.writes))


def _savepoint_undone(conn: Any, name: str, context: Any) -> None:  # noqa: ARG001
    _mark(conn, _undo_mark)


def _savepoint_done(conn: Any, name: str, context: Any) -> None:  # noqa: ARG001
    _mark(conn, lambda hold: hold.marks and hold.marks.pop())


def _undo_mark(hold: Hold) -> None:
    if hold.marks:
        hold.writes = hold.marks.pop()
        del hold.written[hold.writes :]


def _mark(conn: Any, change: Callable[[Hold], Any]) -> None:
    try:
        hold = holds.of_connection(conn)
        if hold is not None:
            change(hold)
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("sql.savepoint", error)


def _committing(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def commit(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            result = original(self, *args, **kwargs)
        except Exception as error:
            _note_failed(self.session, error)
            raise
        _note_repeated(self.session)
        return result

    return commit


def _note_failed(session: Any, error: Exception) -> None:
    recorder = active()
    if recorder is None:
        return
    try:
        part = part_of(recorder)
        known = any(failed.error() is error for failed in part.failed)
        if not known and len(part.failed) < MAX_NOTED:
            answered = recorder.status is not None
            text = f"{type(error).__name__}: {getattr(error, 'orig', None) or error}"
            part.failed.append(
                Failed(recorder.phase, call_site(), session.hash_key, answered, text, ref(error))
            )
    except Exception as own:  # noqa: BLE001 - ours, contained
        FAULTS.note("sql.commit failed", own)


def _note_repeated(session: Any) -> None:
    recorder = active()
    part = None if recorder is None else recorder.parts.get(PART)
    if part is not None and part.failed:
        part.repeated.add(session.hash_key)
