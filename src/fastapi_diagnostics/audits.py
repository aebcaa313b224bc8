"""Has the application itself looked at: when it has started, and again when routes were added.

The look is taken on the worker's thread. Its findings are kept with a record of kind ``process``,
one for each start of a process, so that workers and reloads add occurrences and nothing else.
"""

import time
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from fastapi_diagnostics.app_record import AppRecord
from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors.application import collect, routes_version
from fastapi_diagnostics.collectors.fastapi.routes import application_files
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.pipeline import Audit, Pipeline
from fastapi_diagnostics.recorder import RECORD_IDS

WAIT_S: Final = 2.0
"""How long a page waits for the first look."""
_BREATH_S: Final = 0.0002
"""Pause of the worker every few routes, so that a request gets the interpreter."""


class Audits:
    """What is known of one application without a request.

    Args:
        pipeline: Judges it and keeps what is found.
        wall: Seconds since the epoch.
    """

    def __init__(self, pipeline: Pipeline, wall: Callable[[], float]) -> None:
        self._pipeline = pipeline
        self._wall = wall
        self._application: Callable[[], Any] | None = None
        self._version: tuple[int, int] | None = None
        self._record: AppRecord | None = None
        self._record_id = RECORD_IDS()
        # The pipeline is ours, and not the other way round: together they go as soon as we do.
        after_batch = weakref.WeakMethod(self._after_batch)
        pipeline.subscribe(lambda _reports, _new: _call(after_batch()))

    def begin(self, application: Any) -> None:
        """Have an application looked at, unless it was already; returns at once."""
        if self._application is not None or not hasattr(application, "routes"):
            return
        self._application = weakref.ref(application)
        self._queue()

    def latest(self) -> AppRecord | None:
        """Give what is known; `None` before the first request. Blocks, at most `WAIT_S` at first.

        Findings that were cleared from the store since are found again.
        """
        if self._application is None:
            return None
        if self._record is not None and self._pipeline.store.request(self._record_id) is None:
            self._queue()
        self._pipeline.drain(WAIT_S)
        return self._record

    def _queue(self) -> None:
        at = datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="microseconds")
        self._pipeline.audit(Audit(self._look, self._record_id, at.replace("+00:00", "Z")))

    def _look(self) -> AppRecord | None:
        application = self._application() if self._application is not None else None
        if application is None:
            return None
        self._version = routes_version(application)
        with FAULTS.contained("user code"):
            for path in application_files(application):
                USER_CODE.add_package(path)
        self._record = collect(application, breathe=_breathe)
        return self._record

    def _after_batch(self) -> None:
        """Look again if there are other routes than before; on the worker's thread."""
        application = self._application() if self._application is not None else None
        if application is None or self._version is None:
            return
        if routes_version(application) != self._version:
            self._version = None  # until the look is taken
            self._queue()


def _call(action: Callable[[], None] | None) -> None:
    if action is not None:
        action()


def _breathe() -> None:
    time.sleep(_BREATH_S)
