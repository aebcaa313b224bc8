"""The application as it stands: its routes, its guards, what was found without a request."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec
from starlette.datastructures import QueryParams

from fastapi_diagnostics.app_record import AppRecord, DependencyFact, RouteFact, ThreadClass
from fastapi_diagnostics.finding import Group
from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.dashboard.choices import Choice
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.outputs.dashboard.queries import Mark
from fastapi_diagnostics.outputs.dashboard.rows import RANK, FindingRow, finding_row
from fastapi_diagnostics.outputs.dashboard.scans import all_groups
from fastapi_diagnostics.outputs.dashboard.shell import Frame, Shell
from fastapi_diagnostics.outputs.dashboard.words import cut, plural

ROWS = 50
MAX_FINDINGS = 12
MAX_THREADS = 12
_MAX_PAGE_NUMBER = 1_000
_MAX_DEPENDENCIES = 30
_TEXT = 120

_SHOWN = ("all", "open", "guarded")


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a chain; `branch` draws how deep it lies."""

    branch: str
    name: str
    note: str
    place: Place | None


class RouteRow(msgspec.Struct, frozen=True, kw_only=True):
    """One route.

    Attributes:
        guards: Who is let in; empty where nobody asks.
        guard_note: What to say instead of, or besides, the guards.
    """

    methods: str
    path: str
    name: str
    place: Place | None
    guards: tuple[str, ...]
    guard_note: str
    answer: str
    chain: tuple[Dependency, ...]
    chain_label: str
    marks: tuple[Mark, ...]


class ThreadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A class that is used as a dependency."""

    name: str
    place: Place | None
    routes: str
    note: str


class ApplicationPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page.

    Attributes:
        headline: The verdict in a sentence.
        more_findings: Where the others are; empty if all are shown.
        threads: Classes that FastAPI makes in a thread; `more_threads` says how many others.
    """

    shell: Shell
    headline: str
    detail: str
    findings: tuple[FindingRow, ...]
    more_findings: str
    more_label: str
    threads: tuple[ThreadRow, ...]
    more_threads: str
    choices: tuple[Choice, ...]
    search: str
    show: str
    rows: tuple[RouteRow, ...]
    summary: str
    more: str
    clear: str


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    search: str | None
    show: str
    page: int

    def query(self, **changes: str | None) -> dict[str, str | None]:
        mine = {"q": self.search, "show": None if self.show == "all" else self.show}
        return mine | changes


def application_page(frame: Frame) -> ApplicationPage:
    """Build the page; blocks.

    Raises:
        InvalidParameterError: The URL asks for what there is not.
    """
    wanted = _wanted(frame.request.query_params)
    record = frame.backend.application() or AppRecord()
    groups = _groups(frame)
    shown = [route for route in record.routes if _fits(route, wanted)]
    start = (wanted.page - 1) * ROWS
    rows = shown[start : start + ROWS]
    marks = _marks(groups, frame)
    link = frame.links.page
    more = start + ROWS < len(shown)
    rest = len(record.thread_classes) - MAX_THREADS
    return ApplicationPage(
        shell=frame.shell("Application", "application"),
        headline=_headline(record, groups),
        detail=_detail(record),
        findings=tuple(finding_row(one, frame.links, frame.now) for one in groups[:MAX_FINDINGS]),
        more_findings=frame.links.home(notes="1") if len(groups) > MAX_FINDINGS else "",
        more_label=f"{len(groups) - MAX_FINDINGS} more",
        threads=tuple(_thread(one, frame) for one in _by_use(record)[:MAX_THREADS]),
        more_threads=plural(rest, "more such class", "more such classes") if rest > 0 else "",
        choices=_choices(frame, record, wanted),
        search=wanted.search or "",
        show=wanted.query()["show"] or "",
        rows=tuple(_row(route, frame, marks) for route in rows),
        summary=_summary(len(shown), start, len(rows), wanted),
        more=link("/application", **wanted.query(page=str(wanted.page + 1))) if more else "",
        clear=link("/application") if wanted.search or wanted.show != "all" else "",
    )


def _by_use(record: AppRecord) -> list[ThreadClass]:
    return sorted(record.thread_classes, key=lambda one: (not one.only_stores, -one.routes))


def _thread(one: ThreadClass, frame: Frame) -> ThreadRow:
    return ThreadRow(
        name=cut(one.name, _TEXT),
        place=place_of(one.location, frame.links),
        routes=plural(one.routes, "route"),
        note="for nothing: making one only sets attributes"
        if one.only_stores
        else "unless making one waits for something, for nothing",
    )


def _wanted(params: QueryParams) -> _Wanted:
    return _Wanted(
        search=parameters.text(params, "q"),
        show=parameters.choice(params, "show", _SHOWN) or "all",
        page=parameters.whole(params, "page", 1, _MAX_PAGE_NUMBER) or 1,
    )


def _groups(frame: Frame) -> list[Group]:
    """Give the open findings of rules that judge the application, worst first."""
    rules = frame.backend.rules()
    codes = {rule.code for rule in rules if "application" in rule.subjects}
    found = [one for one in all_groups(frame.backend.store, "open") if one.rule in codes]
    return sorted(found, key=lambda one: (RANK[one.severity], one.rule))


def _headline(record: AppRecord, groups: list[Group]) -> str:
    if not record.routes:
        return "Nothing is known of the application yet."
    routes = plural(len(record.routes), "route")
    name = cut(record.title, _TEXT) or "The application"
    if not groups:
        return f"{name} has {routes}, and nothing to say against it."
    count = plural(len(groups), "thing")
    return f"{name} has {routes}, and {count} to look at."


def _detail(record: AppRecord) -> str:
    if not record.routes:
        return "It is looked at when it has started, or with its first request."
    told = "Found in its routes, models and mappings alone, without any request."
    if record.guarding_middleware:
        names = ", ".join(record.guarding_middleware[:3])
        told += f" {cut(names, _TEXT)} may check who asks, before any route does."
    if record.truncated:
        told += " It is so large that only a part of it was looked at."
    return told


def _fits(route: RouteFact, wanted: _Wanted) -> bool:
    if wanted.show == "open" and (not _guard_note(route) or route.guards):
        return False
    if wanted.show == "guarded" and not route.guards:
        return False
    text = f"{route.label} {route.name} {route.response_model or ''}".lower()
    return wanted.search is None or wanted.search.lower() in text


def _choices(frame: Frame, record: AppRecord, wanted: _Wanted) -> tuple[Choice, ...]:
    labels = {"all": "All", "guarded": "Guarded", "open": "Not guarded"}
    if not any(route.guards for route in record.routes):
        return ()
    return tuple(
        Choice(
            label=label,
            href=frame.links.page(
                "/application", **wanted.query(show=None if name == "all" else name)
            ),
            count=f"{sum(_fits(one, _of(name)) for one in record.routes):,}",
            current=name == wanted.show,
        )
        for name, label in labels.items()
    )


def _of(show: str) -> _Wanted:
    return _Wanted(search=None, show=show, page=1)


def _marks(groups: Iterable[Group], frame: Frame) -> dict[str, list[Mark]]:
    """Give what was found about a route, by its label and by its endpoint."""
    found: defaultdict[str, list[Mark]] = defaultdict(list)
    for group in groups:
        href, title = frame.links.finding(group.fingerprint), cut(group.title, 200)
        mark = Mark(label=group.rule, href=href, title=title)
        named = group.evidence.get("routes")
        keys = [str(name) for name in named] if isinstance(named, list) else []
        if group.location is not None:
            keys.append(f"{group.location.file} {group.location.function}")
        for key in dict.fromkeys(keys):
            found[key].append(mark)
    return found


def _row(route: RouteFact, frame: Frame, marks: dict[str, list[Mark]]) -> RouteRow:
    place = route.location
    keys = [route.label, *(f"{method} {route.path}" for method in route.methods)]
    if place is not None:
        keys.append(f"{place.file} {place.function}")
    found = {mark.href: mark for key in dict.fromkeys(keys) for mark in marks.get(key, ())}
    method, _, path = route.label.partition(" ")
    chain = route.dependencies[:_MAX_DEPENDENCIES]
    return RouteRow(
        methods=method if route.kind == "mount" else route.label.removesuffix(f" {route.path}"),
        path=cut(path if route.kind == "mount" else route.path, 300),
        name=cut(route.name, _TEXT),
        place=place_of(place, frame.links),
        guards=tuple(dict.fromkeys(cut(one.name, _TEXT) for one in _innermost(route.guards))),
        guard_note=_guard_note(route),
        answer=cut(route.response_model or ("a response" if route.answers_itself else ""), _TEXT),
        chain=tuple(_dependency(one, frame) for one in chain),
        chain_label=cut(", ".join(one.name for one in chain if one.depth == 0), _TEXT),
        marks=tuple(found.values())[:4],
    )


def _innermost(guards: tuple[DependencyFact, ...]) -> tuple[DependencyFact, ...]:
    """Give the guards that the route itself asks for; what they ask for follows in the chain."""
    least = min((one.depth for one in guards), default=0)
    return tuple(one for one in guards if one.depth == least)


def _guard_note(route: RouteFact) -> str:
    if route.guards:
        scopes = dict.fromkeys(scope for one in route.guards for scope in one.scopes)
        return f"scopes {', '.join(scopes)}" if scopes else ""
    if route.kind == "mount" or route.location is None:
        return ""  # what a library declares guards itself or is meant to be open
    if any(one.guarding == "optional" for one in route.dependencies):
        return "optional"
    return "may check itself" if route.looks_itself else "none"


def _dependency(one: DependencyFact, frame: Frame) -> Dependency:
    notes = {"guard": "guard", "optional": "optional guard", "": ""}
    words = [notes[one.guarding], "in a thread" if one.threadpool else ""]
    return Dependency(
        branch="\u00a0\u00a0" * (one.depth - 1) + "└ " if one.depth else "",
        name=cut(one.name, _TEXT),
        note=", ".join(filter(None, words)),
        place=place_of(one.location, frame.links),
    )


def _summary(total: int, start: int, count: int, wanted: _Wanted) -> str:
    if not count:
        return "No route fits." if wanted.search or wanted.show != "all" else ""
    if count == total:
        return plural(total, "route") + ", in the order in which they are tried"
    return f"{start + 1} to {start + count} of {plural(total, 'route')}"
