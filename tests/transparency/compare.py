"""Runs a suite in one mode, and compares the outcomes of two runs test for test."""

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.transparency.releases import Suite, clean_environ

Mode = Literal["without", "real", "null", "wrong"]

MISSING = "not run"
COLLECTION = " (collection)"  # as outcome_plugin.py marks what failed or skipped before its tests
RERUN_AT_MOST = 60
"""So many differences are no flakiness; they are then reported as they are."""
TIMEOUT_S = 120
"""For one test, so that none holds up the run; more than the suites' own, for a busy machine."""
_PLUGINS = Path(__file__).parent
_NO_TESTS_RAN = 5


class BrokenOffError(Exception):
    """pytest did not come to its end, so that there is nothing to compare."""


@dataclass(frozen=True)
class Run:
    """The outcome of each test in one mode.

    Attributes:
        outcomes: By node id; "passed", "failed", "error", "skipped", "xfailed" or "xpassed".
        seen: What the forced middleware saw, by process; empty in other modes than "real".
        seconds: Wall time.
        log: What pytest printed.
    """

    mode: Mode
    outcomes: Mapping[str, str]
    seen: Sequence[Mapping[str, Any]]
    seconds: float
    log: Path

    def counts(self) -> Counter[str]:
        """Count the tests by outcome."""
        return Counter(self.outcomes.values())

    def total(self, key: str) -> int:
        """Sum a number over the processes."""
        return sum(seen[key] for seen in self.seen)

    def merged(self, key: str) -> Counter[str]:
        """Sum counted names over the processes; a fault's count comes with its text."""
        merged: Counter[str] = Counter()
        for seen in self.seen:
            for name, count in seen[key].items():
                merged[name] += count[0] if isinstance(count, list) else count
        return merged


@dataclass(frozen=True)
class Difference:
    """A test that came out otherwise with the middleware."""

    test: str
    without: str
    forced: str


@dataclass(frozen=True)
class Verdict:
    """What the comparison says.

    Attributes:
        confirmed: Differences that came again when the tests were run once more in both modes.
        unrepeated: Differences that did not. Such a test may be flaky by itself, or ours may
            disturb it now and then: its log tells.
    """

    confirmed: Sequence[Difference]
    unrepeated: Sequence[Difference] = field(default=())


def run_suite(
    suite: Suite, mode: Mode, *, label: str, workers: int, select: Sequence[str] = ("tests",)
) -> Run:
    """Unpack the suite afresh and run it, or some of it, in one mode.

    Args:
        suite: Prepared.
        mode: Which middleware is forced; "without" loads nothing of ours.
        label: Of the log and the report files.
        workers: Processes; 0 or 1 runs the tests in order in one process.
        select: Arguments of pytest: paths, node ids, "-k" and a pattern.

    Raises:
        BrokenOffError: pytest did not come to its end.
    """
    folder = suite.unpack()
    reports = suite.reports / f"{label}-{mode}"
    reports.mkdir(parents=True, exist_ok=True)
    for stale in reports.iterdir():
        stale.unlink()
    outcomes, log = reports / "outcomes.json", reports / "pytest.log"
    environ = clean_environ(
        {
            "PYTHONPATH": os.pathsep.join(_python_path(suite, folder)),
            "TRANSPARENCY_OUTCOMES": str(outcomes),
            "TRANSPARENCY_SEEN": str(reports),
            "TRANSPARENCY_MIDDLEWARE": mode,
            "TRANSPARENCY_HEADERS": "1" if suite.release.headers else "0",
        }
    )
    command = [suite.python, "-m", "pytest", *_options(suite, mode, workers), *select]
    began = time.perf_counter()
    with log.open("wb") as output:
        code = subprocess.run(  # noqa: S603 - our own command
            command, cwd=folder, env=environ, stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    seconds = time.perf_counter() - began
    if code not in {0, 1, _NO_TESTS_RAN} and not (code == 2 and outcomes.exists()):
        raise BrokenOffError(f"pytest ({mode}) broke off with {code}, see {log}")
    return Run(
        mode=mode,
        outcomes=json.loads(outcomes.read_text()),
        seen=[json.loads(path.read_text()) for path in reports.glob("[0-9]*.json")],
        seconds=seconds,
        log=log,
    )


def differences(without: Run, forced: Run) -> list[Difference]:
    """List the tests whose outcome is not the same, and those that ran in one mode only."""
    tests = sorted(without.outcomes.keys() | forced.outcomes.keys())
    pairs = (
        (test, without.outcomes.get(test, MISSING), forced.outcomes.get(test, MISSING))
        for test in tests
    )
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]]


def judge(
    suite: Suite, without: Run, forced: Run, *, workers: int, select: Sequence[str]
) -> Verdict:
    """Compare two runs, and run what differs again before calling it a difference.

    First by itself, then with all others of its file, at last the whole selection again: an effect
    of ours may need an earlier test, or the load of the whole run.

    Args:
        suite: Prepared.
        without: The run without us.
        forced: The run in another mode.
        workers: As in both runs.
        select: As in both runs.
    """
    found = differences(without, forced)
    if len(found) > RERUN_AT_MOST:
        return Verdict(confirmed=found)
    confirmed: set[str] = set()
    for label, tests, processes in (
        ("alone", sorted({_runnable(difference.test) for difference in found}), 0),
        ("files", sorted({_file(difference.test) for difference in found}), 0),
        ("again", select, workers),
    ):
        if {difference.test for difference in found} <= confirmed:
            break
        without_again, forced_again = (
            run_suite(suite, mode, label=label, workers=processes, select=tests)
            for mode in ("without", forced.mode)
        )
        confirmed |= {difference.test for difference in differences(without_again, forced_again)}
    return Verdict(
        confirmed=[difference for difference in found if difference.test in confirmed],
        unrepeated=[difference for difference in found if difference.test not in confirmed],
    )


def _python_path(suite: Suite, folder: Path) -> Iterable[str]:
    yield str(_PLUGINS)
    if suite.release.python_path:
        yield str(folder / suite.release.python_path)


def _options(suite: Suite, mode: Mode, workers: int) -> Iterable[str]:
    yield from ("-q", "-p", "no:cacheprovider", "-p", "outcome_plugin", f"--timeout={TIMEOUT_S}")
    if mode != "without":
        yield from ("-p", "force_plugin")
    if workers > 1 and suite.release.parallel:
        yield from ("-n", str(workers), "--dist", "loadgroup")


def _file(test: str) -> str:
    return test.removesuffix(COLLECTION).partition("::")[0]


def _runnable(test: str) -> str:
    return _file(test) if test.endswith(COLLECTION) else test
