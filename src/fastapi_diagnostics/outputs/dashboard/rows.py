"""A finding as one row of a list."""

from datetime import datetime

import msgspec

from fastapi_diagnostics.finding import Group
from fastapi_diagnostics.outputs.dashboard.links import Links
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.outputs.dashboard.words import (
    Moment,
    Part,
    cut,
    milliseconds,
    moment,
    plural,
    prose,
    times,
)

RANK = {"error": 0, "warning": 1, "info": 2}
SEVERITY_WORDS = {"error": "Error", "warning": "Warning", "info": "Note"}
FAMILIES = {
    "SQL": "Database",
    "LOOP": "Event loop",
    "TASK": "Background tasks",
    "REQ": "Requests",
    "RES": "Responses",
    "EXC": "Exceptions",
    "APP": "Application",
}
_MESSAGE = 240
_ROUTE = 200


class FindingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row.

    Attributes:
        cost: What one request paid: a count, or ``412 ms``; empty when there is no number.
        spread: In how many requests, or how often outside of any.
    """

    href: str
    severity: str
    severity_word: str
    rule: str
    message: tuple[Part, ...]
    place: Place | None
    route: str
    more_routes: str
    cost: str
    spread: str
    seen: Moment
    state: str


def finding_row(group: Group, links: Links, now: datetime) -> FindingRow:
    """Describe a group."""
    others = len(group.routes) - 1
    return FindingRow(
        href=links.finding(group.fingerprint),
        severity=group.severity,
        severity_word=SEVERITY_WORDS[group.severity],
        rule=group.rule,
        message=prose(cut(group.message or group.title, _MESSAGE)),
        place=place_of(group.location, links),
        route=cut(group.route, _ROUTE),
        more_routes=f"+{others} more" if others > 0 else "",
        cost=cost_of(group),
        spread=spread_of(group),
        seen=moment(group.last_seen, now),
        state=group.state,
    )


def cost_of(group: Group) -> str:
    """Tell what one request paid: how often, or how long."""
    count, duration = group.evidence.get("count"), group.evidence.get("duration_ms")
    if isinstance(count, int) and count > 1:
        return times(count)
    return milliseconds(duration) if isinstance(duration, int | float) else ""


def spread_of(group: Group) -> str:
    """Tell in how many requests; what was last found outside of any was found so many times."""
    if group.request_id is not None:
        return plural(group.occurrences, "request")
    return plural(group.occurrences, "time") if group.occurrences > 1 else "once"


def family_of(rule: str) -> str:
    """Give the family of a rule's code: its letters."""
    return rule.rstrip("0123456789")
