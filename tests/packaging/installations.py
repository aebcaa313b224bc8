"""Runs programs with a Python of their own."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHOPS = Path(__file__).with_name("shops")
_DRIVER = Path(__file__).with_name("drive.py")
_NOT_PASSED_ON = ("CI", "PYTHON", "PYTEST", "FASTAPI_DIAGNOSTICS")
"""Beginnings of variables that would change what a user sees."""


@dataclass(frozen=True)
class Distributions:
    """What is uploaded at a release."""

    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Run:
    """What a program answered.

    Attributes:
        answers: One for each call: ``status``, ``headers`` and ``body``.
        modules: What it had imported at its end.
        stderr: What it printed for the person at the terminal.
    """

    answers: list[dict[str, Any]]
    modules: frozenset[str]
    stderr: str


@dataclass(frozen=True)
class Installation:
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        return Path(self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))

    def install(self, *arguments: str) -> None:
        """Install with pip."""
        self.run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)

    def run(self, *arguments: str) -> str:
        """Run Python and give what it printed."""
        return self._run(arguments, cwd=self.folder).stdout.strip()

    def drive(self, app: str, cwd: Path, *calls: dict[str, Any] | str) -> Run:
        """Call an application, given as ``module:name``, in a process started in *cwd*."""
        listed = [{"url": call} if isinstance(call, str) else call for call in calls]
        # The driver must not bring this folder along: it holds the shops in source.
        driver = shutil.copy(_DRIVER, self.folder)
        done = self._run((str(driver), app), cwd=cwd, text=json.dumps(listed), path=str(cwd))
        result = json.loads(done.stdout)
        return Run(result["answers"], frozenset(result["modules"]), done.stderr)

    def _run(
        self, arguments: tuple[str, ...], *, cwd: Path, text: str = "", path: str = ""
    ) -> subprocess.CompletedProcess[str]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_PASSED_ON)}
        done = subprocess.run(  # noqa: S603 - our own programs
            [self.python, *arguments],
            cwd=cwd,
            env={**environ, **({"PYTHONPATH": path} if path else {})},
            input=text,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            sys.stderr.write(done.stderr)
            raise AssertionError(f"{arguments} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done


def line_of(file: Path, text: str) -> int:
    """Find the only line of a file that holds *text*."""
    [line] = [n for n, found in enumerate(file.read_text().splitlines(), 1) if text in found]
    return line
