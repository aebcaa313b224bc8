"""The statements of a request; those that repeat are one row."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from fastapi_diagnostics.finding import Group
from fastapi_diagnostics.outputs.dashboard.bars import Span, joined
from fastapi_diagnostics.outputs.dashboard.highlight import Token, sql, sql_line
from fastapi_diagnostics.outputs.dashboard.lineage import Gutter, gutters
from fastapi_diagnostics.outputs.dashboard.links import Links
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.outputs.dashboard.words import cut, milliseconds, plural, times
from fastapi_diagnostics.record import Query, RequestRecord

LINE = 150
FULL = 1_500
TRACK = 1_000
"""Width of the drawing of a row, in units of its own."""
_MAX_STACK = 8
_MAX_BARS = 24
_MAX_SAMPLES = 5
_LEAST = 4

_KINDS = {
    "lazy": "lazy load",
    "eager": "eager load",
    "column": "deferred column",
    "expired": "expired attributes",
    "refresh": "refresh",
    "get": "by primary key",
}


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What was concluded of a row: a finding with its link, or why it is in order."""

    label: str
    href: str = ""
    title: str = ""


class QueryGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One statement and how often it ran from one line.

    Attributes:
        anchor: Its place within the page.
        values: A sample of the bound values; `samples` are those of the first runs.
        parents: Anchors and numbers of the rows that loaded what this one asks about.
        track: Outline of its bars, `TRACK` wide and 10 high.
        tone: ``sql``, or ``failed``.
    """

    anchor: str
    number: str
    times: str
    line: tuple[Token, ...]
    full: tuple[Token, ...]
    kind: str
    attribute: str
    phase: str
    rows: str
    took: str
    each: str
    place: Place | None
    callers: tuple[Place, ...]
    values: str
    samples: tuple[str, ...]
    error: str
    parents: tuple[tuple[str, str], ...]
    marks: tuple[Mark, ...]
    track: str
    tone: str
    gutter: Gutter | None


class QueryList(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that are shown, and how many there would be."""

    rows: tuple[QueryGroup, ...]
    total: int


def query_list(
    record: RequestRecord, findings: Sequence[Group], links: Links, *, whole_ms: float, most: int
) -> QueryList:
    """Group statements by text, place and phase, in the order of their first run.

    Args:
        record: The request.
        findings: What was found in it.
        links: Of the page.
        whole_ms: What the width of the drawing stands for.
        most: Rows to show.
    """
    grouped: dict[object, list[Query]] = {}
    for query in record.queries:
        grouped.setdefault((query.sql, query.location, query.phase), []).append(query)
    groups = list(grouped.values())
    rows = {query.index: number for number, runs in enumerate(groups) for query in runs}
    parents = [_parents(runs, rows) for runs in groups[:most]]
    drawn = gutters({row: found[0] for row, found in enumerate(parents) if found}, len(parents))
    return QueryList(
        rows=tuple(
            _group(
                number,
                runs,
                links,
                parents=parents[number],
                marks=_marks(record, runs, findings, links),
                gutter=drawn[number],
                whole_ms=whole_ms,
            )
            for number, runs in enumerate(groups[:most])
        ),
        total=len(groups),
    )


def _parents(runs: list[Query], rows: dict[int, int]) -> list[int]:
    """Give the rows that loaded the parents, the most common first."""
    found = Counter(
        rows[query.parent_query]
        for query in runs
        if query.parent_query is not None and query.parent_query in rows
    )
    return [row for row, _ in found.most_common(3)]


def _group(
    number: int,
    runs: list[Query],
    links: Links,
    *,
    parents: list[int],
    marks: tuple[Mark, ...],
    gutter: Gutter | None,
    whole_ms: float,
) -> QueryGroup:
    first = runs[0]
    counted = [query.rows for query in runs if query.rows is not None]
    spent = sum(query.duration_ms for query in runs)
    error = next((query.error for query in runs if query.error), "")
    return QueryGroup(
        anchor=f"q{number + 1}",
        number=str(number + 1),
        times=times(len(runs)),
        line=sql_line(first.sql, LINE),
        full=sql(cut(first.sql, FULL)),
        kind=_KINDS.get(first.kind, ""),
        attribute=first.attribute or "",
        phase=first.phase if first.phase != "endpoint" else "",
        rows=plural(sum(counted), "row") if counted else "",
        took=milliseconds(spent),
        each=f"{milliseconds(spent / len(runs))} each" if len(runs) > 1 else "",
        place=place_of(first.location, links),
        callers=_callers(first, links),
        values=cut(", ".join(first.values), 60),
        samples=_samples(runs),
        error=error,
        parents=tuple((f"#q{row + 1}", str(row + 1)) for row in parents if row != number),
        marks=marks,
        track=_track(runs, whole_ms),
        tone="failed" if error else "sql",
        gutter=gutter,
    )


def _callers(query: Query, links: Links) -> tuple[Place, ...]:
    places = (place_of(frame.location, links) for frame in query.stack[:_MAX_STACK])
    found = tuple(place for place in places if place is not None)
    return found if len(found) > 1 else ()


def _samples(runs: list[Query]) -> tuple[str, ...]:
    """Give the values of the first runs that differ; nothing where the row shows all there is."""
    shown = list(dict.fromkeys(cut(", ".join(query.values), 200) for query in runs if query.values))
    if len(shown) == 1 and len(shown[0]) <= 60:  # noqa: PLR2004 - as the row cuts them
        return ()
    rest = len(shown) - _MAX_SAMPLES
    more = (f"… and {rest:,} more",) if rest > 0 else ()
    return (*shown[:_MAX_SAMPLES], *more)


def _marks(
    record: RequestRecord, runs: list[Query], findings: Sequence[Group], links: Links
) -> tuple[Mark, ...]:
    indexes = {query.index for query in runs}
    accused = [
        Mark(label=group.rule, href=links.finding(group.fingerprint), title=group.title)
        for group in findings
        if _is_about(group, runs[0].sql, indexes)
    ]
    cleared = [
        Mark(label=item.what, title=item.reason)
        for item in record.cleared
        if not indexes.isdisjoint(item.queries)
    ]
    return (*accused, *cleared)


def _is_about(group: Group, statement: str, indexes: set[int]) -> bool:
    """Tell whether a finding is about these runs: by their numbers if it has them, or its text."""
    numbers = group.evidence.get("queries")
    if isinstance(numbers, list):
        return not indexes.isdisjoint(number for number in numbers if isinstance(number, int))
    return group.evidence.get("sql") == statement


def _track(runs: list[Query], whole_ms: float) -> str:
    """Draw the runs as one outline."""
    spans = [Span(query.started_ms, query.started_ms + query.duration_ms, "", "") for query in runs]
    pieces = []
    for span in joined(spans, whole_ms, _MAX_BARS):
        width = max(_LEAST, round(TRACK * (span.end - span.start) / whole_ms))
        x = max(0, min(round(TRACK * span.start / whole_ms), TRACK - width))
        pieces.append(f"M{x} 0h{width}v10h-{width}z")
    return "".join(pieces)
