"""What this collector keeps on a recorder."""

from typing import Any, Self

import msgspec

from fastapi_diagnostics.collectors.fastapi.dependencies import Solving, dependency_runs
from fastapi_diagnostics.record import DependencyRun, InvalidResponse, Location, Rejection
from fastapi_diagnostics.recorder import Recorder

NAME = "fastapi"
MAX_SOLVINGS = 20
MAX_REJECTIONS = 20
MAX_INVALID = 20


class FastAPIPart:
    """Facts of one request, dropped when its recorder closes.

    Attributes:
        handled: The exception that a handler is turning into an answer, its index, and where
            the handler is defined.
        invalid: What the endpoint returned and its response model refused.
    """

    __slots__ = (
        "_read_of",
        "_runs",
        "handled",
        "invalid",
        "rejections",
        "solvings",
    )

    def __init__(self) -> None:
        self.handled: tuple[BaseException, int, Location | None] | None = None
        self.invalid: list[InvalidResponse] = []
        self.solvings: list[Solving] = []
        self.rejections: list[Rejection] = []
        self._runs: tuple[DependencyRun, ...] = ()
        self._read_of = 0

    def seal(self, recorder: Recorder) -> dict[str, Any]:
        """Give the dependencies that ran and the requests that were refused."""
        fields: dict[str, Any] = {}
        if self.solvings:
            fields["dependencies"] = self._dependencies(recorder)
        if self.rejections:
            fields["rejections"] = tuple(self.rejections)
        if self.invalid:
            fields["invalid_responses"] = tuple(self.invalid)
        return fields

    def _dependencies(self, recorder: Recorder) -> tuple[DependencyRun, ...]:
        """Read what ran; a record is sealed twice, and mostly nothing ran in between."""
        if len(self.solvings) != self._read_of:
            runs: list[DependencyRun] = []
            for solving in self.solvings:
                runs += dependency_runs(solving, recorder, len(runs))
            self._runs = tuple(runs)
            over = all(solving.ended is not None for solving in self.solvings)
            self._read_of = len(self.solvings) if over else 0
        return self._runs

    def absorb(self, other: Self, *, exceptions: int) -> None:
        """Take over the facts of a recorder that ran inside this one."""
        self.solvings += other.solvings[: MAX_SOLVINGS - len(self.solvings)]
        self.rejections += other.rejections[: MAX_REJECTIONS - len(self.rejections)]
        self.invalid += (
            msgspec.structs.replace(one, exception=one.exception + exceptions)
            for one in other.invalid[: MAX_INVALID - len(self.invalid)]
        )
