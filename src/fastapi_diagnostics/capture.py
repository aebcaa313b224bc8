"""Records code outside HTTP: a script, a job, a test; also a slice of a request."""

import time
from contextvars import Token
from types import TracebackType

import anyio.to_thread

from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.record import RequestRecord
from fastapi_diagnostics.recorder import CURRENT, RECORD_IDS, Recorder, Sealed, active
from fastapi_diagnostics.rules.ledger import with_ledger
from fastapi_diagnostics.runtime import Diagnostics


class Recording:
    """What a `capture` recorded.

    Attributes:
        name: As given.
        record: `None` until the block has ended.
        findings: What the rules concluded, ready when the block has ended.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.record: RequestRecord | None = None
        self.findings: tuple[Finding, ...] = ()


class Capture:
    """A context manager, ``with`` or ``async with``, that records what runs inside its block.

    Inside a request, or around a test client's call, both record: the capture gets its slice and
    the request keeps everything.
    Exceptions pass through unchanged.

    Args:
        name: Stands in for the route in findings.
        diagnostics: Judges and keeps the record.
    """

    def __init__(self, name: str, diagnostics: Diagnostics | None) -> None:
        self.recording = Recording(name)
        self._diagnostics = diagnostics
        self._recorder: Recorder | None = None
        self._sealed: Sealed | None = None
        self._token: Token[Recorder | None] | None = None

    def __enter__(self) -> Recording:
        """Begin to record."""
        if self._diagnostics is not None:
            outer = active()
            self._recorder = Recorder(
                record_id=RECORD_IDS(),
                kind="capture",
                clock=time.perf_counter,
                wall=time.time,
                name=self.recording.name,
                outer=outer,
                phase="outside" if outer is None else outer.phase,
                values=self._diagnostics.settings.values,
            )
            self._token = CURRENT.set(self._recorder)
        return self.recording

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """End the record and judge it."""
        if self._end(error):
            self._conclude()

    async def __aenter__(self) -> Recording:
        """Begin to record."""
        self._watch_loop()
        return self.__enter__()

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """End the record and judge it in a thread."""
        if self._end(error):
            await anyio.to_thread.run_sync(self._conclude)

    def _watch_loop(self) -> None:
        if self._diagnostics is not None:
            self._diagnostics.watch_loop()

    def _end(self, error: BaseException | None) -> bool:
        recorder, token = self._recorder, self._token
        if recorder is None or token is None:
            return False
        CURRENT.reset(token)
        with FAULTS.contained("capture"):
            if isinstance(error, Exception):
                recorder.note_exception(error)
            self._sealed = recorder.take("closed", {"route": self.recording.name})
            self.recording.record = self._sealed.record()
        recorder.close()
        return self._sealed is not None

    def _conclude(self) -> None:
        record, sealed = self.recording.record, self._sealed
        if record is None or sealed is None or self._diagnostics is None:
            return
        with FAULTS.contained("capture"):
            self.recording.findings = self._diagnostics.pipeline.findings(record)
            self.recording.record = with_ledger(record, self.recording.findings)
            self._diagnostics.pipeline.submit(sealed)
