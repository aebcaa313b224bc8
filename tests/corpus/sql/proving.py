"""Proves fixes: applied as printed, the finding is gone and the answer is the same."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Literal, Self

from tests.corpus.sql.collecting import TRIES, bound
from tests.corpus.sql.databases import Database
from tests.corpus.sql.driving import Run, run
from tests.corpus.sql.fixing import NotApplicableError, fixed
from tests.corpus.sql.judging import TIMED, Verdict
from tests.corpus.sql.labels import Expected

PROVED = ("SQL101", "SQL102", "SQL103", "SQL105", "SQL201")
BY_HAND = "by hand"
"""What the summary of a fix says that cannot be applied mechanically."""
_FAILED = 500

Outcome = Literal["proved", "by hand", "wrong"]


@dataclass(frozen=True)
class Proof:
    """What became of one finding's fix.

    Attributes:
        twin: The situation that was mended by hand as the fix says, and answers the same; empty
            if there is none.
        complaint: What went wrong, or what the fix pretends; empty otherwise.
    """

    situation: str
    expected: Expected
    outcome: Outcome
    twin: str = ""
    complaint: str = ""


def proofs(verdicts: Sequence[Verdict], database: Database) -> list[Proof]:
    """Apply the fixes of all findings of `PROVED` that were made at the right line.

    What is undecided is left out: perhaps there is nothing to mend.
    """
    twins = {
        verdict.situation.mends: verdict
        for verdict in verdicts
        if verdict.situation.mends and verdict.right
    }

    async def main() -> list[Proof]:
        async with bound(database):
            return [
                await _proof(verdict, expected, finding, twins, database)
                for verdict in verdicts
                for expected, finding in verdict.pairs
                if expected.rule in PROVED and not verdict.situation.undecided
            ]

    return asyncio.run(main())


async def _proof(
    verdict: Verdict,
    expected: Expected,
    finding: dict[str, Any],
    twins: dict[str, Verdict],
    database: Database,
) -> Proof:
    name = verdict.situation.name
    fix = finding["fix"]
    twin = twins.get(name)
    if not fix["mechanical"]:
        said = BY_HAND in fix["summary"].lower()
        complaint = "" if said else f"does not say that it is {BY_HAND}: {fix['summary']}"
        if twin is not None and not _same(verdict.run, twin.run, expected):
            complaint = f"{twin.situation.name} answers {twin.run.answer}, not {verdict.run.answer}"
        outcome: Outcome = "wrong" if complaint else "by hand"
        return Proof(name, expected, outcome, twin.situation.name if twin else "", complaint)
    try:
        module = fixed(verdict.situation.module, fix)
    except (NotApplicableError, SyntaxError) as error:
        return Proof(name, expected, "wrong", complaint=f"{fix['code']!r}: {error}")
    for _ in range(TRIES):
        after = await run(verdict.situation, database, module)
        if not any(one["rule"].startswith(TIMED) for one in after.findings):
            break  # else a busy machine may be what they tell of
    complaint = _complaint(verdict, expected, finding, after)
    if not complaint and twin is not None and after.answer != twin.run.answer:
        complaint = f"{twin.situation.name} answers {twin.run.answer}, not {after.answer}"
    return Proof(name, expected, "wrong" if complaint else "proved", complaint=complaint)


def _complaint(verdict: Verdict, expected: Expected, finding: dict[str, Any], after: Run) -> str:
    """Compare with what was: one finding less and none more, the same answer."""
    same = (expected.rule, finding["evidence"].get("attribute"), finding["location"]["line"])
    left = {_key(one) for one in after.findings}
    before = {_key(one) for one in verdict.run.findings}
    if same in left:
        return f"{finding['fix']['code']}: the finding is still there"
    if left - before:
        return f"{finding['fix']['code']}: new findings {left - before}"
    if not _same(verdict.run, after, expected):
        return f"{finding['fix']['code']}: answered {after.answer}, before {verdict.run.answer}"
    return ""


def _key(finding: dict[str, Any]) -> tuple[Any, ...]:
    location = finding["location"] or {}
    return finding["rule"], finding["evidence"].get("attribute"), location.get("line")


def _same(before: Run, after: Run, expected: Expected) -> bool:
    """Tell whether the answer is the same; where there was none, whether there is one now."""
    if expected.rule == "SQL201" and (before.status >= _FAILED or expected.severity == "info"):
        return 0 < after.status < _FAILED
    if expected.rule == "SQL201" and isinstance(before.answer, str):  # a stream broke off
        return after.status == before.status and str(after.answer).startswith(before.answer)
    return (after.status, after.answer) == (before.status, before.answer)


@dataclass
class Tally:
    """Counts of one rule.

    Attributes:
        applied: Fixes that say of themselves that they can be applied mechanically.
        proved: Of these: the finding is gone, the answer the same.
        by_hand: Fixes that say that they cannot.
        twins: Of these: there is a twin mended by hand, without finding and with the same answer.
    """

    findings: int = 0
    applied: int = 0
    proved: int = 0
    by_hand: int = 0
    twins: int = 0

    def __add__(self, other: Self) -> "Tally":
        return Tally(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def tallies(found: Iterable[Proof]) -> dict[str, Tally]:
    """Count by rule."""
    counts: dict[str, Tally] = defaultdict(Tally)
    for proof in found:
        tally = counts[proof.expected.rule]
        tally.findings += 1
        if proof.outcome == "by hand":
            tally.by_hand += 1
            tally.twins += bool(proof.twin)
        else:
            tally.applied += 1
            tally.proved += proof.outcome == "proved"
    return dict(sorted(counts.items()))
