"""One finding: sentence, where, fix, proof, history."""

import msgspec

from fastapi_diagnostics.finding import Fix, Group, Occurrence
from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.dashboard.evidence import Proof, proof_of
from fastapi_diagnostics.outputs.dashboard.highlight import Token, python
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.outputs.dashboard.rows import SEVERITY_WORDS, cost_of, spread_of
from fastapi_diagnostics.outputs.dashboard.shell import Frame, Shell
from fastapi_diagnostics.outputs.dashboard.snippets import Where, snippet_of
from fastapi_diagnostics.outputs.dashboard.words import (
    Moment,
    Part,
    cut,
    moment,
    prose,
    times,
)
from fastapi_diagnostics.outputs.resource import AnswerError

OCCURRENCES = 20

_CONFIDENCE = {
    "proven": "proven: it was seen happening",
    "likely": "likely: another cause cannot be excluded",
}


class FixView(msgspec.Struct, frozen=True):
    """What to do."""

    summary: tuple[Part, ...]
    code: tuple[Token, ...]
    place: Place | None
    line: str
    verb: str
    imports: tuple[Token, ...]


class Seen(msgspec.Struct, frozen=True):
    """One occurrence."""

    when: Moment
    href: str
    request: str
    count: str


class RouteLink(msgspec.Struct, frozen=True):
    """A route and its requests."""

    name: str
    href: str


class FindingPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    shell: Shell
    fingerprint: str
    severity: str
    severity_word: str
    rule: str
    name: str
    rule_href: str
    confidence: str
    confidence_detail: str
    message: tuple[Part, ...]
    title: tuple[Part, ...]
    where: Where | None
    no_place: bool
    fix: FixView | None
    proof: Proof
    history: tuple[Seen, ...]
    has_counts: bool
    more: str
    spread: str
    cost: str
    routes: tuple[RouteLink, ...]
    first_seen: Moment
    last_seen: Moment
    state: str
    reason: str
    suppression: str


def finding_page(frame: Frame, fingerprint: str) -> FindingPage:
    """Build the page; blocks.

    Raises:
        AnswerError: There is no such finding.
        InvalidCursorError: The cursor did not come from this page.
    """
    store, links = frame.backend.store, frame.links
    group = store.finding(fingerprint)
    if group is None:
        text = "There is no such finding. It may have been cleared, or pruned with age."
        raise AnswerError(404, "not-found", text)
    cursor = parameters.text(frame.request.query_params, "cursor")
    seen = store.occurrences(fingerprint, limit=OCCURRENCES, cursor=cursor)
    history = tuple(_seen(item, frame) for item in seen.items)
    return FindingPage(
        shell=frame.shell(f"{group.rule} {cut(group.title, 80)}", "findings"),
        fingerprint=fingerprint,
        severity=group.severity,
        severity_word=SEVERITY_WORDS[group.severity],
        rule=group.rule,
        name=group.name,
        rule_href=links.rule(group.rule),
        confidence=group.confidence,
        confidence_detail=_CONFIDENCE[group.confidence],
        message=prose(group.message or group.title),
        title=prose(group.title),
        where=snippet_of(group.location, links),
        no_place=group.location is None,
        fix=_fix(group.fix, frame),
        proof=proof_of(group.evidence, links),
        history=history,
        has_counts=any(item.count for item in history),
        more=links.finding(fingerprint, cursor=seen.next) if seen.next else "",
        spread=spread_of(group) if group.request_id else f"no request, {spread_of(group)}",
        cost=cost_of(group),
        routes=_routes(group, frame),
        first_seen=moment(group.first_seen, frame.now),
        last_seen=moment(group.last_seen, frame.now),
        state=group.state,
        reason=group.reason,
        suppression=f"# diagnostics: ignore[{group.rule}] reason",
    )


def _fix(fix: Fix | None, frame: Frame) -> FixView | None:
    if fix is None:
        return None
    verb = "At" if fix.mechanical else "In place of the call at" if fix.replaces else "Goes to"
    return FixView(
        summary=prose(fix.summary),
        code=python(fix.code),
        place=place_of(fix.location, frame.links),
        line=str(fix.location.line) if fix.location else "",
        verb=verb,
        imports=python("\n".join(fix.imports)),
    )


def _seen(occurrence: Occurrence, frame: Frame) -> Seen:
    request_id = occurrence.request_id
    count = occurrence.evidence.get("count")
    return Seen(
        when=moment(occurrence.at, frame.now),
        href=frame.links.request(request_id) if request_id else "",
        request=request_id or "outside of a request",
        count=times(count) if isinstance(count, int) else "",
    )


def _routes(group: Group, frame: Frame) -> tuple[RouteLink, ...]:
    return tuple(
        RouteLink(route, frame.links.requests(route=route)) for route in group.routes if route
    )
