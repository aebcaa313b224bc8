"""pytest plugin, loaded in every run: writes each test's outcome to a JSON file.

Imports nothing of ours, so that the run without us is one without us.
"""

import json
import os
from pathlib import Path

import pytest

OUTCOMES_FILE = "TRANSPARENCY_OUTCOMES"

_RANK = ("passed", "xpassed", "skipped", "xfailed", "failed", "error")
"""A test has up to three reports (set-up, call, tear-down); the later in this list counts."""


class Outcomes:
    """Outcomes by node id; "collection" reports stand under the id of their file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = _outcome(report)
        before = self._outcomes.get(report.nodeid, "passed")
        self._outcomes[report.nodeid] = max(before, outcome, key=_RANK.index)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            outcome = "error" if report.failed else "skipped"
            self._outcomes[f"{report.nodeid} (collection)"] = outcome

    def pytest_sessionfinish(self) -> None:
        self._path.write_text(json.dumps(self._outcomes, indent=0, sort_keys=True))


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # xdist's workers report to the main process
        config.pluginmanager.register(Outcomes(Path(os.environ[OUTCOMES_FILE])))


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    if report.failed and report.when != "call":
        return "error"
    return report.outcome
