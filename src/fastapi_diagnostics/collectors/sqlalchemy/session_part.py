"""Sessions and connections of one record."""

import asyncio
import sys
from threading import get_ident
from typing import Any, Final

from fastapi_diagnostics.callsite import Site, caller_sites
from fastapi_diagnostics.collectors.sqlalchemy.holds import HELD, Hold, Idle
from fastapi_diagnostics.collectors.sqlalchemy.pool import Wait, let_go, place_of
from fastapi_diagnostics.collectors.sqlalchemy.session_facts import (
    sealed_clash,
    sealed_commit,
    sealed_idle_connection,
    sealed_lost_writes,
    sealed_meeting,
    sealed_pool_wait,
    sealed_reuse,
)
from fastapi_diagnostics.collectors.sqlalchemy.session_notes import (
    MAX_NOTED,
    Bound,
    Clash,
    Failed,
    Lost,
    Meeting,
    Reuse,
    SessionNote,
)
from fastapi_diagnostics.collectors.sqlalchemy.waiting import still_runs
from fastapi_diagnostics.record import Location, OpenConnection
from fastapi_diagnostics.recorder import Recorder

PART: Final = "sessions"


def part_of(recorder: Recorder) -> "SessionPart":
    """Give the part of a record on which sessions are noted."""
    return recorder.part(PART, SessionPart)


def call_site() -> tuple[Site, ...]:
    """Give the innermost line of the user's that led here; empty without one."""
    return caller_sites(sys._getframe(1), 1)[0]  # noqa: SLF001 - the call site


class SessionPart:
    """Sessions, connections and transactions of one record.

    Attributes:
        sessions: Those that were made in it, by their number.
        waiting: How many connections are being waited for right now.
        repeated: Sessions with a commit that went well after one that had failed.
        asynchronous: Whether any of them is an asynchronous one.
    """

    def __init__(self) -> None:
        self.sessions: dict[int, SessionNote] = {}
        self.bound: list[Bound] = []
        self.waits: list[Wait] = []
        self.idles: list[Idle] = []
        self.reuses: list[Reuse] = []
        self.lost: list[Lost] = []
        self.failed: list[Failed] = []
        self.repeated: set[int] = set()
        self.clashes: list[Clash] = []
        self.meetings: list[Meeting] = []
        self.waiting = 0
        self.asynchronous = False

    def seal(self, recorder: Recorder) -> dict[str, Any]:
        """Make plain values; at the close also of what is still out of its pool."""
        fields: dict[str, Any] = {}
        if self.waits:
            fields["pool_waits"] = tuple(sealed_pool_wait(wait, recorder) for wait in self.waits)
        if self.idles:
            found = (sealed_idle_connection(idle, recorder) for idle in self.idles)
            fields["idle_connections"] = tuple(idle for idle in found if idle is not None)
        if self.reuses:
            fields["session_reuses"] = tuple(sealed_reuse(reuse, recorder) for reuse in self.reuses)
        if self.lost:
            fields["lost_writes"] = sealed_lost_writes(self.lost, recorder)
        if self.failed:
            fields["failed_commits"] = tuple(
                sealed_commit(failed, recorder, repeated=failed.session in self.repeated)
                for failed in self.failed
            )
        if self.clashes or self.meetings:
            fields["session_clashes"] = (
                *(sealed_clash(clash, recorder) for clash in self.clashes),
                *(sealed_meeting(meeting) for meeting in self.meetings),
            )
        if recorder.sealing == "closed" and recorder.outer is None:
            left = self._still_open(recorder)
            if left:
                fields["open_connections"] = left
        return fields

    def absorb(self, other: "SessionPart", *, exceptions: int) -> None:  # noqa: ARG002
        """Take over the facts of a record inside this one."""
        self.sessions |= other.sessions
        self.bound += other.bound
        self.waits += other.waits
        self.idles += other.idles
        self.reuses += other.reuses
        self.lost += other.lost
        self.failed += other.failed
        self.repeated |= other.repeated
        self.clashes += other.clashes
        self.meetings += other.meetings
        self.asynchronous = self.asynchronous or other.asynchronous

    def session_of(self, connection: int, moment: float) -> int | None:
        """Tell for which session a connection (its identity) worked at a moment."""
        found = [b for b in self.bound if b.connection == connection and b.moment <= moment]
        return found[-1].session if found else None

    def closed_before(self, session: int | None, moment: float) -> Location | None:
        """Tell where a session, or else the one closed last, had been closed by a moment."""
        notes = [note for key, note in self.sessions.items() if session in {None, key}]
        closes = [close for note in notes for close in note.closes if close[0] <= moment]
        return place_of(max(closes, key=lambda close: close[0])[1]) if closes else None

    def _still_open(self, recorder: Recorder) -> tuple[OpenConnection, ...]:
        """Describe what is out, and let go of every hold of this record."""
        own = [hold for hold in list(HELD.values()) if hold.recorder is recorder]
        now = recorder.clock()
        left = tuple(
            self._open_connection(hold, recorder, now)
            for hold in own
            if recorder.kind in {"http", "websocket"} and self._is_left(hold)
        )
        for hold in own:
            let_go(hold)
        return left[:MAX_NOTED]

    def _is_left(self, hold: Hold) -> bool:
        """Tell what was forgotten from what somebody still works with, or keeps on purpose."""
        if not hold.scarce or hold.kept or not hold.is_out():
            return False
        note = None
        if hold.session is not None:
            note = self.sessions.get(hold.session)
            if note is None or note.closing:  # of a fixture or a global; or just being closed
                return False
        return _is_own(hold) or not still_runs(hold)

    def _open_connection(self, hold: Hold, recorder: Recorder, now: float) -> OpenConnection:
        note = None if hold.session is None else self.sessions.get(hold.session)
        closes = note.closes if note is not None else []
        return OpenConnection(
            started_ms=recorder.ms(hold.taken),
            held_ms=round((now - hold.taken) * 1000, 3),
            phase=hold.phase,
            opened_at=None if note is None else place_of(note.opened),
            took_at=place_of(hold.sites),
            session=note is not None,
            closed_at=place_of(closes[-1][1]) if closes else None,
            closed_before=bool(closes),
            in_transaction=hold.in_transaction,
            writes=hold.writes,
            is_async=hold.is_async,
        )


def _is_own(hold: Hold) -> bool:
    """Tell whether the task or thread that seals the record is the one that took it."""
    if hold.task is None:
        return hold.thread == get_ident()
    loop = asyncio._get_running_loop()  # noqa: SLF001 - the one that does not raise
    return loop is not None and hold.task() is asyncio.current_task(loop)
