"""Compares what was found with the labels, and counts."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fastapi_diagnostics.rules.catalogue import all_rules
from tests.corpus.sql.driving import Run
from tests.corpus.sql.labels import CODES, Expected, Situation

TIMED = ("SQL106", "SQL301", "SQL302", "LOOP")
"""Rules that measure time: on a machine that is busy with other things they may be right to speak
in a situation that is about something else. Such a situation is run again."""


@dataclass
class Verdict:
    """What was found in a situation.

    Attributes:
        pairs: Expected and found at the right line.
        elsewhere: Found, but at another line, with another attribute or severity.
        missed: Expected and not found.
        waiting: Expected of a rule that does not exist yet.
        accused: Found and not expected.
    """

    situation: Situation
    run: Run
    pairs: list[tuple[Expected, dict[str, Any]]] = field(default_factory=list)
    elsewhere: list[tuple[Expected, dict[str, Any]]] = field(default_factory=list)
    missed: list[Expected] = field(default_factory=list)
    waiting: list[Expected] = field(default_factory=list)
    accused: list[dict[str, Any]] = field(default_factory=list)

    @property
    def right(self) -> bool:
        return not (self.elsewhere or self.missed or self.accused)

    @property
    def hurried(self) -> bool:
        """Whether all that is wrong is a matter of time."""
        wrong = [finding["rule"] for finding in self.accused]
        wrong += [expected.rule for expected in self.missed]
        return bool(wrong) and not self.elsewhere and all(rule.startswith(TIMED) for rule in wrong)

    @property
    def complaints(self) -> list[str]:
        """Sentences about what is wrong."""
        name = self.situation.name
        found = [f"{name}: missed {one.rule} at line {one.line}" for one in self.missed]
        found += [
            f"{name}: {one.rule} found at {_place(finding)} ({finding['severity']}, "
            f"{finding['evidence'].get('attribute')}), expected {one}"
            for one, finding in self.elsewhere
        ]
        found += [
            f"{name}: wrongly {finding['rule']} ({finding['severity']}) at {_place(finding)}: "
            f"{finding['message']}"
            for finding in self.accused
        ]
        return found


def judge(situation: Situation, run: Run) -> Verdict:
    """Match findings with labels: the right line first, then the rule alone."""
    verdict = Verdict(situation, run)
    left = list(run.findings)
    open_: list[Expected] = []
    for expected in situation.expected:
        exact = next((one for one in left if _matches(expected, one, situation)), None)
        if exact is None:
            open_.append(expected)
        else:
            left.remove(exact)
            verdict.pairs.append((expected, exact))
    for expected in open_:
        other = next((one for one in left if one["rule"] == expected.rule), None)
        if other is not None:
            left.remove(other)
            verdict.elsewhere.append((expected, other))
        elif expected.rule not in CODES:
            verdict.waiting.append(expected)
        else:
            verdict.missed.append(expected)
    if situation.undecided:
        verdict.missed.clear()
    verdict.accused = [one for one in left if not _is_noted(one, situation)]
    return verdict


def limit_of(situation: Situation) -> str:
    """Find the limit of a rule that tells why a situation is undecided; empty if there is none."""
    limits = (
        limit
        for loaded in all_rules()
        if loaded.rule.code in situation.rules
        for limit in loaded.rule.limits
    )
    return next((limit for limit in limits if situation.undecided in limit), "")


def _file(location: dict[str, Any], expected: Expected) -> str:
    file: str = location.get("file", "?")
    return file.rpartition("/")[2] if expected.template else file


def _is_noted(finding: dict[str, Any], situation: Situation) -> bool:
    return finding["rule"] == situation.notes and finding["severity"] == "info"


def _matches(expected: Expected, finding: dict[str, Any], situation: Situation) -> bool:
    location = finding["location"] or {}
    return (
        finding["rule"] == expected.rule
        and location.get("line") == expected.line
        and (expected.template or situation.file.as_posix()).endswith(_file(location, expected))
        and expected.attribute in {"", finding["evidence"].get("attribute")}
        and expected.severity in {"", finding["severity"]}
    )


def _place(finding: dict[str, Any]) -> str:
    location = finding["location"] or {}
    return f"{location.get('file')}:{location.get('line')}"


@dataclass
class Score:
    """Counts of one rule.

    Attributes:
        expected: Findings that must be made.
        look_alikes: Situations that resemble its defect, with nothing wrong.
        wrong: Findings that must not be made.
    """

    expected: int = 0
    found: int = 0
    right_line: int = 0
    look_alikes: int = 0
    wrong: int = 0
    exists: bool = True

    @property
    def precision(self) -> float | None:
        """Share of the findings that were expected; `None` without findings."""
        total = self.found + self.wrong
        return self.found / total if total else None

    @property
    def recall(self) -> float | None:
        """Share of the expected findings that were made; `None` where none is expected."""
        return self.found / self.expected if self.expected and self.exists else None


def scores(verdicts: Iterable[Verdict]) -> dict[str, Score]:
    """Count by rule, in the order of their codes; what is undecided does not count."""
    found: dict[str, Score] = defaultdict(Score)
    for verdict in verdicts:
        if verdict.situation.like:
            found[verdict.situation.like].look_alikes += 1
        for code, number in Counter(finding["rule"] for finding in verdict.accused).items():
            found[code].wrong += number
        if verdict.situation.undecided:
            continue
        for expected in verdict.situation.expected:
            found[expected.rule].expected += 1
        for expected, _ in verdict.pairs:
            found[expected.rule].found += 1
            found[expected.rule].right_line += 1
        for expected, _ in verdict.elsewhere:
            found[expected.rule].found += 1
    for code, score in found.items():
        score.exists = code in CODES
    return dict(sorted(found.items()))
