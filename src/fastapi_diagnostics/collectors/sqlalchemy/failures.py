"""Explains a lazy load that could not run, at the moment the error is made.

Pydantic swallows the error and closed sessions forget: later it could not be explained.
"""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final, Literal, NamedTuple
from weakref import ref

from fastapi_diagnostics.callsite import Site, caller_sites, frames
from fastapi_diagnostics.collectors.sqlalchemy.lineage import Lineage
from fastapi_diagnostics.collectors.sqlalchemy.private import (
    asked_for,
    is_generated,
    is_of_subclass,
    reading_code,
    relationship_path,
    state_of,
)
from fastapi_diagnostics.collectors.sqlalchemy.values import digest_of
from fastapi_diagnostics.record import LazyLoadFailure, Location, PhaseName
from fastapi_diagnostics.recorder import Recorder

MAX_FAILURES: Final = 50
_MAX_DEPTH: Final = 400
_MAX_CHAIN: Final = 20

Why = Literal["unloaded", "expired", "reloaded", "generated"]
Kind = Literal["async", "detached", "raise"]
Cause = Literal[
    "never-loaded", "expired-by-commit", "refreshed-without-relationship", "raise-strategy"
]
_SWALLOWED: Final = {
    "async": "MissingGreenlet",
    "detached": "DetachedInstanceError",
    "raise": "InvalidRequestError",
}
"""What pydantic writes into its report of an attribute that raised."""


class Failure(NamedTuple):
    """One failed load; holds no application object but a weak reference to the error."""

    kind: Kind
    attribute: str
    key: str
    collection: bool | None
    why: Why
    session: int | None
    root: str
    path: tuple[str, ...]
    option: str
    run: int | None
    identity: str | None
    cls: type
    sites: tuple[Site, ...]
    phase: PhaseName
    moment: float
    error: "ref[BaseException]"


def noted_failure(
    error: BaseException, recorder: Recorder, moment: float, kind: Kind = "async"
) -> Failure | None:
    """Look up the stack for the attribute that was being read; `None` if there was none."""
    frame = _reading_frame(sys._getframe(1))  # noqa: SLF001 - the stack is the evidence
    if frame is None:
        return None
    key: str = frame.f_locals["self"].key
    state = state_of(frame.f_locals["instance"])
    prop = state.mapper.attrs.get(key)
    identity = state.key
    attribute = f"{state.mapper.class_.__name__}.{key}"
    root, path = relationship_path(state.load_path)
    return Failure(
        kind=kind,
        session=state.session_id,
        root=root,
        path=path,
        option=asked_for(state.load_options, root, (*path, attribute)),
        attribute=attribute,
        key=key,
        collection=bool(prop.uselist) if hasattr(prop, "direction") else None,
        why=_why(state, key),
        run=state.runid,
        identity=None if identity is None else digest_of([identity[0].__qualname__, *identity[1]]),
        cls=state.mapper.class_,
        sites=caller_sites(frame.f_back, 1)[0],
        phase=recorder.phase,
        moment=moment,
        error=ref(error),
    )


def _reading_frame(frame: FrameType | None) -> FrameType | None:
    wanted = reading_code()
    for _ in range(_MAX_DEPTH):
        if frame is None or frame.f_code is wanted:
            return frame
        frame = frame.f_back
    return None


def _why(state: Any, key: str) -> Why:
    if state.expired:
        return "expired"
    if key not in state.expired_attributes:
        return "unloaded"
    if is_generated(state.mapper, key):
        return "generated"
    # A reload brings back the columns and leaves relationships marked as expired; a query for the
    # base class marks those of subclasses so.
    return "unloaded" if is_of_subclass(state.mapper, key) else "reloaded"


def sealed_failure(failure: Failure, lineage: Lineage, recorder: Recorder) -> LazyLoadFailure:
    """Find out what caused it and whether the error surfaced."""
    sessions = recorder.parts.get("sessions")
    loader = lineage.loader(failure.run)
    session = failure.session
    if session is None and sessions is not None:  # detached: whose it was, its query tells
        source = next((row.run for row in lineage.rows if row.run.number == loader), None)
        if source is not None:
            session = sessions.session_of(source.connection, source.started)
    cause, where = _cause(failure, lineage, session)
    places = frames(failure.sites)
    closed = None
    if failure.kind == "detached" and sessions is not None and loader is not None:
        closed = sessions.closed_before(session, failure.moment)
    return LazyLoadFailure(
        attribute=failure.attribute,
        collection=failure.collection,
        cause=cause,
        cause_location=where,
        parent_query=loader,
        read_at=places[0].location if places else None,
        phase=failure.phase,
        exception=_surfaced(failure, recorder),
        kind=failure.kind,
        closed_at=closed,
        path=failure.path,
        root=failure.root,
        option=failure.option,
        generated=failure.why == "generated" and cause == "expired-by-commit",
        is_async=failure.kind == "async" or bool(sessions and sessions.asynchronous),
    )


def _cause(
    failure: Failure, lineage: Lineage, session: int | None
) -> tuple[Cause, Location | None]:
    if failure.kind == "raise":
        return "raise-strategy", None
    if failure.why == "unloaded":
        return "never-loaded", None
    if failure.why == "generated":
        written = lineage.written(failure.cls, failure.moment)
        return ("never-loaded", None) if written is None else ("expired-by-commit", written)
    if failure.why == "reloaded":
        refreshes = [
            lineage.location(row)
            for row in lineage.rows
            if row.parent_key == failure.identity
            and row.run.started < failure.moment
            and lineage.common(row).kind == "refresh"
        ]
        if refreshes:
            return "refreshed-without-relationship", refreshes[-1]
    endings = [
        ending
        for ending in lineage.endings
        if ending.moment < failure.moment and session in {None, ending.session}
    ]
    places = frames(endings[-1].sites) if endings else ()
    return "expired-by-commit", places[0].location if places else None


def surfaced(error: "ref[BaseException]", recorder: Recorder) -> int | None:
    """Find the exception of the record that an error is, or became."""
    own = error()
    if own is not None:
        for index, seen in enumerate(recorder.noted()):
            if any(one is own for one in _within(seen, 0)):
                return index
    return None


def _surfaced(failure: Failure, recorder: Recorder) -> int | None:
    found = surfaced(failure.error, recorder)
    if found is not None:
        return found
    for index, seen in enumerate(recorder.noted()):
        if _names(seen, failure):
            return index
    return None


def _within(error: BaseException, depth: int) -> Iterator[BaseException]:
    """Walk an exception, what it came of, and the members of groups."""
    current: BaseException | None = error
    for _ in range(_MAX_CHAIN):
        if current is None:
            return
        yield current
        if isinstance(current, BaseExceptionGroup) and depth < _MAX_CHAIN:
            for member in current.exceptions:
                yield from _within(member, depth + 1)
        current = current.__context__ if current.__cause__ is None else current.__cause__


def _names(error: BaseException, failure: Failure) -> bool:
    """Recognise pydantic's report of an attribute that raised; the error itself is not in it."""
    if type(error).__name__ not in {"ResponseValidationError", "ValidationError"}:
        return False
    reported = error.errors()  # type: ignore[attr-defined]  # both classes have it
    return any(
        entry.get("type") == "get_attribute_error"
        and entry.get("loc", ("",))[-1] == failure.key
        and _SWALLOWED[failure.kind] in str(entry.get("msg", ""))
        for entry in reported
    )
