"""Notes one statement: a tuple of references, and nothing that can wait."""

import sys
from asyncio import _get_running_loop, current_task
from collections.abc import Callable
from threading import get_ident
from types import FrameType
from typing import Any, Final

from fastapi_diagnostics.callsite import (
    LIBRARY,
    USER_CODE,
    Site,
    caller_sites,
    parent_greenlet,
)
from fastapi_diagnostics.collectors.sqlalchemy import reads
from fastapi_diagnostics.collectors.sqlalchemy.compiled import Known, facts_of, known_of
from fastapi_diagnostics.collectors.sqlalchemy.eager import (
    MAX_LOADS,
    Load,
    Noted,
    joined_in,
    load_of,
)
from fastapi_diagnostics.collectors.sqlalchemy.fetching import counted, sampled
from fastapi_diagnostics.collectors.sqlalchemy.normalise import CUT
from fastapi_diagnostics.collectors.sqlalchemy.part import (
    MAX_ALIKE,
    MAX_DROPPED,
    MAX_KEPT,
    MAX_STATEMENT,
    SqlPart,
)
from fastapi_diagnostics.collectors.sqlalchemy.private import default_fetch
from fastapi_diagnostics.collectors.sqlalchemy.sealing import Manner, Raw, Run
from fastapi_diagnostics.collectors.sqlalchemy.values import held
from fastapi_diagnostics.recorder import Recorder

MAX_STACK: Final = 8
LONG_S: Final = 0.05
"""From here on it is asked how much of a statement's time was its own."""

_new = tuple.__new__
"""Makes a named tuple past its generated function, which costs as much again."""

Note = Callable[..., tuple[Site, ...] | None]


def make_note(run_id: Callable[[], int]) -> Note:  # noqa: C901, PLR0915 - one closure, see below
    """Make the function that the listeners call once per statement.

    Args:
        run_id: Numbers the ORM's passes over results.
    """
    usual = default_fetch()

    def note(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the hot path: nothing in between
        recorder: Recorder,
        dialect: Any,
        statement: str,
        parameters: Any,
        context: Any,
        ended: float,
        executemany: bool,  # noqa: FBT001
        cursor: Any,
        error: str | None = None,
    ) -> tuple[Site, ...] | None:
        part = recorder.parts.get("sql") or recorder.part("sql", SqlPart)
        number = part.count
        part.count = number + 1
        alike = part.seen.get(statement, 0)
        if part.kept >= MAX_KEPT or alike >= MAX_ALIKE or part.room < 0:
            if len(part.dropped_marks) < MAX_DROPPED:
                part.dropped_marks.append(run_id())
            return None
        part.kept += 1
        if not alike:
            part.room -= len(statement)
            if len(statement) > MAX_STATEMENT:
                statement = f"{statement[:MAX_STATEMENT]}{CUT}"
        part.seen[statement] = alike + 1
        given = context.execution_options
        load = given.get("_sa_orm_load_options")
        known = known_of(context.compiled)
        way = 0 if load is None else 1 if load._lazy_loaded_from is None else 2  # noqa: SLF001
        facts = known.facts[way] or facts_of(known, way, context.invoked_statement, load)
        kind = facts[0]
        rows = None if cursor is None else _rows(cursor, context, dialect)
        loaded = identity = path = session = options = None
        sites, flush = _sites(known)
        if sites == part.sites:  # a loop's statements follow one another
            sites = part.sites
        else:
            part.sites = sites
        if load is not None:
            state = load._lazy_loaded_from or load._refresh_state  # noqa: SLF001
            if state is not None:
                loaded, identity = state.runid, state.key
                path, session = state.load_path, state.session_id
                options = state.load_options
            elif kind == "eager":
                path = context.invoked_statement._compile_options._current_path  # noqa: SLF001
                _note_eager(part, number, path.path, sites)
            elif kind == "get":
                options = known.options
        if kind != "core":
            joined = joined_in(known, context.compiled)
            if joined is not None and error is None:
                _note_joined(part, number, joined.loads, sites)
                if joined.keys is not None and _may_count(context, usual):
                    rows = context.cursor_fetch_strategy = sampled(joined.keys)
        if (
            rows is None
            and cursor is not None
            and _reads(cursor, context)
            and _may_count(context, usual)
        ):
            rows = context.cursor_fetch_strategy = counted()
        loop = _get_running_loop()
        started = getattr(context, "_fd_started", ended)
        is_long = ended - started >= LONG_S
        run = (
            number,
            started,
            ended,
            executemany,
            part.flushes if flush else None,
            loaded,
            run_id(),
            recorder.phase,
            id(current_task(loop)) if loop is not None else get_ident(),
            part.transactions,
            error,
            id(context.root_connection),
            loop is not None and not dialect.is_async,
            _own_time(recorder, started, ended, dialect) if is_long else None,
            recorder.window,
            _manner(given),
        )
        raw = (
            _new(Run, run),
            statement,
            held(parameters, executemany=executemany),
            sites,
            facts,
            known,
            identity,
            dialect,
            rows,
            path,
            session,
            options,
        )
        part.raws.append(_new(Raw, raw))
        return sites

    return note


def _sites(known: Known) -> tuple[tuple[Site, ...], bool]:
    """Collect the user's call sites, and tell whether a flush ran the statement.

    In the greenlet of an asynchronous call there is SQLAlchemy's code alone, as a rule: a dozen
    frames, the same ones at each run of a statement. They are passed over once that is known.
    """
    parent = parent_greenlet()
    if parent is None or known.depth < 0:
        return caller_sites(sys._getframe(3), MAX_STACK)  # noqa: SLF001 - above the listener
    if known.depth and known.version == USER_CODE.version:
        try:
            frame = sys._getframe(known.depth)  # noqa: SLF001
        except ValueError:  # another call of SQLAlchemy's, with fewer frames
            frame = None
        if frame is not None and frame.f_code is known.bottom and frame.f_back is None:
            return caller_sites(parent.gr_frame, MAX_STACK, parent)
    if _count_frames(known, sys._getframe(0)):  # noqa: SLF001
        return caller_sites(parent.gr_frame, MAX_STACK, parent)
    return caller_sites(sys._getframe(3), MAX_STACK)  # noqa: SLF001


def _count_frames(known: Known, frame: FrameType | None) -> bool:
    """Count the frames of a greenlet; `False` if any is the user's, or a flush."""
    depth = 0
    known.version = USER_CODE.version
    while frame is not None:
        code = frame.f_code
        if USER_CODE.kind(code.co_filename) != LIBRARY:
            known.depth = -1
            return False
        known.depth, known.bottom = depth, code
        frame = frame.f_back
        depth += 1
    return True


def _manner(options: Any) -> Manner:
    if "populate_existing" in options:
        return "fresh"
    return "streamed" if "stream_results" in options or "yield_per" in options else ""


def _own_time(recorder: Recorder, started: float, ended: float, dialect: Any) -> float | None:
    """Ask who times the request's loop; a synchronous driver in its thread is what it does."""
    timing = recorder.timing
    if timing is None:
        return None
    own: float | None = timing.own_time(started, ended, on_loop=dialect.is_async)
    return own


def _note_eager(part: SqlPart, number: int, path: Any, sites: tuple[Site, ...]) -> None:
    """Note a statement that loads a relationship for all parents at once."""
    if len(part.eager) < MAX_LOADS and hasattr(path[-1], "direction"):
        load = load_of(path)
        part.eager.append(Noted(number, reads.stamp(), load, "selectin", sites))


def _note_joined(
    part: SqlPart, number: int, loads: tuple[Load, ...], sites: tuple[Site, ...]
) -> None:
    if len(part.eager) < MAX_LOADS:
        moment = reads.stamp()
        part.eager += [Noted(number, moment, load, "joined", sites) for load in loads]


def _may_count(context: Any, usual: Any) -> bool:
    """Leave results alone that are streamed, or that somebody else fetches in a way of his own."""
    options = context.execution_options
    return (
        context.cursor_fetch_strategy is usual
        and not context._is_server_side  # noqa: SLF001
        and "stream_results" not in options
        and "yield_per" not in options
    )


def _reads(cursor: Any, context: Any) -> bool:
    """Tell a result with rows; what RETURNING brings is fetched in other ways."""
    return cursor.description is not None and not (
        context.isinsert or context.isupdate or context.isdelete
    )


def _rows(cursor: Any, context: Any, dialect: Any) -> int | None:
    """Ask the driver, where that is free: never a server-side cursor."""
    if context._is_server_side:  # noqa: SLF001 - asking would fetch
        return None
    # The asyncio adapters have fetched already; their drivers pass the question on and on.
    if dialect.is_async and (buffered := getattr(cursor, "_rows", None)):
        return len(buffered)
    rows: int = cursor.rowcount
    if rows < 0:
        buffered = getattr(cursor, "_rows", None)
        return None if buffered is None or cursor.description is None else len(buffered)
    return rows
