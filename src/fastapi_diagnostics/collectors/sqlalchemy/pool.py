"""Connections as they leave their pool, and what was lost by waiting for one."""

import functools
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final, NamedTuple
from weakref import ref

from fastapi_diagnostics.callsite import Site, caller_sites, frames
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.sqlalchemy import holds
from fastapi_diagnostics.collectors.sqlalchemy.holds import HELD, Hold
from fastapi_diagnostics.collectors.sqlalchemy.private import capacity
from fastapi_diagnostics.collectors.sqlalchemy.watch import WATCH
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import ConnectionHolder, Location, PhaseName
from fastapi_diagnostics.recorder import Recorder, active

MIN_WAIT_S: Final = 0.005
"""A shorter wait is no fact: threads and tasks need a moment to change."""
MAX_WAITS: Final = 50
MAX_HOLDERS: Final = 10


class Wait(NamedTuple):
    """One wait for a connection; `error` is what the pool gave up with."""

    began: float
    ended: float
    phase: PhaseName
    capacity: int
    sites: tuple[Site, ...]
    holders: tuple[ConnectionHolder, ...]
    error: "ref[BaseException] | None"


class _Crowd(NamedTuple):
    """Who had the connections when one more was asked for."""

    capacity: int
    holds: tuple[Hold, ...]


class Routes:
    """Names the route of a request that holds a connection; whoever knows it sets `name`."""

    def __init__(self) -> None:
        self.name: Callable[[Recorder], str] = lambda recorder: recorder.name


ROUTES = Routes()


def name_routes(name: Callable[[Recorder], str]) -> None:
    """Set how the route of a request that holds a connection is named; else a capture's name."""
    ROUTES.name = name


def install(hooks: Hooks, part_of: Callable[[Recorder], Any]) -> None:
    """Watch every pool, whenever it was or will be made.

    Args:
        hooks: Undoes it.
        part_of: Gives the part of a recorder on which waits are noted.
    """
    from sqlalchemy import pool  # noqa: PLC0415 - only once the application has it

    sharing = (pool.StaticPool, pool.SingletonThreadPool)
    hooks.on_undo(_forget)
    hooks.on_undo(WATCH.end)
    for owner in (pool.Pool, pool.SingletonThreadPool):
        hooks.replace(owner, "connect", functools.partial(_observed, sharing, part_of))


def _forget() -> None:
    HELD.clear()
    _COMING.clear()


class _Asked(NamedTuple):
    """One call for a connection; `crowd` is `None` if there was one to be had."""

    recorder: Recorder
    part: Any
    hold: Hold
    crowd: _Crowd | None


_COMING: Final[dict[int, Hold]] = {}
"""Holds of connections that are being opened or tested, which is no wait."""


def _observed(
    sharing: tuple[type, ...], part_of: Callable[[Recorder], Any], original: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(original)
    def connect(self: Any) -> Any:
        recorder = active()
        asked = None if recorder is None else _asking(recorder, part_of, self, sharing)
        if asked is None:
            return original(self)
        try:
            proxy = original(self)
        except Exception as error:
            _gave_up(asked, error)
            raise
        finally:
            asked.part.waiting -= 1
            _COMING.pop(id(asked.hold), None)
        _taken(asked, proxy)
        return proxy

    return connect


def _asking(
    recorder: Recorder, part_of: Callable[[Recorder], Any], pool: Any, sharing: tuple[type, ...]
) -> _Asked | None:
    """Note who has the connections, if all are out."""
    try:
        crowd = None
        part = part_of(recorder)
        hold = Hold(recorder, id(pool), perf_counter(), scarce=not isinstance(pool, sharing))
        limit = capacity(pool)
        if limit is not None and pool.checkedout() >= limit:
            others = (*list(HELD.values()), *list(_COMING.values()))
            crowd = _Crowd(limit, tuple(one for one in others if one.pool == hold.pool))
            for one in crowd.holds:
                _route(one)  # while its request is open
        else:
            _COMING[id(hold)] = hold
        part.waiting += 1
        return _Asked(recorder, part, hold, crowd)
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("sql.pool", error)
        return None


def _taken(asked: _Asked, proxy: Any) -> None:
    try:
        now, hold = perf_counter(), asked.hold
        if asked.crowd is not None and now - hold.taken >= MIN_WAIT_S:
            _note_wait(asked, asked.crowd, now, None)
        known = HELD.get(id(proxy))
        if known is None or not known.is_out():
            hold.taken = now
            holds.take(hold, proxy)
            if WATCH.asleep and hold.scarce:
                WATCH.wake()
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("sql.checkout", error)


def _gave_up(asked: _Asked, error: Exception) -> None:
    try:
        if asked.crowd is not None and type(error).__name__ == "TimeoutError":
            _note_wait(asked, asked.crowd, perf_counter(), ref(error))
    except Exception as own:  # noqa: BLE001 - ours, contained
        FAULTS.note("sql.pool timeout", own)


def _note_wait(
    asked: _Asked, crowd: _Crowd, now: float, error: "ref[BaseException] | None"
) -> None:
    recorder, part, began = asked.recorder, asked.part, asked.hold.taken
    if len(part.waits) < MAX_WAITS and not recorder.closed:
        sites, _ = caller_sites(sys._getframe(2), 1)  # noqa: SLF001 - the call site
        phase = recorder.phase_during(began, now)
        holders = _holders(recorder, crowd, now)
        part.waits.append(Wait(began, now, phase, crowd.capacity, sites, holders, error))


def _holders(recorder: Recorder, crowd: _Crowd, now: float) -> tuple[ConnectionHolder, ...]:
    """Group the connections that were out by request and line; the rest are of no request."""
    groups: dict[tuple[str, Location | None], list[Hold]] = {}
    for hold in crowd.holds:
        groups.setdefault((hold.record_id, place_of(hold.sites)), []).append(hold)
    found = [_holder(recorder, where, group, now) for (_, where), group in groups.items()]
    unknown = crowd.capacity - sum(holder.connections for holder in found)
    if unknown > 0:
        found.append(ConnectionHolder(connections=unknown))
    found.sort(key=lambda holder: (-holder.connections, -holder.held_ms))
    return tuple(found[:MAX_HOLDERS])


def _holder(
    recorder: Recorder, where: Location | None, group: list[Hold], now: float
) -> ConnectionHolder:
    longest = min(group, key=lambda hold: hold.taken)
    since, until = longest.idle_since, longest.returned or now
    idle = longest.idle_s + (0.0 if since is None else until - since)
    return ConnectionHolder(
        request_id=longest.record_id,
        route=longest.route,
        location=where,
        connections=len(group),
        held_ms=round((until - longest.taken) * 1000, 3),
        idle_ms=round(idle * 1000, 3),
        own=longest.record_id == recorder.id,
    )


def _route(hold: Hold) -> str:
    if not hold.route and hold.recorder is not None and not hold.recorder.closed:
        hold.route = ROUTES.name(hold.recorder)
    return hold.route


def let_go(hold: Hold) -> None:
    """Keep no recorder that is about to close, only the name of its route."""
    with FAULTS.contained("sql.route"):
        _route(hold)
    hold.recorder = None


def place_of(sites: tuple[Site, ...]) -> Location | None:
    """Resolve the innermost of call sites; `None` if there is none."""
    places = frames(sites[:1])
    return places[0].location if places else None
