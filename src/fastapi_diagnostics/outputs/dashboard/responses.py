"""What endpoints returned and what was sent of it: by route, with what was removed and why."""

from collections.abc import Iterable

import msgspec
from starlette.datastructures import QueryParams

from fastapi_diagnostics.finding import Group
from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.dashboard.choices import Choice
from fastapi_diagnostics.outputs.dashboard.comparisons import (
    ResponseFacts,
    RouteTally,
    responses,
)
from fastapi_diagnostics.outputs.dashboard.judged import Judged
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.outputs.dashboard.removals import (
    RemovedRow,
    leak_row,
    removed_rows,
)
from fastapi_diagnostics.outputs.dashboard.rows import RANK
from fastapi_diagnostics.outputs.dashboard.scans import Extent, all_groups, scanned
from fastapi_diagnostics.outputs.dashboard.shell import Frame, Shell
from fastapi_diagnostics.outputs.dashboard.words import (
    Moment,
    cut,
    moment,
    plural,
    sentence,
)
from fastapi_diagnostics.store.protocol import ScanQuery

ROUTES = 10
REMOVED = 12
"""Rows of removed fields of a route, unless it is the only one asked for."""
ALL_REMOVED = 100
SENT = 60
_FAMILY = "RES"
_TEXT = 160
_MAX_PAGE_NUMBER = 1_000
_SHOWN = ("all", "mistakes", "removed")


class ResponseBlock(msgspec.Struct, frozen=True, kw_only=True):
    """One route.

    Attributes:
        sent: Paths that went out, each with in how many responses where it was not in all.
        note: What to say where nothing could be compared.
    """

    name: str
    href: str
    place: Place | None
    looked: str
    example: str
    seen: Moment
    returned: str
    model: str
    sent: tuple[tuple[str, str], ...]
    sent_label: str
    removed: tuple[RemovedRow, ...]
    more_removed: str
    leaks: tuple[RemovedRow, ...]
    note: str


class ResponsesPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page.

    Attributes:
        first: Whether to teach what will stand here.
    """

    shell: Shell
    headline: str
    detail: str
    choices: tuple[Choice, ...]
    search: str
    hidden: tuple[tuple[str, str], ...]
    routes: tuple[ResponseBlock, ...]
    summary: str
    more: str
    clear: str
    first: bool


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    show: str
    route: str | None
    search: str | None
    page: int

    def query(self, **changes: str | None) -> dict[str, str | None]:
        mine = {
            "show": None if self.show == "all" else self.show,
            "route": self.route,
            "q": self.search,
        }
        return mine | changes


def responses_page(frame: Frame) -> ResponsesPage:
    """Build the page; blocks.

    Raises:
        InvalidParameterError: The URL asks for what there is not.
    """
    wanted = _wanted(frame.request.query_params)
    extent = Extent()
    query = ScanQuery(limit=parameters.MAX_LIMIT)
    routes = responses(scanned(frame.backend.store, query, ResponseFacts, extent))
    ranks = _ranks(all_groups(frame.backend.store, "open"))
    routes.sort(key=lambda route: _order(route, ranks))
    shown = [route for route in routes if _fits(route, wanted, ranks)]
    start = (wanted.page - 1) * ROUTES
    judged = Judged(frame.backend.store, _FAMILY)
    blocks = tuple(_block(route, frame, judged, wanted) for route in shown[start : start + ROUTES])
    filtered = bool(wanted.route or wanted.search or wanted.show != "all")
    link = frame.links.page
    following = link("/responses", **wanted.query(page=str(wanted.page + 1)))
    headline, detail = _told(frame, routes, extent)
    return ResponsesPage(
        shell=frame.shell("Responses", "responses"),
        headline=headline,
        detail=detail,
        choices=_choices(frame, routes, wanted, ranks),
        search=wanted.search or "",
        hidden=tuple((key, value) for key, value in wanted.query(q=None).items() if value),
        routes=blocks,
        summary=_summary(len(shown), start, len(blocks), filtered=filtered),
        more=following if start + ROUTES < len(shown) else "",
        clear=link("/responses") if filtered else "",
        first=not routes,
    )


def _wanted(params: QueryParams) -> _Wanted:
    return _Wanted(
        show=parameters.choice(params, "show", _SHOWN) or "all",
        route=parameters.text(params, "route"),
        search=parameters.text(params, "q"),
        page=parameters.whole(params, "page", 1, _MAX_PAGE_NUMBER) or 1,
    )


def _ranks(groups: Iterable[Group]) -> dict[str, int]:
    """Give the worst severity of the open findings about the responses of each route."""
    ranks: dict[str, int] = {}
    for group in groups:
        if group.rule.startswith(_FAMILY):
            for route in group.routes:
                ranks[route] = min(ranks.get(route, RANK["info"]), RANK[group.severity])
    return ranks


def _is_mistaken(route: RouteTally, ranks: dict[str, int]) -> bool:
    return ranks.get(route.name, RANK["info"]) < RANK["info"]


def _order(route: RouteTally, ranks: dict[str, int]) -> tuple[int, bool, str]:
    return ranks.get(route.name, RANK["info"]), not route.stripped, route.name


def _fits(route: RouteTally, wanted: _Wanted, ranks: dict[str, int]) -> bool:
    if wanted.route is not None and wanted.route != route.name:
        return False
    if wanted.show == "mistakes" and not _is_mistaken(route, ranks):
        return False
    if wanted.show == "removed" and not route.stripped:
        return False
    if wanted.search is None:
        return True
    parts = (route.name, *route.models, *route.returned, *route.sent, *route.stripped)
    return wanted.search.lower() in " ".join(parts).lower()


def _choices(
    frame: Frame, routes: list[RouteTally], wanted: _Wanted, ranks: dict[str, int]
) -> tuple[Choice, ...]:
    labels = {"all": "All", "mistakes": "With mistakes", "removed": "With removed fields"}
    if len(routes) < 2:  # noqa: PLR2004 - nothing to choose between
        return ()
    return tuple(
        Choice(
            label=label,
            href=frame.links.page(
                "/responses", **wanted.query(show=None if name == "all" else name)
            ),
            count=f"{sum(_fits(one, _of(name), ranks) for one in routes):,}",
            current=name == wanted.show,
        )
        for name, label in labels.items()
    )


def _of(show: str) -> _Wanted:
    return _Wanted(show=show, route=None, search=None, page=1)


def _block(route: RouteTally, frame: Frame, judged: Judged, wanted: _Wanted) -> ResponseBlock:
    links = frame.links
    rows = removed_rows(route, frame, judged)
    most = ALL_REMOVED if wanted.route else REMOVED
    rest = len(rows) - most
    return ResponseBlock(
        name=cut(route.name, 300) or "no route",
        href=links.page("/responses", route=route.name),
        place=place_of(route.endpoint, links),
        looked=plural(route.looked, "response"),
        example=links.request(route.latest),
        seen=moment(route.at, frame.now),
        returned=_types(route.returned),
        model=_types(route.models),
        sent=tuple(_sent(path, count, route) for path, count in _first(route.sent)),
        sent_label=plural(len(route.sent), "declared field"),
        removed=tuple(rows[:most]),
        more_removed=f"{rest} more" if rest > 0 else "",
        leaks=tuple(leak_row(tally, route, frame, judged) for tally in route.secrets.values()),
        note=_note(route),
    )


def _first(sent: dict[str, int]) -> list[tuple[str, int]]:
    return list(sent.items())[:SENT]


def _types(names: dict[str, int]) -> str:
    known = sorted((name for name in names if name), key=lambda name: names[name], reverse=True)
    more = f" and {len(known) - 3} more" if len(known) > 3 else ""  # noqa: PLR2004 - enough
    return cut(" or ".join(known[:3]), _TEXT) + more


def _sent(path: str, count: int, route: RouteTally) -> tuple[str, str]:
    return cut(path, _TEXT), "" if count >= route.compared else f"in {count:,}"


def _note(route: RouteTally) -> str:
    if route.compared:
        return ""
    if not _types(route.models):
        return "It has no response model: all that it returns goes out."
    return "This model does not tell what it lets through, so nothing could be compared."


def _summary(total: int, start: int, count: int, *, filtered: bool) -> str:
    if not count:
        return "No route fits these filters." if filtered else ""
    if count == total:
        return plural(total, "route")
    return f"{start + 1} to {start + count} of {plural(total, 'route')}"


def _told(frame: Frame, routes: list[RouteTally], extent: Extent) -> tuple[str, str]:
    """Say the verdict and what it is drawn from."""
    if routes:
        removed = [route for route in routes if route.stripped]
        fields = sum(len(route.stripped) for route in removed)
        looked = plural(sum(route.looked for route in routes), "response")
        newest = "" if extent.whole else ", the newest ones"
        verdict = f"No response lost a field at {plural(len(routes), 'route')}."
        if removed:
            some = f"{len(removed):,} of " if len(removed) < len(routes) else ""
            where = f"{some}{plural(len(routes), 'route')}"
            verdict = f"Response models removed {plural(fields, 'field')} at {where}."
        return verdict, f"{looked} looked at{newest}: the first of each kind, then one in ten."
    hook = frame.hook("response")
    if hook is not None and not hook.on:
        return "Responses are not watched.", sentence(hook.why or "the hook is off")
    total = frame.store.totals.requests
    if not total:
        return "No request recorded yet.", "Send one to your application: this page will tell."
    return f"Nothing to compare in {plural(total, 'request')}.", (
        "None of them returned something that FastAPI turned into an answer."
    )
