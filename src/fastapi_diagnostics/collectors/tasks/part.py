"""The loose tasks of one request."""

from typing import Any, Final, Self

from fastapi_diagnostics.collectors.tasks import waiting
from fastapi_diagnostics.record import LooseTask
from fastapi_diagnostics.recorder import Recorder

PART: Final = "tasks"
MAX_LOOSE: Final = 100


class TasksPart:
    """What became of tasks and coroutines that nobody waited for, as far as known by now."""

    __slots__ = ("facts",)

    def __init__(self) -> None:
        self.facts: list[LooseTask] = []

    def note(self, fact: LooseTask) -> None:
        """Keep a fact if there is room for it."""
        if len(self.facts) < MAX_LOOSE:
            self.facts.append(fact)

    def seal(self, recorder: Recorder) -> dict[str, Any]:  # noqa: ARG002 - nothing of it is needed
        """Give what is known; what only waits to be described is described first."""
        waiting.describe_all()
        return {"loose_tasks": tuple(self.facts)} if self.facts else {}

    def absorb(self, other: Self, *, exceptions: int) -> None:  # noqa: ARG002 - no indices here
        """Take over the facts of a recorder that ran inside this one."""
        self.facts += other.facts[: MAX_LOOSE - len(self.facts)]
