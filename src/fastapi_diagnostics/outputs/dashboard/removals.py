"""Fields that a response model removed, with what each was taken for."""

from typing import NamedTuple

import msgspec

from fastapi_diagnostics.finding import Group
from fastapi_diagnostics.outputs.dashboard.comparisons import PathTally, RouteTally
from fastapi_diagnostics.outputs.dashboard.judged import Judged, texts_in
from fastapi_diagnostics.outputs.dashboard.queries import Mark
from fastapi_diagnostics.outputs.dashboard.rows import RANK
from fastapi_diagnostics.outputs.dashboard.shell import Frame
from fastapi_diagnostics.outputs.dashboard.words import (
    Part,
    cut,
    milliseconds,
    plural,
    prose,
    sentence,
)

TONES = ("mistake", "unjudged", "intended", "protected")
"""Worst first."""
PATHS = 8
"""Paths that are shown of fields about which the same is told."""
_MISSPELT = "RES103"
_TEXT = 160


class RemovedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Fields that did not go out, or that should perhaps not have, and share all that is told.

    Attributes:
        paths: Each with what held it and its type; `more_paths` are folded away.
        tone: ``mistake``, ``intended``, ``protected`` or ``unjudged``.
        reason: Why they are taken for that.
        often: In how many of how many responses.
    """

    paths: tuple[tuple[str, str], ...]
    more_paths: tuple[tuple[str, str], ...] = ()
    tone: str
    verdict: str
    reason: tuple[Part, ...]
    often: str
    example: str
    mark: Mark | None


class _Verdict(NamedTuple):
    tone: str
    words: str
    reason: str


def removed_rows(route: RouteTally, frame: Frame, judged: Judged) -> list[RemovedRow]:
    """Describe the fields that did not go out, what matters first."""
    rows = []
    for tally in route.stripped.values():
        found = _finding(tally, judged)
        rows.append(_row(tally, route, frame, found, _verdict(tally, found)))
    rows.sort(key=lambda row: (TONES.index(row.tone), row.paths))
    together: dict[RemovedRow, list[tuple[str, str]]] = {}
    for row in rows:
        alike = msgspec.structs.replace(row, paths=())
        together.setdefault(alike, []).extend(row.paths)
    return [
        msgspec.structs.replace(row, paths=tuple(paths[:PATHS]), more_paths=tuple(paths[PATHS:]))
        for row, paths in together.items()
    ]


def leak_row(tally: PathTally, route: RouteTally, frame: Frame, judged: Judged) -> RemovedRow:
    """Describe a field with a secret-looking name that went out."""
    found = _finding(tally, judged)
    verdict = _Verdict("unjudged", "Sent", "its name looks like a secret; no finding objects to it")
    if found is not None:
        verdict = _Verdict("mistake", "Sent", found.title)
    return _row(tally, route, frame, found, verdict)


def _row(
    tally: PathTally, route: RouteTally, frame: Frame, found: Group | None, verdict: _Verdict
) -> RemovedRow:
    mark = None
    if found is not None:
        href = frame.links.finding(found.fingerprint)
        mark = Mark(label=found.rule, href=href, title=cut(found.title, 200))
    facts = tally.facts
    held = [] if facts is None else [facts.owner, facts.type_name]
    return RemovedRow(
        paths=((cut(tally.path, _TEXT), cut(": ".join(filter(None, held)), _TEXT)),),
        tone=verdict.tone,
        verdict=verdict.words,
        reason=prose(cut(sentence(verdict.reason), 400)),
        often=f"{tally.count:,} of {max(route.compared, tally.count):,}",
        example=frame.links.request(tally.latest),
        mark=mark,
    )


def _verdict(tally: PathTally, found: Group | None) -> _Verdict:
    """Tell what a removed field was taken for in its newest request, and why."""
    facts = tally.facts
    if facts is not None and facts.secret:
        return _Verdict(
            "protected", "Protected", "its name looks like a secret: removing it is right"
        )
    if found is None:
        return _Verdict(
            "unjudged", "Not judged", "no finding of that request names it, or it is forgotten"
        )
    if found.rule == _MISSPELT and facts is not None and facts.near:
        return _Verdict(
            "mistake", "Likely a mistake", f"close to `{facts.near}`, which went out empty"
        )
    reason = _reason(found)
    if found.severity == "info":
        return _Verdict("intended", "Likely intended", reason)
    return _Verdict("mistake", "Likely a mistake", reason)


def _finding(tally: PathTally, judged: Judged) -> Group | None:
    named = (
        group
        for group in judged.of(tally.latest)
        if tally.path in texts_in(group.evidence.get("paths"))
    )
    return min(named, key=lambda group: RANK[group.severity], default=None)


def _reason(found: Group) -> str:
    reason, statements = found.evidence.get("reason"), found.evidence.get("statements")
    if isinstance(reason, str):
        return reason
    if not isinstance(statements, int):
        return found.title
    spent = found.evidence.get("duration_ms")
    cost = f" in {milliseconds(spent)}" if isinstance(spent, int | float) and statements else ""
    loads = f"loaded by {plural(statements, 'statement')}{cost}" if statements else "loaded"
    read = found.evidence.get("read_by_your_code")
    return f"{loads}, {'though' if read else 'and not'} read by your code"
