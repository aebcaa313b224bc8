"""What was loaded along with its parents: noted with the statement, judged when all was read."""

from typing import Any, Final, NamedTuple

from fastapi_diagnostics.callsite import Site
from fastapi_diagnostics.collectors.sqlalchemy import reads
from fastapi_diagnostics.collectors.sqlalchemy.compiled import Known
from fastapi_diagnostics.collectors.sqlalchemy.fetching import Keys, Sampling
from fastapi_diagnostics.collectors.sqlalchemy.normalise import Normal
from fastapi_diagnostics.collectors.sqlalchemy.private import joined_parts
from fastapi_diagnostics.collectors.sqlalchemy.sealing import Common, Row
from fastapi_diagnostics.record import EagerLoad, JoinedCollection, JoinedRows

MAX_LOADS: Final = 300
_MAPPED: Final = frozenset({"joined", False, "selectin", "subquery"})


class Load(NamedTuple):
    """One relationship of an eager load; plain values only, so that a part may keep it.

    Attributes:
        attributes: What `reads.watch` gave.
        parents: The same of the step before; empty for the first one.
        opaque: Whether a method of the parents' class looks into ``__dict__``.
    """

    attribute: str
    path: tuple[str, ...]
    root: str
    mapped: bool
    collection: bool
    attributes: tuple[int, ...]
    parents: tuple[int, ...]
    opaque: bool


class Joined(NamedTuple):
    """What a compiled statement joins; found out once.

    Attributes:
        loads: In the order of their paths.
        keys: Where to look for multiplied rows; `None` where nothing multiplies.
    """

    loads: tuple[Load, ...]
    keys: Keys | None


class Noted(NamedTuple):
    """An eager load of one statement; `stamp` tells reads before it from those after."""

    number: int
    stamp: int
    load: Load
    how: str
    sites: tuple[Site, ...]


def joined_in(known: Known, compiled: Any) -> Joined | None:
    """Tell what a statement of the ORM joins; `None` if nothing."""
    if known.watching is not reads.watching():
        known.joined = _joined(compiled)
        known.watching = reads.watching()
    joined: Joined | None = known.joined
    return joined


def _joined(compiled: Any) -> Joined | None:
    parts = joined_parts(compiled)
    if not parts.paths:
        return None
    loads = tuple(load_of(path) for path in parts.paths)
    keys = Keys(parts.lead, parts.collections) if parts.lead and parts.collections else None
    return Joined(loads, keys)


def load_of(path: tuple[Any, ...]) -> Load:
    """Describe the relationship at the end of a path, and watch it."""
    relationship = path[-1]
    steps = [part for part in path if hasattr(part, "direction")]
    return Load(
        attribute=_name(relationship),
        path=tuple(_name(step) for step in steps),
        root=path[0].class_.__name__ if getattr(path[0], "is_mapper", False) else "",
        mapped=relationship.lazy in _MAPPED,
        collection=bool(relationship.uselist),
        attributes=reads.watch(relationship),
        parents=reads.watch(steps[-2]) if len(steps) > 1 else (),
        opaque=reads.class_looks_inside(relationship.parent.class_),
    )


def _name(relationship: Any) -> str:
    return f"{relationship.parent.class_.__name__}.{relationship.key}"


def sealed_load(
    noted: Noted, rows: dict[int, Row], commons: list[Common], texts: list[Normal]
) -> EagerLoad:
    """Tell whether it was read by now."""
    load = noted.load
    opaque = load.opaque or any(reads.looks_inside(code) for code, _ in noted.sites)
    read = reads.read_since(noted.stamp, load.attributes)
    # Who looked for parents and found none had nothing to read this of.
    reached = not reads.read_since(noted.stamp, load.parents) or reads.found_since(
        noted.stamp, load.parents
    )
    return EagerLoad(
        attribute=load.attribute,
        path=load.path if load.root else (),
        query=noted.number,
        source=_source(noted, rows, commons, texts),
        how="joined" if noted.how == "joined" else "selectin",
        mapped=load.mapped,
        collection=load.collection,
        read=None if not read and (opaque or not reached) else read,
    )


def _source(
    noted: Noted, rows: dict[int, Row], commons: list[Common], texts: list[Normal]
) -> int | None:
    """Find the query that takes the option: its own, or the last one before of that class."""
    own = rows.get(noted.number)
    if own is None:
        return None
    kind = commons[own.common].kind
    if kind == "lazy":
        return own.parent
    if noted.how == "joined" and kind != "eager":
        return noted.number
    before = [
        (number, common)
        for number in range(noted.number - 1, max(-1, noted.number - 50), -1)
        if (row := rows.get(number)) is not None
        and row.run.task == own.run.task
        and (common := commons[row.common]).kind != "eager"
        and texts[common.text].verb == "SELECT"
    ]
    same = (number for number, common in before if common.attribute == noted.load.root)
    return next(same, before[0][0] if before else None)


def sealed_rows(number: int, strategy: Sampling) -> JoinedRows:
    """Give the counts of a statement that joined several collections."""
    lead, *others = (len(found - {None}) for found in strategy.found)
    names = (name for name, _ in strategy.keys.collections)
    return JoinedRows(
        query=number,
        rows=strategy.sampled,
        parents=lead,
        collections=tuple(
            JoinedCollection(attribute=name, distinct=distinct)
            for name, distinct in zip(names, others, strict=True)
        ),
    )
