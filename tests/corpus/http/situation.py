"""What a labelled situation is, and the verdict on what was found in it."""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import fastapi

FASTAPI = tuple(int(part) for part in fastapi.__version__.split(".")[:2])


@dataclass(frozen=True)
class Situation:
    """One request and what is to be said of it.

    Attributes:
        name: Unique in the corpus.
        app: Makes the application; it is made once for all situations that name it.
        path: With its query string.
        status: That answers it; `None` for a websocket or where the connection breaks.
        rule: What must be found; `None` for a look-alike, in which nothing is wrong.
        hint: Code of the hint that must come first; empty: there must be none.
        paths: What ``evidence["paths"]`` must be, in any order.
        severity: Of the finding.
        says: Must stand in the message.
        mark: The comment ``# NAME`` that ends the line at which it must be found.
        notes: Rules whose notes (severity info) are right here as well.
        also: Rules that must find something as well: one failure may have two consequences.
        since: The FastAPI release from which on this is so.
        until: The FastAPI release from which on it is no longer so.
        standing: Whether what is found in the application itself is judged, and not the request.
    """

    name: str
    app: Callable[[], Any]
    path: str
    method: str = "GET"
    send: dict[str, Any] = field(default_factory=dict)
    status: int | None = 200
    rule: str | None = None
    hint: str = ""
    paths: tuple[str, ...] = ()
    severity: str = "warning"
    says: str = ""
    mark: str = ""
    notes: frozenset[str] = frozenset()
    also: AbstractSet[str] = frozenset()
    since: tuple[int, ...] = ()
    until: tuple[int, ...] = (1000,)
    websocket: bool = False
    standing: bool = False

    @property
    def applies(self) -> bool:
        """Whether this FastAPI behaves so."""
        return self.since <= FASTAPI < self.until


@dataclass(frozen=True)
class Verdict:
    """What was found in a situation; `missed` and `accused` are empty where all is well."""

    situation: Situation
    found: str
    missed: list[str]
    accused: list[str]

    @property
    def right(self) -> bool:
        return not self.missed and not self.accused


def judge(
    situation: Situation,
    status: int | None,
    findings: list[dict[str, Any]],
    marks: dict[str, tuple[str, int]],
) -> Verdict:
    """Compare what was found with the label."""
    expected = [finding for finding in findings if finding["rule"] == situation.rule]
    others = [finding for finding in findings if finding["rule"] != situation.rule]
    missed = [] if status == situation.status else [f"answered {status}"]
    if situation.rule is not None:
        missed += list(_missed(situation, expected, marks))
    found = {finding["rule"] for finding in findings}
    missed += [f"{rule} not found" for rule in sorted(situation.also - found)]
    accused = [
        f"{finding['rule']} ({finding['severity']}): {finding['message']}"
        for finding in (*others, *expected[1:])
        if not (finding["severity"] == "info" and finding["rule"] in situation.notes)
        and finding["rule"] not in situation.also
    ]
    return Verdict(situation, _shown(expected), missed, accused)


def _missed(
    situation: Situation, expected: list[dict[str, Any]], marks: dict[str, tuple[str, int]]
) -> Iterator[str]:
    if not expected:
        yield f"{situation.rule} not found"
        return
    finding = expected[0]
    hints = _hints(finding)
    if hints[:1] != ([situation.hint] if situation.hint else []):
        yield f"hint first {hints[:1] or 'none'}, expected {situation.hint or 'none'}"
    paths = finding["evidence"].get("paths", [])
    if situation.paths and set(paths) != set(situation.paths):
        yield f"paths {paths}"
    if finding["severity"] != situation.severity:
        yield f"severity {finding['severity']}"
    if situation.says not in finding["message"]:
        yield f"message {finding['message']!r}"
    if situation.mark:
        place = finding["location"] or {}
        seen = (place.get("file"), place.get("line"))
        if seen != marks.get(situation.mark):
            yield f"found at {seen}, expected {marks.get(situation.mark)}"


def _hints(finding: dict[str, Any]) -> list[str]:
    return [hint["code"] for hint in finding["evidence"].get("hints", [])]


def _shown(expected: list[dict[str, Any]]) -> str:
    if not expected:
        return ""
    hints = _hints(expected[0])
    return ", ".join(expected[0]["evidence"].get("paths", [])) or (hints[0] if hints else "")
