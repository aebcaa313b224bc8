"""Turns one noted statement into a `Query` of plain values."""

from typing import Any, NamedTuple

import msgspec

from fastapi_diagnostics.callsite import Site, frames, resolve
from fastapi_diagnostics.collectors.sqlalchemy.loops import loop_kind
from fastapi_diagnostics.collectors.sqlalchemy.normalise import Normal
from fastapi_diagnostics.collectors.sqlalchemy.values import described, digest_of
from fastapi_diagnostics.record import Frame, Location, PhaseName, Query
from fastapi_diagnostics.recorder import Recorder


class Raw(NamedTuple):
    """One statement as the hook noted it; holds references that `SqlPart.seal` lets go."""

    number: int
    started: float
    ended: float
    statement: str
    parameters: Any
    executemany: bool
    sites: tuple[Site, ...]
    flush: int | None
    facts: tuple[str, str | None, bool]
    compiled: Any
    run: int | None
    identity: Any
    mark: int
    dialect: Any
    phase: PhaseName
    task: int
    rows: int | None
    transaction: int
    error: str | None


def stack_of(sites: tuple[Site, ...]) -> tuple[Frame, ...]:
    """Resolve call sites and tell what kind of loop runs at each."""
    kinds = {resolve(*site).location: loop_kind(site) for site in reversed(sites)}
    return tuple(
        msgspec.structs.replace(frame, loop=kinds.get(frame.location, ""))
        if frame.in_loop
        else frame
        for frame in frames(sites)
    )


def sealed_query(  # noqa: PLR0913 - what the record knows of this statement
    raw: Raw,
    normal: Normal,
    recorder: Recorder,
    *,
    location: Location | None,
    stack: tuple[Frame, ...],
    mode: str,
    engine: int,
    task: int,
    parent: int | None,
) -> Query:
    """Make the immutable fact."""
    kind, attribute, collection = raw.facts
    names = getattr(raw.compiled, "positiontup", None)
    digest, shown = described(raw.statement, raw.parameters, names, normal.literals, mode)
    return Query(
        index=raw.number,
        sql=normal.sql,
        kind=kind,
        verb=normal.verb,
        started_ms=recorder.ms(raw.started),
        duration_ms=round((raw.ended - raw.started) * 1000, 3),
        phase=raw.phase,
        rows=_rows(raw, normal),
        values=shown,
        values_digest=digest,
        executemany=raw.executemany,
        flush=raw.flush,
        location=location,
        stack=stack,
        attribute=attribute,
        parent_key=_parent_key(raw.identity),
        parent_query=parent,
        collection=collection,
        batch=normal.batch,
        error=raw.error,
        engine=engine,
        dialect=raw.dialect.name,
        task=task,
        transaction=raw.transaction,
    )


def _parent_key(identity: Any) -> str | None:
    if identity is None:
        return None
    return digest_of([identity[0].__qualname__, *identity[1]])


def _rows(raw: Raw, normal: Normal) -> int | None:
    """Drop what drivers answer when they do not know, and SQLite's zero before it has fetched."""
    rows = raw.rows
    if rows is None or not 0 <= rows < 2**48:
        return None
    reads = normal.verb == "SELECT" or " RETURNING " in normal.sql
    return None if rows == 0 and reads and raw.dialect.driver == "pysqlite" else rows
