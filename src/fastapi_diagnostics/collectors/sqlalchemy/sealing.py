"""Turns one noted statement into plain values, and these into a `Query` in the worker."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from fastapi_diagnostics.callsite import USER_CODE, Site, frames, resolve
from fastapi_diagnostics.collectors.sqlalchemy.compiled import Known
from fastapi_diagnostics.collectors.sqlalchemy.fetching import UNKNOWN, Counting
from fastapi_diagnostics.collectors.sqlalchemy.loops import Loop, innermost_loop
from fastapi_diagnostics.collectors.sqlalchemy.normalise import Normal
from fastapi_diagnostics.collectors.sqlalchemy.private import (
    asked_for,
    relationship_path,
)
from fastapi_diagnostics.collectors.sqlalchemy.values import digest_of
from fastapi_diagnostics.record import Frame, Location, PhaseName, Query
from fastapi_diagnostics.recorder import READINGS

Manner = Literal["", "streamed", "fresh"]
"""How a statement's rows are taken: while they are read, or over what the session holds."""


class Run(NamedTuple):
    """What is plain already when a statement is noted.

    Attributes:
        loaded: The number that the ORM had given to the state whose attribute was loaded.
        mark: The ORM's number right after the statement.
        task: Identity of its task or thread; likewise `connection`.
    """

    number: int
    started: float
    ended: float
    executemany: bool
    flush: int | None
    loaded: int | None
    mark: int
    phase: PhaseName
    task: int
    transaction: int
    error: str | None
    connection: int
    on_loop: bool
    own: float | None
    window: int
    manner: Manner


class Raw(NamedTuple):
    """One statement as the hook noted it; holds references that `SqlPart.seal` lets go."""

    run: Run
    statement: str
    parameters: Any
    sites: tuple[Site, ...]
    facts: tuple[str, str | None, bool]
    known: Known
    identity: Any
    dialect: Any
    rows: Any
    path: Any
    session: int | None
    options: Any


class Common(NamedTuple):
    """What the runs of one statement have in common, as plain values.

    Attributes:
        text: Position of its normalised text in `SqlPart.texts`.
        engine: Identity of its dialect, of which each engine has one of its own.
    """

    text: int
    kind: str
    attribute: str | None
    collection: bool
    root: str
    path: tuple[str, ...]
    option: str
    generated: tuple[str, ...]
    locking: bool
    engine: int
    dialect: str
    is_async: bool


class Row(NamedTuple):
    """One statement as plain values: what leaves the request's path, where `Query` is made of it.

    Attributes:
        common: Position of a `Common` in `SqlPart.commons`.
        place: Position of its user frames in `SqlPart.places`.
    """

    run: Run
    common: int
    place: int
    digest: str
    shown: tuple[str, ...]
    rows: int | None
    parent_key: str | None
    parent: int | None
    expired_at: Location | None


MAX_ROWS: Final = 2**48
"""More than that is no count of rows."""
MAX_STACKS: Final = 2000
"""Chains of call sites that are kept resolved."""
_STACKS: Final[dict[tuple[Any, ...], tuple[tuple[Site, ...], tuple[Frame, ...]]]] = {}


def stack_of(sites: tuple[Site, ...]) -> tuple[Frame, ...]:
    """Resolve call sites and tell what kind of loop runs at each; equal ones give one object."""
    # Code objects are slow to hash. What is kept holds them, so their identities stay theirs.
    key = (USER_CODE.version, *[(id(code), lasti) for code, lasti in sites])
    known = _STACKS.get(key)
    if known is None:
        if len(_STACKS) >= MAX_STACKS:
            _STACKS.clear()
        known = _STACKS[key] = (sites, _resolved(sites))
    return known[1]


def _resolved(sites: tuple[Site, ...]) -> tuple[Frame, ...]:
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


def common_of(raw: Raw, text: int, expired_at: Location | None) -> Common:
    """Let go of what tells what a statement is for."""
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
    return Common(
        text=text,
        kind=kind,
        attribute=attribute,
        collection=collection,
        root=root,
        path=path,
        option=_option(raw, root, path, attribute) if raw.options else "",
        generated=generated,
        locking=raw.known.locking,
        engine=id(raw.dialect),
        dialect=raw.dialect.name,
        is_async=bool(raw.dialect.is_async),
    )


def queries(reading: Sequence[Any]) -> tuple[Query, ...]:
    """Make the immutable facts; runs in the worker.

    Args:
        reading: What `SqlPart.seal` gave: the start of the record, its tables and its rows.
    """
    started, texts, commons, places, rows = reading
    stacks = msgspec.convert(places, list[tuple[Frame, ...]])
    known = [Common._make(common) for common in commons]
    often = Counter(texts[known[row[1]].text][0] for row in rows)
    numbers = _Numbers({}, {}, {})
    return tuple(
        [
            _query(Row._make(row), known, texts, stacks[row[2]], started, numbers, often)
            for row in rows
        ]
    )


class _Numbers(NamedTuple):
    """Numbers in the order of their first statement, by identity."""

    engines: dict[int, int]
    tasks: dict[int, int]
    connections: dict[int, int]


def _query(
    row: Row,
    commons: list[Common],
    texts: Sequence[Any],
    stack: tuple[Frame, ...],
    started: float,
    numbers: _Numbers,
    often: Counter[str],
) -> Query:
    common = commons[row.common]
    sql, verb, batch, *_ = texts[common.text]
    run = Run._make(row.run)
    expired_at = row.expired_at
    return Query(
        index=run.number,
        sql=sql,
        kind=common.kind,
        verb=verb,
        started_ms=_ms(run.started - started),
        duration_ms=_ms(run.ended - run.started),
        phase=run.phase,
        rows=row.rows,
        values=tuple(row.shown),
        values_digest=row.digest,
        executemany=run.executemany,
        flush=run.flush,
        location=stack[0].location if stack else None,
        stack=stack if often[sql] > 1 or common.kind == "lazy" else (),
        attribute=common.attribute,
        parent_key=row.parent_key,
        parent_query=row.parent,
        collection=common.collection,
        batch=batch,
        error=run.error,
        engine=numbers.engines.setdefault(common.engine, len(numbers.engines)),
        dialect=common.dialect,
        is_async=common.is_async,
        streamed=run.manner == "streamed",
        fresh=run.manner == "fresh",
        generated=tuple(common.generated),
        task=numbers.tasks.setdefault(run.task, len(numbers.tasks)),
        connection=numbers.connections.setdefault(run.connection, len(numbers.connections)),
        on_loop=run.on_loop,
        locking=common.locking,
        transaction=run.transaction,
        root=common.root,
        path=tuple(common.path),
        option=common.option,
        own_ms=None if run.own is None else _ms(run.own),
        window=run.window,
        expired_at=None if expired_at is None else msgspec.convert(expired_at, Location),
    )


READINGS["queries"] = queries


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


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


def parent_key(identity: Any) -> str:
    """Digest the identity of an object whose attribute was loaded."""
    return digest_of([identity[0].__qualname__, *identity[1]])


def rows_of(raw: Raw, normal: Normal) -> int | None:
    """Drop what drivers answer when they do not know, and SQLite's zero before it has fetched."""
    rows: int | None = raw.rows
    if rows.__class__ is not int:
        counted = isinstance(raw.rows, Counting) and raw.rows.count != UNKNOWN
        return raw.rows.count if counted else None
    if rows is None or not 0 <= rows < MAX_ROWS:
        return None
    reads = normal.verb == "SELECT" or " RETURNING " in normal.sql
    return None if rows == 0 and reads and raw.dialect.driver == "pysqlite" else rows
