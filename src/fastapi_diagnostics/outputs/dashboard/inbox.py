"""Home: the findings, grouped, worst first."""

from collections import Counter
from collections.abc import Iterable

import msgspec
from starlette.datastructures import QueryParams

from fastapi_diagnostics.finding import Group
from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.dashboard.choices import Choice, Menu
from fastapi_diagnostics.outputs.dashboard.rows import (
    FAMILIES,
    RANK,
    FindingRow,
    family_of,
    finding_row,
)
from fastapi_diagnostics.outputs.dashboard.scans import all_groups
from fastapi_diagnostics.outputs.dashboard.shell import Frame, Shell
from fastapi_diagnostics.outputs.dashboard.words import plural

ROWS = 40
"""Rows of a page: the HTML stays below 60 KB."""
_MAX_PAGE_NUMBER = 1_000


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the URL asks for."""

    state: str = "open"
    family: str | None = None
    rule: str | None = None
    route: str | None = None
    search: str | None = None
    notes: bool = False
    page: int = 1

    def query(self, **changes: str | None) -> dict[str, str | None]:
        """Give the query string of this list with something changed; the page starts anew."""
        mine = {
            "state": None if self.state == "open" else self.state,
            "family": self.family,
            "rule": self.rule,
            "route": self.route,
            "q": self.search,
            "notes": "1" if self.notes else None,
        }
        return mine | changes


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """The page.

    Attributes:
        verdict: The sentence that stands for the list when it is empty.
        first: Whether to teach how to get a first finding.
        more: Link to the next page; empty on the last one.
    """

    shell: Shell
    tabs: tuple[Choice, ...]
    chips: tuple[Choice, ...]
    menus: tuple[Menu, ...]
    notes: Choice | None
    search: str
    hidden: tuple[tuple[str, str], ...]
    rows: tuple[FindingRow, ...]
    summary: str
    verdict: str
    verdict_detail: str
    first: bool
    more: str
    clear: str


def inbox(frame: Frame) -> Inbox:
    """Build the page; blocks.

    Raises:
        InvalidParameterError: The URL asks for what there is not.
    """
    wanted = _wanted(frame.request.query_params)
    groups = list(all_groups(frame.backend.store, wanted.state))
    shown = [group for group in groups if _is_wanted(group, wanted)]
    shown.sort(key=lambda group: RANK[group.severity])  # stable: newest first within a severity
    first = (wanted.page - 1) * ROWS
    rows = shown[first : first + ROWS]
    links = frame.links
    verdict, detail = _verdict(frame, groups, wanted)
    following = links.home(**wanted.query(page=str(wanted.page + 1)))
    return Inbox(
        shell=frame.shell("Findings", "findings"),
        tabs=_tabs(frame, groups, wanted),
        chips=_chips(frame, groups, wanted),
        menus=_menus(frame, groups, wanted),
        notes=_notes(frame, groups, wanted),
        search=wanted.search or "",
        hidden=tuple((key, value) for key, value in wanted.query(q=None).items() if value),
        rows=tuple(finding_row(group, links, frame.now) for group in rows),
        summary=_summary(len(shown), first, len(rows)),
        verdict="" if rows else verdict,
        verdict_detail=detail,
        first=not rows and wanted.state == "open" and not _filtered(wanted) and not groups,
        more=following if first + ROWS < len(shown) else "",
        clear=links.home(state=wanted.query()["state"]) if _filtered(wanted) else "",
    )


def _wanted(params: QueryParams) -> Wanted:
    return Wanted(
        state=parameters.choice(params, "state", parameters.STATES) or "open",
        family=parameters.choice(params, "family", tuple(FAMILIES)),
        rule=parameters.text(params, "rule"),
        route=parameters.text(params, "route"),
        search=parameters.text(params, "q"),
        notes=parameters.choice(params, "notes", ("1",)) is not None,
        page=parameters.whole(params, "page", 1, _MAX_PAGE_NUMBER) or 1,
    )


def _is_wanted(group: Group, wanted: Wanted) -> bool:
    return (
        _has_weight(group, wanted)
        and (wanted.family is None or family_of(group.rule) == wanted.family)
        and (wanted.rule is None or wanted.rule in {group.rule, group.name})
        and (wanted.route is None or wanted.route in group.routes)
        and (wanted.search is None or wanted.search.lower() in _searched(group))
    )


def _has_weight(group: Group, wanted: Wanted) -> bool:
    """Leave notes out, unless they are asked for; other states show everything."""
    return wanted.state != "open" or (group.severity == "info") is wanted.notes


def _searched(group: Group) -> str:
    file = group.location.file if group.location else ""
    parts = (group.rule, group.name, group.message, group.title, file, *group.routes)
    return "\n".join(parts).lower()


def _filtered(wanted: Wanted) -> bool:
    return any((wanted.family, wanted.rule, wanted.route, wanted.search, wanted.notes))


def _tabs(frame: Frame, groups: Iterable[Group], wanted: Wanted) -> tuple[Choice, ...]:
    totals = frame.store.totals
    worthy = sum(group.severity != "info" for group in groups)
    states = (
        ("open", "Open", f"{worthy:,}" if wanted.state == "open" else ""),
        ("resolved", "Resolved", f"{totals.groups_resolved:,}"),
        ("ignored", "Ignored", f"{totals.groups_ignored:,}"),
    )
    return tuple(
        Choice(
            label=label,
            href=frame.links.home(state=None if state == "open" else state),
            count=count,
            current=state == wanted.state,
        )
        for state, label, count in states
    )


def _chips(frame: Frame, groups: Iterable[Group], wanted: Wanted) -> tuple[Choice, ...]:
    counts = Counter(family_of(group.rule) for group in groups if _has_weight(group, wanted))
    known = [family for family in FAMILIES if counts[family]]
    if len(known) < 2 and wanted.family is None:  # noqa: PLR2004 - nothing to choose between
        return ()
    everything = Choice(
        label="All",
        href=frame.links.home(**wanted.query(family=None, rule=None)),
        current=wanted.family is None,
    )
    return (
        everything,
        *(
            Choice(
                label=label,
                href=frame.links.home(**wanted.query(family=family, rule=None)),
                count=f"{counts[family]:,}",
                current=wanted.family == family,
            )
            for family, label in FAMILIES.items()
            if counts[family] or wanted.family == family
        ),
    )


def _menus(frame: Frame, groups: Iterable[Group], wanted: Wanted) -> tuple[Menu, ...]:
    weighty = [group for group in groups if _has_weight(group, wanted)]
    rules = Counter(group.rule for group in weighty)
    routes = Counter(route for group in weighty for route in group.routes if route)
    return tuple(
        _menu(frame, wanted, name, label, counts)
        for name, label, counts in (("rule", "Rule", rules), ("route", "Route", routes))
        if len(counts) > 1 or wanted.query()[name]
    )


def _menu(frame: Frame, wanted: Wanted, name: str, label: str, counts: Counter[str]) -> Menu:
    chosen = wanted.query()[name]
    links = frame.links
    choices = [Choice(label="Any", href=links.home(**wanted.query(**{name: None})))]
    choices += (
        Choice(
            label=value,
            href=links.home(**wanted.query(**{name: value})),
            count=f"{count:,}",
            current=value == chosen,
        )
        for value, count in sorted(counts.most_common(30))
    )
    return Menu(label=label, value=chosen or "any", choices=tuple(choices))


def _notes(frame: Frame, groups: Iterable[Group], wanted: Wanted) -> Choice | None:
    if wanted.state != "open":
        return None
    if wanted.notes:
        return Choice(label="Back to findings", href=frame.links.home(), current=True)
    count = sum(group.severity == "info" for group in groups)
    if not count:
        return None
    return Choice(label=plural(count, "note"), href=frame.links.home(notes="1"))


def _summary(total: int, first: int, count: int) -> str:
    if count == total:
        return plural(total, "finding")
    return f"{first + 1} to {first + count} of {plural(total, 'finding')}" if count else ""


def _verdict(frame: Frame, groups: list[Group], wanted: Wanted) -> tuple[str, str]:
    """Say what an empty list means, so that silence is never mistaken for health."""
    totals = frame.store.totals
    if _filtered(wanted) and not wanted.notes:
        return "Nothing here fits these filters.", ""
    if wanted.state != "open" or wanted.notes:
        word = "Note" if wanted.notes else wanted.state.capitalize()
        return f"No {word.lower()} findings." if not wanted.notes else "No notes.", ""
    if not totals.requests:
        return "No request recorded yet.", "Send one to your application: this page will tell."
    notes = sum(group.severity == "info" for group in groups)
    detail = f"{plural(notes, 'note')} may be worth a look." if notes else ""
    return f"Nothing found in {frame.seen()}.", detail
