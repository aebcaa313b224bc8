"""The requests that validation refused: by route, by field, each with what was probably meant."""

import msgspec
from starlette.datastructures import QueryParams

from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.dashboard.choices import Choice
from fastapi_diagnostics.outputs.dashboard.judged import Judged
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.outputs.dashboard.refusals import (
    FieldTally,
    RefusalFacts,
    RouteTally,
    expected,
    refused,
)
from fastapi_diagnostics.outputs.dashboard.scans import Extent, scanned
from fastapi_diagnostics.outputs.dashboard.shell import Frame, Shell
from fastapi_diagnostics.outputs.dashboard.ways import WayRow, way_row
from fastapi_diagnostics.outputs.dashboard.words import (
    Moment,
    cut,
    moment,
    plural,
    sentence,
    times,
)
from fastapi_diagnostics.store.protocol import ScanQuery

ROUTES = 8
FIELDS = 6
"""Of a route, unless it is the only one asked for."""
ALL_FIELDS = 60
WAYS = 3
_FAMILY = "REQ"
_TEXT = 160
_MAX_PAGE_NUMBER = 1_000
_SORTS = {"most": "Most refused", "latest": "Latest"}


class FieldRow(msgspec.Struct, frozen=True, kw_only=True):
    """One field, or another part of the request."""

    path: str
    expected: str
    count: str
    seen: Moment
    ways: tuple[WayRow, ...]
    more_ways: str


class RouteBlock(msgspec.Struct, frozen=True, kw_only=True):
    """One route.

    Attributes:
        href: To this route alone, with all its fields.
        requests_href: To the list of its requests.
    """

    name: str
    href: str
    place: Place | None
    requests: str
    requests_href: str
    seen: Moment
    fields: tuple[FieldRow, ...]
    more_fields: str
    note: str


class ValidationPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page.

    Attributes:
        first: Whether to teach what will stand here.
    """

    shell: Shell
    headline: str
    detail: str
    sorts: tuple[Choice, ...]
    search: str
    hidden: tuple[tuple[str, str], ...]
    routes: tuple[RouteBlock, ...]
    summary: str
    more: str
    clear: str
    first: bool


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    sort: str
    route: str | None
    search: str | None
    page: int

    def query(self, **changes: str | None) -> dict[str, str | None]:
        mine = {
            "sort": None if self.sort == "most" else self.sort,
            "route": self.route,
            "q": self.search,
        }
        return mine | changes


def validation_page(frame: Frame) -> ValidationPage:
    """Build the page; blocks.

    Raises:
        InvalidParameterError: The URL asks for what there is not.
    """
    wanted = _wanted(frame.request.query_params)
    extent = Extent()
    query = ScanQuery(limit=parameters.MAX_LIMIT)
    routes = refused(scanned(frame.backend.store, query, RefusalFacts, extent))
    shown = [route for route in routes if _fits(route, wanted)]
    shown.sort(key=lambda route: (route.at,) if wanted.sort == "latest" else (route.requests,),
               reverse=True)  # fmt: skip
    start = (wanted.page - 1) * ROUTES
    judged = Judged(frame.backend.store, _FAMILY)
    blocks = tuple(_block(route, frame, judged, wanted) for route in shown[start : start + ROUTES])
    filtered = bool(wanted.route or wanted.search)
    link = frame.links.page
    following = link("/validation", **wanted.query(page=str(wanted.page + 1)))
    headline, detail = _told(frame, shown, extent, filtered=filtered)
    return ValidationPage(
        shell=frame.shell("Validation", "validation"),
        headline=headline,
        detail=detail,
        sorts=_sorts(frame, wanted) if len(routes) > 1 else (),
        search=wanted.search or "",
        hidden=tuple((key, value) for key, value in wanted.query(q=None).items() if value),
        routes=blocks,
        summary=_summary(len(shown), start, len(blocks)),
        more=following if start + ROUTES < len(shown) else "",
        clear=link("/validation", sort=wanted.query()["sort"]) if filtered else "",
        first=not routes and not filtered,
    )


def _wanted(params: QueryParams) -> _Wanted:
    return _Wanted(
        sort=parameters.choice(params, "sort", tuple(_SORTS)) or "most",
        route=parameters.text(params, "route"),
        search=parameters.text(params, "q"),
        page=parameters.whole(params, "page", 1, _MAX_PAGE_NUMBER) or 1,
    )


def _fits(route: RouteTally, wanted: _Wanted) -> bool:
    if wanted.route is not None and wanted.route != route.name:
        return False
    if wanted.search is None:
        return True
    text = " ".join([route.name, *route.fields]).lower()
    return wanted.search.lower() in text


def _sorts(frame: Frame, wanted: _Wanted) -> tuple[Choice, ...]:
    return tuple(
        Choice(
            label=label,
            href=frame.links.page(
                "/validation", **wanted.query(sort=None if name == "most" else name)
            ),
            current=name == wanted.sort,
        )
        for name, label in _SORTS.items()
    )


def _block(route: RouteTally, frame: Frame, judged: Judged, wanted: _Wanted) -> RouteBlock:
    links = frame.links
    fields = sorted(route.fields.values(), key=lambda field: field.count, reverse=True)
    most = ALL_FIELDS if wanted.route else FIELDS
    rest = len(fields) - most
    left_out = f"{plural(route.left_out, 'refusal')} of yet other fields are not shown"
    return RouteBlock(
        name=cut(route.name, 300),
        href=links.page("/validation", route=route.name),
        place=place_of(route.endpoint, links),
        requests=plural(route.requests, "refused request"),
        requests_href=links.requests(route=route.name),
        seen=moment(route.at, frame.now),
        fields=tuple(_field(field, frame, judged) for field in fields[:most]),
        more_fields=plural(rest, "more field") if rest > 0 else "",
        note=sentence(left_out) if route.left_out else "",
    )


def _field(field: FieldTally, frame: Frame, judged: Judged) -> FieldRow:
    ways = sorted(field.ways.values(), key=lambda way: way.count, reverse=True)
    first = ways[0]
    rest = len(ways) - WAYS
    return FieldRow(
        path=cut(field.path, _TEXT),
        expected=cut(expected(first.error, first.rejection), 200),
        count=times(field.count) or "once",
        seen=moment(field.at, frame.now),
        ways=tuple(way_row(way, len(ways), frame, judged) for way in ways[:WAYS]),
        more_ways=f"{plural(rest, 'more way')} of being wrong" if rest > 0 else "",
    )


def _summary(total: int, start: int, count: int) -> str:
    if count == total:
        return plural(total, "route")
    return f"{start + 1} to {start + count} of {plural(total, 'route')}" if count else ""


def _told(
    frame: Frame, routes: list[RouteTally], extent: Extent, *, filtered: bool
) -> tuple[str, str]:
    """Say the verdict and what it is drawn from."""
    if routes:
        count = plural(sum(route.requests for route in routes), "request")
        fields = plural(sum(len(route.fields) for route in routes), "field")
        newest = "" if extent.whole else "the newest "
        looked = f"{newest}{plural(extent.records, 'record')}"
        return (
            f"Validation refused {count} at {plural(len(routes), 'route')}.",
            f"{sentence(f'{fields} in all, found in {looked}')} Values are redacted.",
        )
    if filtered:
        return "No refused request fits these filters.", ""
    hook = frame.hook("exceptions")
    if hook is not None and not hook.on:
        return "Refused requests are not watched.", sentence(hook.why or "the hook is off")
    total = frame.store.totals.requests
    if not total:
        return "No request recorded yet.", "Send one to your application: this page will tell."
    return f"Nothing was refused in {plural(total, 'request')}.", ""
