"""The statements of a request; those that repeat are one row."""

import msgspec

from fastapi_diagnostics.outputs.dashboard.highlight import Token, sql, sql_line
from fastapi_diagnostics.outputs.dashboard.links import Links
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.outputs.dashboard.words import cut, milliseconds, plural, times
from fastapi_diagnostics.record import Query

LINE = 150
FULL = 1_500
_MAX_STACK = 8

_KINDS = {
    "lazy": "lazy load",
    "eager": "eager load",
    "column": "deferred column",
    "expired": "expired attributes",
    "refresh": "refresh",
    "get": "by primary key",
}


class QueryGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One statement and how often it ran from one line.

    Attributes:
        full: Empty when the short form is all there is.
        values: A sample of the bound values.
    """

    times: str
    line: tuple[Token, ...]
    full: tuple[Token, ...]
    kind: str
    attribute: str
    phase: str
    rows: str
    took: str
    place: Place | None
    callers: tuple[Place, ...]
    values: str
    error: str


def query_groups(queries: tuple[Query, ...], links: Links) -> tuple[QueryGroup, ...]:
    """Group statements by text, place and phase, in the order of their first run."""
    grouped: dict[object, list[Query]] = {}
    for query in queries:
        grouped.setdefault((query.sql, query.location, query.phase), []).append(query)
    return tuple(_group(runs, links) for runs in grouped.values())


def _group(runs: list[Query], links: Links) -> QueryGroup:
    first = runs[0]
    counted = [query.rows for query in runs if query.rows is not None]
    short = sql_line(first.sql, LINE)
    is_whole = "".join(token.text for token in short) == " ".join(first.sql.split())
    return QueryGroup(
        times=times(len(runs)),
        line=short,
        full=() if is_whole else sql(cut(first.sql, FULL)),
        kind=_KINDS.get(first.kind, ""),
        attribute=first.attribute or "",
        phase=first.phase if first.phase != "endpoint" else "",
        rows=plural(sum(counted), "row") if counted else "",
        took=milliseconds(sum(query.duration_ms for query in runs)),
        place=place_of(first.location, links),
        callers=_callers(first, links),
        values=cut(", ".join(first.values), 200),
        error=next((query.error for query in runs if query.error), ""),
    )


def _callers(query: Query, links: Links) -> tuple[Place, ...]:
    places = (place_of(frame.location, links) for frame in query.stack[1:_MAX_STACK])
    return tuple(place for place in places if place is not None)
