"""Compares what was said with what happened."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any, Self

from tests.corpus.loop.driving import Seen
from tests.corpus.loop.truth import Situation

MUST = 1.15
"""A statement of so many thresholds must be found; from `MAY` on it may be."""
MAY = 0.8
VICTIM_MS = 30.0
"""A late tick of so many milliseconds must be explained; shorter ones may come from the machine."""
_NEAR_S = 0.005


@dataclass
class Score:
    """What a run came to; `wrong` are sentences for people.

    Attributes:
        found: Blocks that the record of the right request has.
        placed: Those of them with a line: a block without one is shown on its request, and makes
            no finding.
    """

    blocks: int = 0
    found: int = 0
    placed: int = 0
    right_line: int = 0
    right_kind: int = 0
    right_request: int = 0
    false: int = 0
    errors_ms: list[float] = field(default_factory=list)
    waits: int = 0
    explained: int = 0
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: "Score") -> Self:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self

    @property
    def recall(self) -> float:
        return _share(self.found, self.blocks)

    @property
    def precision(self) -> float:
        return _share(self.found, self.found + self.false)

    def row(self) -> list[str]:
        errors = sorted(self.errors_ms) or [0.0]
        return [
            str(self.blocks),
            f"{self.recall:.3f}",
            f"{_share(self.placed, self.blocks):.3f}",
            f"{self.precision:.3f}",
            f"{_share(self.right_line, self.found):.3f}",
            f"{_share(self.right_request, self.found):.3f}",
            f"{_share(self.right_kind, self.found):.3f}",
            str(self.false),
            f"{median(errors):.1f} / {errors[int(len(errors) * 0.95)]:.1f}",
            f"{self.explained} of {self.waits}",
        ]


HEADINGS = (
    "blocks",
    "recall",
    "as a finding",
    "precision",
    "right line",
    "right request",
    "right kind",
    "false alarms",
    "duration error p50 / p95 ms",
    "victims right",
)


def judge(seen: Seen, situations: Mapping[str, Situation], threshold_ms: float) -> Score:
    """Score one run."""
    score = Score()
    truths: dict[str, list[dict[str, Any]]] = {}
    for truth in seen.truth["blocks"]:
        truths.setdefault(truth["case"], []).append(truth)
    for case, found in truths.items():
        for truth in found:
            _judge_block(score, truth, situations[truth["name"]], seen, threshold_ms)
        del case
    for path, record in seen.records.items():
        for problem in _false_alarms(record, truths.get(path, []), seen, situations, threshold_ms):
            score.false += 1
            score.wrong.append(problem)
    _judge_victims(score, seen)
    for fault in seen.status["faults"]:
        score.false += 1
        score.wrong.append(f"a failure of ours: {fault}")
    return score


def _judge_block(
    score: Score, truth: dict[str, Any], situation: Situation, seen: Seen, threshold_ms: float
) -> None:
    record = seen.records.get(truth["case"])
    reports = [] if record is None else _reports(record, situation)
    if situation.rule == "LOOP104":
        reports = [
            {"kind": f["evidence"]["kind"], "location": f["location"], **f["evidence"]}
            for f in seen.findings[""]
            if f["rule"] == "LOOP104"
        ]
    net_ms = truth["net_ms"]
    report = _matching(truth, reports)
    if net_ms < threshold_ms * MUST and report is None:
        return
    name = f"{truth['case']} ({truth['name']}, {net_ms:.0f} ms)"
    score.blocks += 1
    if report is None:
        score.wrong.append(f"{name}: not found")
        return
    score.found += 1
    score.right_request += 1
    score.errors_ms.append(abs(report["duration_ms"] - truth["ms"]))
    place = report["location"]
    score.placed += place is not None
    if place and place["file"].endswith(situation.file) and place["line"] in situation.lines:
        score.right_line += 1
    else:
        where = f"{place['file']}:{place['line']}" if place else "no line"
        score.wrong.append(f"{name}: at {where}, not at {situation.file}:{situation.lines}")
    if report["kind"] in situation.kinds:
        score.right_kind += 1
    else:
        score.wrong.append(f"{name}: called {report['kind']} ({report['call']})")


def _reports(record: dict[str, Any], situation: Situation) -> list[dict[str, Any]]:
    """Give the blocks of a record of which a rule tells."""
    gil = situation.rule == "LOOP103"
    return [block for block in record["blocks"] if (block["kind"] == "gil") == gil]


def _matching(truth: dict[str, Any], reports: list[dict[str, Any]]) -> dict[str, Any] | None:
    end = truth["at"] + truth["ms"] / 1000
    for report in reports:
        began = datetime.fromisoformat(report["started_at"]).timestamp()
        ended = began + report["duration_ms"] / 1000
        if began - _NEAR_S <= end and truth["at"] <= ended + _NEAR_S:
            return report
    return None


def _false_alarms(
    record: dict[str, Any],
    truths: list[dict[str, Any]],
    seen: Seen,
    situations: Mapping[str, Situation],
    threshold_ms: float,
) -> Iterator[str]:
    """Find what was said of a request in which nothing of the kind happened."""
    rules = {situations[truth["name"]].rule for truth in truths}
    for finding in seen.findings[record["id"]]:
        if finding["rule"].startswith("LOOP") and finding["severity"] != "info":
            enough = any(
                truth["net_ms"] >= threshold_ms * (MAY if finding["rule"] != "LOOP102" else 0.3)
                for truth in truths
            )
            if finding["rule"] not in {*rules, "LOOP102"} or not enough:
                yield f"{record['path']}: false alarm: {finding['message']} {finding['location']}"
    for block in record["blocks"]:
        # Starting a process the asynchronous way may hold the loop of a large process, truly; it
        # is nobody's defect, and no rule speaks of it.
        if block["kind"] == "fork":
            continue
        # Nor is what a library imports at the first request, which holds the loop and is a note.
        if block["kind"] == "import" and block["first_call"]:
            continue
        if block["location"] is not None and not any(_matching(t, [block]) for t in truths):
            yield f"{record['path']}: block of nobody: {block['kind']} {block['location']}"


def _judge_victims(score: Score, seen: Seen) -> None:
    """Ask for each late tick whether its request was told as a victim, of the right culprit."""
    watches = {watch["case"]: watch for watch in seen.truth["watches"]}
    for record in seen.records.values():
        for block in record["blocks"]:
            if block["kind"] == "gil" or block["location"] is None:
                continue
            told = {victim["request_id"]: victim for victim in block["victims"]}
            began = datetime.fromisoformat(block["started_at"]).timestamp()
            for watch in watches.values():
                late = _late_ms(watch, began, block["duration_ms"])
                if late is None:
                    continue
                score.waits += 1
                victim = told.get(seen.records[watch["case"]]["id"])
                # The tick that was due during the block waited for what was left of it.
                if victim and late - 15 <= victim["waited_ms"] <= block["duration_ms"] + 5:
                    score.explained += 1
                else:
                    score.wrong.append(
                        f"{watch['case']}: waited {late:.0f} ms for {record['path']}, told {victim}"
                    )


def _late_ms(watch: dict[str, Any], began: float, duration_ms: float) -> float | None:
    """Give how late a tick was that fell into a block; `None` where the request was not there."""
    end = began + duration_ms / 1000
    if not (watch["begin"] < began and end < watch["end"]):
        return None
    for at, late_ms in watch["gaps"]:
        overlap = (min(at + (late_ms + 5) / 1000, end) - max(at + 0.005, began)) * 1000
        if overlap >= VICTIM_MS:
            return overlap
    return None


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
