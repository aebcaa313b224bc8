"""Looks at SQLAlchemy's errors while they are made: who catches them, they are explained.

This is the one place that all drivers pass, also when the error comes of connecting or of a ping,
where SQLAlchemy has no event for it.
"""

import functools
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final
from weakref import ref

from fastapi_diagnostics.callsite import Site
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.sqlalchemy.failures import MAX_FAILURES, Kind, noted_failure
from fastapi_diagnostics.collectors.sqlalchemy.holds import Hold
from fastapi_diagnostics.collectors.sqlalchemy.part import SqlPart
from fastapi_diagnostics.collectors.sqlalchemy.session_notes import (
    MAX_NOTED,
    Clash,
    Meeting,
    Reuse,
)
from fastapi_diagnostics.collectors.sqlalchemy.session_part import (
    call_site,
    part_of,
)
from fastapi_diagnostics.collectors.sqlalchemy.waiting import gathering
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import Recorder, active

_MAX_DEPTH: Final = 30
_UNDER_WAY: Final = "isce"
"""SQLAlchemy's code for a call that came while another one was under way."""
_RAISED_LOAD: Final = "is not available due to"
"""SQLAlchemy's words for ``lazy="raise"`` and ``raiseload``."""


def install(hooks: Hooks) -> None:
    """Look at every refusal of the ORM from now on."""
    from sqlalchemy import exc  # noqa: PLC0415 - only once the application has it
    from sqlalchemy.orm.exc import DetachedInstanceError  # noqa: PLC0415

    for owner in (exc.InvalidRequestError, DetachedInstanceError):
        hooks.replace(owner, "__init__", _observed)


def _observed(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def __init__(self: BaseException, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        recorder = active()
        if recorder is None:
            return
        try:
            _look(recorder, self)
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("sql.refusal", error)

    return __init__


def _look(recorder: Recorder, error: BaseException) -> None:
    kind: Kind
    name = type(error).__name__
    if name == "DetachedInstanceError":
        kind = "detached"
    elif name not in {"InvalidRequestError", "IllegalStateChangeError"}:
        return
    elif error.args and _RAISED_LOAD in str(error.args[0]):
        kind = "raise"
    else:
        _note_refusal(recorder, error)
        return
    part = recorder.part("sql", SqlPart)
    if len(part.failures) < MAX_FAILURES:
        failure = noted_failure(error, recorder, perf_counter(), kind)
        if failure is not None:
            part.failures.append(failure)


def note_meeting(hold: Hold) -> None:
    """Note that a statement began on a connection while another one was under way."""
    recorder = hold.recorder
    if recorder is None or recorder.closed:
        return
    part = part_of(recorder)
    if len(part.meetings) < MAX_NOTED:
        part.meetings.append(Meeting(recorder.phase, _gathered()))


def _note_refusal(recorder: Recorder, error: Any) -> None:
    """Note a session that refuses a call: another one is under way, or it is closed for good."""
    if error.code == _UNDER_WAY:
        _note_clash(recorder, error)
    elif "permanently closed" in str(error):
        _note_reuse_refused(recorder, error)


def _note_clash(recorder: Recorder, error: Any) -> None:
    part = part_of(recorder)
    if len(part.clashes) < MAX_NOTED:
        session = _session_of(sys._getframe(2))  # noqa: SLF001
        note = None if session is None else part.sessions.get(session.hash_key)
        text = str(error.args[0]) if error.args else type(error).__name__
        part.clashes.append(
            Clash(
                recorder.phase,
                call_site() or _gathered(),
                text,
                bool(note and note.closing),
                ref(error),
            )
        )


def _gathered() -> tuple[Site, ...]:
    site = gathering()
    return () if site is None else (site,)


def _note_reuse_refused(recorder: Recorder, error: Any) -> None:
    part = part_of(recorder)
    session = _session_of(sys._getframe(2))  # noqa: SLF001
    note = None if session is None else part.sessions.get(session.hash_key)
    if note is not None and note.closes and len(part.reuses) < MAX_NOTED:
        used = Reuse(
            perf_counter(), recorder.phase, call_site(), note, len(note.closes), ref(error)
        )
        part.reuses.append(used)


def _session_of(frame: Any) -> Any:
    """Find the session in whose method an error was made."""
    for _ in range(_MAX_DEPTH):
        if frame is None:
            return None
        owner = frame.f_locals.get("self")
        if hasattr(owner, "hash_key") and hasattr(owner, "identity_map"):
            return owner
        frame = frame.f_back
    return None
