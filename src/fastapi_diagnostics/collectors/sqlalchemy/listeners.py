"""Listens to SQLAlchemy's classes; nothing is handed over by the application.

A statement costs one tuple here. What it means is worked out when the request is over.
"""

import functools
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from fastapi_diagnostics.callsite import caller_sites
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.sqlalchemy import holds, leaving, reads, refusals, sessions
from fastapi_diagnostics.collectors.sqlalchemy.failures import MAX_FAILURES, noted_failure
from fastapi_diagnostics.collectors.sqlalchemy.holds import HELD
from fastapi_diagnostics.collectors.sqlalchemy.lineage import Ending
from fastapi_diagnostics.collectors.sqlalchemy.noting import Note, make_note
from fastapi_diagnostics.collectors.sqlalchemy.part import SqlPart
from fastapi_diagnostics.collectors.sqlalchemy.private import misfit, new_run_id
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import CURRENT, Recorder, active

NAME: Final = "SQL"
MAX_ENDINGS: Final = 200
_JUST_NOW: Final = 50

_installed = False


def wanted() -> bool:
    """Tell whether SQLAlchemy has been imported since `install` last looked for it."""
    if _installed:
        return leaving.wanted()
    return "sqlalchemy" in sys.modules


def install(hooks: Hooks) -> None:
    """Listen to engines and sessions, if SQLAlchemy is there; may be called again later."""
    global _installed  # noqa: PLW0603 - one flag for the process, read once per request
    if _installed:
        leaving.install(hooks)
        return
    if "sqlalchemy" not in sys.modules:
        hooks.report(NAME, on=False, why="SQLAlchemy is not imported")
        return
    _installed = True
    hooks.on_undo(_forget)
    try:
        why = misfit()
    except ImportError as error:
        why = f"SQLAlchemy's ORM cannot be imported: {error}"
    if why:
        hooks.report(NAME, on=False, why=why)
        return
    _listen(hooks)
    hooks.report(NAME, on=True)


def _forget() -> None:
    global _installed  # noqa: PLW0603
    _installed = False


def _listen(hooks: Hooks) -> None:
    from sqlalchemy import event, exc  # noqa: PLC0415 - only once the application has it
    from sqlalchemy.engine import Engine  # noqa: PLC0415
    from sqlalchemy.orm import Session  # noqa: PLC0415

    after, failed = _statement_hooks(make_note(new_run_id()))
    for target, name, listener, options in (
        (Engine, "before_cursor_execute", _before, {"retval": True}),
        (Engine, "after_cursor_execute", after, {}),
        (Engine, "handle_error", failed, {}),
        (Engine, "commit", _transaction_ended, {}),
        (Engine, "rollback", _transaction_ended, {}),
        (Session, "before_flush", _before_flush, {}),
        (Session, "after_commit", _committed, {}),
        (Session, "after_rollback", _session_ended, {}),
    ):
        event.listen(target, name, listener, **options)
        hooks.on_undo(functools.partial(event.remove, target, name, listener))
    hooks.replace(exc.MissingGreenlet, "__init__", _observed)
    reads.install(hooks)
    sessions.install(hooks)
    refusals.install(hooks)


def _before(
    conn: Any,
    cursor: Any,  # noqa: ARG001
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,  # noqa: ARG001, FBT001
) -> tuple[str, Any]:
    # With ``retval=True`` SQLAlchemy calls this directly, without a wrapper function.
    if CURRENT.get() is not None and context is not None:
        try:
            context._fd_started = now = perf_counter()  # noqa: SLF001 - read again in `after`
            hold = HELD.get(id(conn.connection))
            if hold is not None and holds.began(hold, now):
                refusals.note_meeting(hold)
        except Exception as error:  # noqa: BLE001 - a context of a dialect we do not know
            FAULTS.note("sql.before", error)
    return statement, parameters


def _statement_hooks(note: Note) -> tuple[Callable[..., None], Callable[..., None]]:
    """Make the listeners for statements that succeeded and for statements that failed."""

    def after(
        conn: Any,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,  # noqa: FBT001
    ) -> None:
        recorder = CURRENT.get()
        if recorder is None or recorder.closed or context is None:
            return
        ended = perf_counter()
        try:
            sites = note(
                recorder, conn.dialect, statement, parameters, context, ended, executemany, cursor
            )
            hold = HELD.get(id(conn.connection))
            if hold is not None:
                holds.ended(hold, sites, conn, cursor, statement, context, ended)
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("sql.after", error)

    def failed(fault: Any) -> None:
        recorder = active()
        context = fault.execution_context
        if recorder is None or context is None or not fault.statement:
            return
        ended = perf_counter()
        try:
            holds.failed(fault.connection, ended)
            error = type(fault.original_exception).__name__
            if error == "MissingGreenlet":  # it never reached the database
                return
            if _is_noted(recorder, context):  # what failed is another tool's listener
                return
            values, many = fault.parameters or (), context.executemany
            note(
                recorder, fault.dialect, fault.statement, values, context, ended, many, None, error
            )
        except Exception as own:  # noqa: BLE001 - ours, contained
            FAULTS.note("sql.failed", own)

    return after, failed


def _is_noted(recorder: Recorder, context: Any) -> bool:
    """Tell whether a statement was noted as one that succeeded, of those just now."""
    started = getattr(context, "_fd_started", None)
    raws = recorder.part("sql", SqlPart).raws
    return started is not None and any(raw.run.started == started for raw in raws[-_JUST_NOW:])


def _transaction_ended(conn: Any) -> None:  # noqa: ARG001 - the event's argument
    recorder = CURRENT.get()
    if recorder is not None and not recorder.closed:
        try:
            recorder.part("sql", SqlPart).transactions += 1
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("sql.transaction", error)


def _before_flush(*_args: Any) -> None:
    recorder = CURRENT.get()
    if recorder is not None and not recorder.closed:
        try:
            recorder.part("sql", SqlPart).flushes += 1
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("sql.flush", error)


def _committed(session: Any) -> None:
    if session.expire_on_commit:
        _session_ended(session)


def _session_ended(session: Any) -> None:
    recorder = active()
    if recorder is None:
        return
    try:
        if session.in_nested_transaction():  # a savepoint expires nothing
            return
        part = recorder.part("sql", SqlPart)
        if len(part.endings) < MAX_ENDINGS:
            sites, _ = caller_sites(sys._getframe(1), 1)  # noqa: SLF001
            part.endings.append(Ending(perf_counter(), sites, session.hash_key))
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("sql.session", error)


def _observed(original: Callable[..., None]) -> Callable[..., None]:
    """Look at a MissingGreenlet while it is made.

    This is the one place that all drivers pass, also when the error comes of connecting or of a
    ping, where SQLAlchemy has no event for it.
    """

    @functools.wraps(original)
    def __init__(self: BaseException, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        recorder = active()
        if recorder is None:
            return
        try:
            part = recorder.part("sql", SqlPart)
            if len(part.failures) < MAX_FAILURES:
                failure = noted_failure(self, recorder, perf_counter())
                if failure is not None:
                    part.failures.append(failure)
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("sql.failure", error)

    return __init__
