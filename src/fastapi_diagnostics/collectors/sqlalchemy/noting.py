"""Notes one statement: a tuple of references, and nothing that can wait."""

import sys
from asyncio import _get_running_loop, current_task
from collections.abc import Callable
from threading import get_ident
from typing import Any, Final

from fastapi_diagnostics.callsite import caller_sites
from fastapi_diagnostics.collectors.sqlalchemy.part import (
    MAX_ALIKE,
    MAX_DROPPED,
    MAX_KEPT,
    MAX_STATEMENT,
    SqlPart,
)
from fastapi_diagnostics.collectors.sqlalchemy.private import orm_facts
from fastapi_diagnostics.collectors.sqlalchemy.values import held
from fastapi_diagnostics.recorder import Recorder

MAX_STACK: Final = 8

Note = Callable[..., None]


def make_note(run_id: Callable[[], int]) -> Note:
    """Make the function that the listeners call once per statement.

    Args:
        run_id: Numbers the ORM's passes over results.
    """

    def note(  # noqa: PLR0913, PLR0917 - the hot path: no object in between
        recorder: Recorder,
        dialect: Any,
        statement: str,
        parameters: Any,
        context: Any,
        ended: float,
        executemany: bool,  # noqa: FBT001
        cursor: Any,
        error: str | None = None,
    ) -> None:
        part = recorder.part("sql", SqlPart)
        number = part.count
        part.count = number + 1
        alike = part.seen.get(statement, 0)
        if part.kept >= MAX_KEPT or alike >= MAX_ALIKE or part.room < 0:
            if len(part.dropped_marks) < MAX_DROPPED:
                part.dropped_marks.append(run_id())
            return
        part.kept += 1
        if not alike:
            part.room -= len(statement)
            if len(statement) > MAX_STATEMENT:
                statement = statement[:MAX_STATEMENT]
        part.seen[statement] = alike + 1
        load = context.execution_options.get("_sa_orm_load_options")
        run = identity = None
        if load is not None:
            state = load._lazy_loaded_from or load._refresh_state  # noqa: SLF001
            if state is not None:
                run, identity = state.runid, state.key
        sites, flush = caller_sites(sys._getframe(2), MAX_STACK)  # noqa: SLF001
        loop = _get_running_loop()
        part.raws.append(
            (
                number,
                getattr(context, "_fd_started", ended),
                ended,
                statement,
                held(parameters, executemany=executemany),
                executemany,
                sites,
                part.flushes if flush else None,
                orm_facts(context.invoked_statement, load),
                context.compiled,
                run,
                identity,
                run_id(),
                dialect,
                recorder.phase,
                id(current_task(loop)) if loop is not None else get_ident(),
                None if cursor is None else _rows(cursor, context),
                part.transactions,
                error,
            )
        )

    return note


def _rows(cursor: Any, context: Any) -> int | None:
    """Ask the driver, where that is free: never a server-side cursor."""
    if context._is_server_side:  # noqa: SLF001 - asking would fetch
        return None
    rows: int = cursor.rowcount
    if rows < 0:
        buffered = getattr(cursor, "_rows", None)  # the asyncio adapters have fetched already
        return None if buffered is None or cursor.description is None else len(buffered)
    return rows
