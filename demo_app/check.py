"""Holds the diagnostics to their word: every defect at its line, every twin silent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from demo_app.pairs import AUDITS, CLEAN, PAIRS, Audit, Call, Pair, marked_line
from demo_app.traffic import Outcome, send

_API = "/_diagnostics/api"
_TIMED = frozenset(
    {"LOOP101", "LOOP102", "LOOP103", "LOOP201", "SQL106", "SQL301", "SQL303", "SQL305"}
)
_MORE_TRIES = 3
"""A machine with other work stretches what they measure, and while it is too busy to run us we
say nothing; so they get more chances."""


@dataclass(frozen=True)
class Seen:
    """A call, how it ended and what was found in it."""

    outcome: Outcome
    findings: list[dict[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """A line of the table; `wrong` is empty where all is well."""

    title: str
    wrong: list[str]

    def __str__(self) -> str:
        mark = "FAILED" if self.wrong else "ok"
        return "\n".join([f"{mark:<7} {self.title}", *(f"          {line}" for line in self.wrong)])


def judge(client: httpx.Client, outcomes: Sequence[Outcome]) -> list[Verdict]:
    """Compare what was found in each call with what stands in the source."""
    seen = [Seen(outcome, _findings(client, outcome)) for outcome in outcomes]
    pairs = [_of_pair(client, pair, seen) for pair in PAIRS]
    clean = [
        Verdict(f"clean   {call} ({call.status})", list(dict.fromkeys(_wrong_in_clean(call, seen))))
        for call in CLEAN
    ]
    standing = _standing(client)
    audits = [
        Verdict(f"{audit.rule:<8}{audit.name}", list(_wrong_in_audit(audit, standing)))
        for audit in AUDITS
    ]
    return [*pairs, *audits, *clean]


def _standing(client: httpx.Client) -> list[dict[str, Any]]:
    """Give what was found in the application itself, by the rules of the audits."""
    found: list[dict[str, Any]] = []
    for rule in dict.fromkeys(audit.rule for audit in AUDITS):
        answer = client.get(f"{_API}/findings", params={"rule": rule, "limit": 500})
        found += answer.raise_for_status().json()["findings"]
    return found


def _wrong_in_audit(audit: Audit, standing: list[dict[str, Any]]) -> Iterator[str]:
    file, line = marked_line(audit)
    places = [_place(finding) for finding in standing if finding["rule"] == audit.rule]
    expected = {"{}:{}".format(*marked_line(one)) for one in AUDITS if one.rule == audit.rule}
    if f"{file}:{line}" not in places:
        yield f"{audit.rule} expected at {file}:{line}, found at {', '.join(places) or 'no line'}"
    for finding in standing:
        loud = finding["severity"] != "info" and finding["rule"] == audit.rule
        if loud and _place(finding) not in expected:
            yield f"{audit.rule} found at {_place(finding)}, where nothing is wrong"
    for finding in standing:
        if _place(finding).startswith(f"{audit.mended}:"):
            yield f"{audit.mended} is mended, but reported was {_short(finding)}"


def _of_pair(client: httpx.Client, pair: Pair, seen: list[Seen]) -> Verdict:
    wrong = list(_wrong_in_pair(pair, seen))
    for _ in range(_MORE_TRIES if pair.rule in _TIMED else 0):
        if not wrong:
            break
        again = [send(client, call) for call in (pair.defect, pair.mended)]
        wrong = list(
            _wrong_in_pair(pair, [Seen(outcome, _findings(client, outcome)) for outcome in again])
        )
    return Verdict(f"{pair.rule:<8}{pair.name}", list(dict.fromkeys(wrong)))


def _findings(client: httpx.Client, outcome: Outcome) -> list[dict[str, Any]]:
    if outcome.request_id is None:
        return []
    client.get(f"{_API}/requests/{outcome.request_id}?wait=closed").raise_for_status()
    answer = client.get(f"{_API}/findings", params={"request_id": outcome.request_id})
    return answer.raise_for_status().json()["findings"]


def _wrong_in_pair(pair: Pair, seen: list[Seen]) -> Iterator[str]:
    file, line = marked_line(pair)
    for one in _of(pair.defect, seen):
        yield from _wrong_status(one)
        places = [_place(finding) for finding in one.findings if finding["rule"] == pair.rule]
        if f"{file}:{line}" not in places:
            instead = f"only at {', '.join(places)}" if places else "not at all"
            yield f"{pair.defect}: {pair.rule} expected at {file}:{line}, found {instead}"
        for finding in _loud(one):
            if finding["rule"] not in _rules_of(pair.defect):
                yield f"{pair.defect}: one defect, but also reported as {_short(finding)}"
    yield from _wrong_in_clean(pair.mended, seen)


def _wrong_in_clean(call: Call, seen: list[Seen]) -> Iterator[str]:
    for one in _of(call, seen):
        yield from _wrong_status(one)
        for finding in _loud(one):
            yield f"{call}: nothing is wrong here, but reported was {_short(finding)}"


def _wrong_status(one: Seen) -> Iterator[str]:
    call, outcome = one.outcome.call, one.outcome
    if outcome.status != call.status:
        yield f"{call}: answered {outcome.status}, not {call.status}"
    if outcome.request_id is None:
        yield f"{call}: was not recorded (no X-Diagnostics-Id)"


def _of(call: Call, seen: list[Seen]) -> list[Seen]:
    return [one for one in seen if one.outcome.call == call]


def _loud(one: Seen) -> list[dict[str, Any]]:
    return [finding for finding in one.findings if finding["severity"] != "info"]


def _rules_of(defect: Call) -> set[str]:
    rules = {pair.rule for pair in PAIRS if pair.defect == defect}
    # On a busy machine a short block takes long, and is then told as what it was.
    return rules | {"LOOP101"} if "LOOP102" in rules else rules


def _place(finding: dict[str, Any]) -> str:
    location = finding["location"]
    return f"{location['file']}:{location['line']}" if location else "no line"


def _short(finding: dict[str, Any]) -> str:
    return f"{finding['rule']} ({finding['severity']}) at {_place(finding)}: {finding['message']}"
