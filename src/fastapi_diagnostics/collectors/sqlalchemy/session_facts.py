"""Makes facts of what was noted of sessions, transactions and connections."""

from collections import Counter
from typing import Final

from fastapi_diagnostics.collectors.sqlalchemy.failures import surfaced
from fastapi_diagnostics.collectors.sqlalchemy.holds import Idle
from fastapi_diagnostics.collectors.sqlalchemy.pool import Wait, place_of
from fastapi_diagnostics.collectors.sqlalchemy.session_notes import (
    Clash,
    Failed,
    Lost,
    Meeting,
    Reuse,
)
from fastapi_diagnostics.record import (
    FailedCommit,
    IdleConnection,
    LostWrites,
    PoolWait,
    SessionClash,
    SessionReuse,
)
from fastapi_diagnostics.recorder import Recorder
from fastapi_diagnostics.redaction import redact_text

MAX_ERROR: Final = 300


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def sealed_pool_wait(wait: Wait, recorder: Recorder) -> PoolWait:
    """Describe a wait for a connection."""
    return PoolWait(
        started_ms=recorder.ms(wait.began),
        waited_ms=_ms(wait.ended - wait.began),
        phase=wait.phase,
        capacity=wait.capacity,
        location=place_of(wait.sites),
        holders=wait.holders,
        timed_out=wait.error is not None,
        exception=None if wait.error is None else surfaced(wait.error, recorder),
    )


def sealed_idle_connection(idle: Idle, recorder: Recorder) -> IdleConnection | None:
    """Name the line that was found waiting most often; `None` if most looks found none."""
    seen = Counter((look.site, look.call) for look in idle.looks if look.site is not None)
    if 2 * seen.total() <= len(idle.looks):
        return None
    (site, call), _ = seen.most_common(1)[0]
    where = None if site is None else place_of((site,))
    if where is None:
        return None
    return IdleConnection(
        started_ms=recorder.ms(idle.began),
        idle_ms=_ms(idle.ended - idle.began),
        phase=idle.phase,
        waited_at=where,
        call=call,
        took_at=place_of(idle.sites),
        held_ms=_ms(idle.ended - idle.taken),
        in_transaction=idle.in_transaction,
        writes=idle.writes,
        streaming=idle.streaming,
        scarce=idle.scarce,
        database=round(sum(look.database for look in idle.looks) / len(idle.looks), 2),
        dialect=idle.dialect,
        is_async=idle.is_async,
    )


def sealed_reuse(reuse: Reuse, recorder: Recorder) -> SessionReuse:
    """Describe the use of a session after it was closed."""
    note = reuse.note
    moment, sites, phase = note.closes[reuse.closes - 1]
    return SessionReuse(
        used_ms=recorder.ms(reuse.moment),
        closed_ms=recorder.ms(moment),
        phase=reuse.phase,
        closed_phase=phase,
        used_at=place_of(reuse.sites),
        opened_at=place_of(note.opened),
        closed_at=place_of(sites) or place_of(note.opened),
        closed_again=len(note.closes) > reuse.closes,
        refused=reuse.error is not None,
        is_async=note.is_async,
        exception=None if reuse.error is None else surfaced(reuse.error, recorder),
    )


def sealed_lost_writes(lost: list[Lost], recorder: Recorder) -> tuple[LostWrites, ...]:
    """Find the statements again by the moment at which they began."""
    part = recorder.parts.get("sql")
    numbers: dict[float, int] = {}
    if part is not None:
        runs = (noted.run for noted in (*part.rows, *part.raws))
        numbers = {run.started: run.number for run in runs}
    return tuple(
        LostWrites(
            phase=one.phase,
            queries=tuple(numbers[moment] for moment in one.written if moment in numbers),
            statements=one.writes,
            added=one.added,
            added_at=place_of(one.note.added) if one.note is not None and one.added else None,
            opened_at=None if one.note is None else place_of(one.note.opened),
            closed_at=place_of(one.closed),
            is_async=one.is_async,
        )
        for one in lost
    )


def sealed_meeting(meeting: Meeting) -> SessionClash:
    """Describe two statements that were under way on one connection."""
    return SessionClash(error="", phase=meeting.phase, location=place_of(meeting.sites))


def sealed_clash(clash: Clash, recorder: Recorder) -> SessionClash:
    """Describe a call that a session refused."""
    return SessionClash(
        error=redact_text(clash.text, MAX_ERROR),
        phase=clash.phase,
        location=place_of(clash.sites),
        closing=clash.closing,
        exception=surfaced(clash.error, recorder),
    )


def sealed_commit(failed: Failed, recorder: Recorder, *, repeated: bool) -> FailedCommit:
    """Describe a commit that raised."""
    return FailedCommit(
        phase=failed.phase,
        error=redact_text(failed.text, MAX_ERROR),
        location=place_of(failed.sites),
        answered=failed.answered,
        repeated=repeated,
        exception=surfaced(failed.error, recorder),
    )
