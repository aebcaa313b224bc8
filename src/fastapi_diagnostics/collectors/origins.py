"""Where the task collector notes who started a task, for other collectors to read."""

from typing import Any, Final

from fastapi_diagnostics.recorder import Recorder

ORIGIN: Final = "_fastapi_diagnostics_origin"
"""The attribute of a task that tells who started it: the recorder and the call site, or `None`."""


def started_by(task: Any) -> Recorder | None:
    """Give the recorder, closed or not, of whoever started a task; `None` if that is unknown."""
    noted = getattr(task, ORIGIN, None)
    found = noted[0] if type(noted) is tuple else None
    return found if isinstance(found, Recorder) else None
