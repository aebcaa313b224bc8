"""Turns one noted statement into a `Query` of plain values."""

from typing import Any, Literal, NamedTuple

import msgspec

from fastapi_diagnostics.callsite import Site, frames, resolve
from fastapi_diagnostics.collectors.sqlalchemy.fetching import UNKNOWN, Counting
from fastapi_diagnostics.collectors.sqlalchemy.loops import Loop, innermost_loop
from fastapi_diagnostics.collectors.sqlalchemy.normalise import Normal
from fastapi_diagnostics.collectors.sqlalchemy.private import (
    asked_for,
    is_locking,
    relationship_path,
)
from fastapi_diagnostics.collectors.sqlalchemy.values import described, digest_of
from fastapi_diagnostics.record import Frame, Location, PhaseName, Query
from fastapi_diagnostics.recorder import Recorder

Manner = Literal["", "streamed", "fresh"]
"""How a statement's rows are taken: while they are read, or over what the session holds."""


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
    rows: Any
    transaction: int
    error: str | None
    path: Any
    session: int | None
    connection: int
    on_loop: bool
    options: Any
    own: float | None
    window: int
    manner: Manner


def stack_of(sites: tuple[Site, ...]) -> tuple[Frame, ...]:
    """Resolve call sites and tell what kind of loop runs at each."""
    loops = {
        resolve(*site).location: loop
        for site in reversed(sites)
        if (loop := innermost_loop(site)) is not None
    }
    return tuple(_with_loop(frame, loops.get(frame.location)) for frame in frames(sites))


def _with_loop(frame: Frame, loop: Loop | None) -> Frame:
    if loop is None:
        return msgspec.structs.replace(frame, in_loop=False) if frame.in_loop else frame
    column = loop.column if loop.line == frame.location.line else None
    return Frame(location=frame.location, in_loop=True, loop=loop.kind, loop_column=column)


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
    connection: int,
    parent: int | None,
    expired_at: Location | None,
) -> Query:
    """Make the immutable fact."""
    kind, attribute, collection = raw.facts
    generated: tuple[str, ...] = ()
    if kind == "expired" and attribute is not None and "." in attribute:
        if expired_at is None:  # nothing was written: they had never been loaded
            kind = "column"
        else:
            attribute, _, columns = attribute.partition(".")
            generated = tuple(columns.split(","))
    root, path = ("", ()) if raw.path is None else relationship_path(raw.path)
    if attribute is not None and root and kind in {"lazy", "eager"} and path[-1:] != (attribute,):
        path = (*path, attribute)
    option = _option(raw, root, path, attribute) if raw.options else ""
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
        is_async=bool(raw.dialect.is_async),
        streamed=raw.manner == "streamed",
        fresh=raw.manner == "fresh",
        generated=generated,
        task=task,
        connection=connection,
        on_loop=raw.on_loop,
        locking=is_locking(raw.compiled),
        transaction=raw.transaction,
        root=root,
        path=path,
        option=option,
        own_ms=None if raw.own is None else round(raw.own * 1000, 3),
        window=raw.window,
        expired_at=expired_at,
    )


def _option(raw: Raw, root: str, path: tuple[str, ...], attribute: str | None) -> str:
    """Tell what the query of the parents asks for this attribute; columns may be several."""
    kind = raw.facts[0]
    if kind == "get":
        return "options"
    if kind == "lazy":
        return asked_for(raw.options, root, path)
    if kind != "column" or attribute is None:
        return ""
    entity, _, keys = attribute.partition(".")
    found = (asked_for(raw.options, root, (*path, f"{entity}.{key}")) for key in keys.split(","))
    return next(filter(None, found), "")


def _parent_key(identity: Any) -> str | None:
    if identity is None:
        return None
    return digest_of([identity[0].__qualname__, *identity[1]])


def _rows(raw: Raw, normal: Normal) -> int | None:
    """Drop what drivers answer when they do not know, and SQLite's zero before it has fetched."""
    rows: int | None = raw.rows
    if rows.__class__ is not int:
        counted = isinstance(raw.rows, Counting) and raw.rows.count != UNKNOWN
        return raw.rows.count if counted else None
    if rows is None or not 0 <= rows < 2**48:
        return None
    reads = normal.verb == "SELECT" or " RETURNING " in normal.sql
    return None if rows == 0 and reads and raw.dialect.driver == "pysqlite" else rows
