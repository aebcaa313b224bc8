"""The statements of all requests, each with what it cost altogether."""

from collections import defaultdict
from collections.abc import Iterable
from operator import attrgetter

import msgspec
from starlette.datastructures import QueryParams

from fastapi_diagnostics.finding import Group
from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.dashboard.choices import Choice, Menu
from fastapi_diagnostics.outputs.dashboard.highlight import Token, sql, sql_line
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.outputs.dashboard.queries import Mark
from fastapi_diagnostics.outputs.dashboard.scans import Extent, all_groups, scanned
from fastapi_diagnostics.outputs.dashboard.shell import Frame, Shell
from fastapi_diagnostics.outputs.dashboard.tallies import (
    StatementFacts,
    Tallies,
    Tally,
    tallied,
)
from fastapi_diagnostics.outputs.dashboard.words import (
    cut,
    milliseconds,
    plural,
    sentence,
    times,
)
from fastapi_diagnostics.record import Location
from fastapi_diagnostics.store.protocol import ScanQuery

ROWS = 20
"""Rows of a page: the HTML stays below 60 KB."""
LINE = 220
FULL = 800
_PLACES = 3
_ROUTES = 4
_MAX_PAGE_NUMBER = 1_000
_MAX_MENU = 30

_SORTS = {
    "total": ("Total", attrgetter("total_ms")),
    "runs": ("Runs", attrgetter("runs")),
    "most": ("In one request", attrgetter("most")),
    "mean": ("Mean", attrgetter("mean_ms")),
    "slowest": ("Slowest", attrgetter("slowest_ms")),
}


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a column: a link that sorts by it."""

    label: str
    href: str
    current: bool


class RouteShare(msgspec.Struct, frozen=True, kw_only=True):
    """A route and how often it ran the statement."""

    name: str
    href: str
    times: str


class StatementRow(msgspec.Struct, frozen=True, kw_only=True):
    """One statement.

    Attributes:
        most: The most runs in a single request, with a link to that request.
        share: Width of the bar that compares totals, 1 to 100.
        slowest_href: The request of the slowest run.
    """

    anchor: str
    line: tuple[Token, ...]
    full: tuple[Token, ...]
    marks: tuple[Mark, ...]
    places: tuple[Place, ...]
    more_places: str
    routes: tuple[RouteShare, ...]
    more_routes: str
    route_count: str
    runs: str
    requests: str
    most: str
    most_href: str
    mean: str
    slowest: str
    slowest_href: str
    total: str
    share: int


class StatementList(msgspec.Struct, frozen=True, kw_only=True):
    """The page.

    Attributes:
        scope: What was looked through, in a sentence.
        verdict: The sentence that stands for the list when it is empty.
        first: Whether to teach what is seen.
    """

    shell: Shell
    headings: tuple[Heading, ...]
    menus: tuple[Menu, ...]
    search: str
    hidden: tuple[tuple[str, str], ...]
    rows: tuple[StatementRow, ...]
    scope: str
    note: str
    summary: str
    verdict: str
    detail: str
    first: bool
    more: str
    clear: str


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    sort: str
    route: str | None
    search: str | None
    page: int

    def query(self, **changes: str | None) -> dict[str, str | None]:
        mine = {
            "sort": None if self.sort == "total" else self.sort,
            "route": self.route,
            "q": self.search,
        }
        return mine | changes


def statement_list(frame: Frame) -> StatementList:
    """Build the page; blocks.

    Raises:
        InvalidParameterError: The URL asks for what there is not.
    """
    wanted = _wanted(frame.request.query_params)
    extent = Extent()
    query = ScanQuery(with_queries=True, limit=parameters.MAX_LIMIT)
    records = scanned(frame.backend.store, query, StatementFacts, extent)
    tallies = tallied(records, wanted.route)
    shown = [
        statement
        for statement in tallies.statements
        if wanted.search is None or wanted.search.lower() in statement.sql.lower()
    ]
    shown.sort(key=_SORTS[wanted.sort][1], reverse=True)
    start = (wanted.page - 1) * ROWS
    rows = shown[start : start + ROWS]
    found = _findings(all_groups(frame.backend.store, "open"))
    top = max((statement.total_ms for statement in shown), default=0.0)
    filtered = bool(wanted.route or wanted.search)
    verdict, detail = _verdict(frame, filtered=filtered)
    following = frame.links.page("/queries", **wanted.query(page=str(wanted.page + 1)))
    return StatementList(
        shell=frame.shell("Queries", "queries"),
        headings=tuple(
            Heading(
                label=label,
                href=frame.links.page(
                    "/queries", **wanted.query(sort=None if name == "total" else name)
                ),
                current=name == wanted.sort,
            )
            for name, (label, _) in _SORTS.items()
        ),
        menus=_menus(frame, wanted, tallies),
        search=wanted.search or "",
        hidden=tuple((key, value) for key, value in wanted.query(q=None).items() if value),
        rows=tuple(_row(statement, frame, found, top) for statement in rows),
        scope=_scope(tallies, extent),
        note=_note(tallies),
        summary=_summary(len(shown), start, len(rows)),
        verdict="" if rows else verdict,
        detail=detail,
        first=not rows and not filtered,
        more=following if start + ROWS < len(shown) else "",
        clear=frame.links.page("/queries", sort=wanted.query()["sort"]) if filtered else "",
    )


def _wanted(params: QueryParams) -> _Wanted:
    return _Wanted(
        sort=parameters.choice(params, "sort", tuple(_SORTS)) or "total",
        route=parameters.text(params, "route"),
        search=parameters.text(params, "q"),
        page=parameters.whole(params, "page", 1, _MAX_PAGE_NUMBER) or 1,
    )


def _findings(groups: Iterable[Group]) -> dict[str, list[Group]]:
    """Give the open findings about a statement, by its text."""
    found: defaultdict[str, list[Group]] = defaultdict(list)
    for group in groups:
        statement = group.evidence.get("sql")
        if isinstance(statement, str):
            found[statement].append(group)
    return found


def _row(statement: Tally, frame: Frame, found: dict[str, list[Group]], top: float) -> StatementRow:
    links = frame.links
    accused = tuple(
        Mark(label=group.rule, href=links.finding(group.fingerprint), title=cut(group.title, 200))
        for group in found.get(statement.sql, ())[:4]
    )
    cleared = tuple(
        Mark(label=f"{cut(what, 80)} {times(count)}".rstrip(), title=reason)
        for (what, reason), count in statement.cleared.most_common(3)
    )
    places = (
        place_of(msgspec.convert(place, Location, from_attributes=True), links)
        for place, _ in statement.places.most_common(_PLACES)
    )
    routes = statement.routes.most_common(_ROUTES)
    rest = len(statement.places) - _PLACES
    others = len(statement.routes) - _ROUTES
    return StatementRow(
        anchor=f"s{statement.number}",
        line=sql_line(statement.sql, LINE),
        full=sql(cut(statement.sql, FULL)),
        marks=accused + cleared,
        places=tuple(place for place in places if place is not None),
        more_places=f"+{plural(rest, 'line')}" if rest > 0 else "",
        routes=tuple(
            RouteShare(
                name=cut(name, 120) or "no route",
                href=links.page("/queries", route=name) if name else "",
                times=times(count),
            )
            for name, count in routes
        ),
        more_routes=f"+{plural(others, 'route')}" if others > 0 else "",
        route_count=f"+{len(statement.routes) - 1} more" if len(statement.routes) > 1 else "",
        runs=f"{statement.runs:,}",
        requests=plural(statement.requests, "request"),
        most=times(statement.most) or "once",
        most_href=links.request(statement.most_in) if statement.most > 1 else "",
        mean=milliseconds(statement.mean_ms),
        slowest=milliseconds(statement.slowest_ms),
        slowest_href=links.request(statement.slowest_in),
        total=milliseconds(statement.total_ms),
        share=max(1, round(100 * statement.total_ms / top)) if top > 0 else 1,
    )


def _menus(frame: Frame, wanted: _Wanted, tallies: Tallies) -> tuple[Menu, ...]:
    if len(tallies.routes) < 2 and not wanted.route:  # noqa: PLR2004 - nothing to choose between
        return ()
    choices = [
        Choice(label="Any", href=frame.links.page("/queries", **wanted.query(route=None))),
        *(
            Choice(
                label=cut(name, 120),
                href=frame.links.page("/queries", **wanted.query(route=name)),
                count=f"{count:,}",
                current=name == wanted.route,
            )
            for name, count in sorted(tallies.routes.most_common(_MAX_MENU))
            if name
        ),
    ]
    return (Menu(label="Route", value=wanted.route or "any", choices=tuple(choices)),)


def _scope(tallies: Tallies, extent: Extent) -> str:
    if not tallies.requests:
        return ""
    newest = "" if extent.whole else "the newest "
    return (
        f"{plural(len(tallies.statements), 'statement')}, {plural(tallies.runs, 'run')}, "
        f"{milliseconds(tallies.total_ms)} in {newest}{plural(tallies.requests, 'request')}"
    )


def _note(tallies: Tallies) -> str:
    """Say what the figures leave out."""
    parts = []
    if tallies.unseen:
        runs = plural(tallies.unseen, "more run")
        parts.append(f"{runs} of very large requests are counted there, not here")
    if tallies.left_out:
        parts.append(f"{plural(tallies.left_out, 'run')} of yet other statements are left out")
    return sentence("; ".join(parts))


def _summary(total: int, start: int, count: int) -> str:
    if count == total:
        return plural(total, "statement")
    return f"{start + 1} to {start + count} of {plural(total, 'statement')}" if count else ""


def _verdict(frame: Frame, *, filtered: bool) -> tuple[str, str]:
    if filtered:
        return "No statement fits these filters.", ""
    hook = frame.sql_hook()
    if hook is not None and not hook.on:
        return "SQL is not watched.", sentence(hook.why or "the hook is off")
    if not frame.store.totals.requests:
        return "No request recorded yet.", "Send one to your application: this page will tell."
    requests = plural(frame.store.totals.requests, "request")
    return f"No statement in {requests}.", "None of them asked a database through SQLAlchemy."
