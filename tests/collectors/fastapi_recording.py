"""Records requests to an application in process, as the real middleware does, without pipeline."""

import sys
import time
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from fastapi_diagnostics.collectors.fastapi.routes import http_facts
from fastapi_diagnostics.record import RequestRecord
from fastapi_diagnostics.recorder import CURRENT, Recorder

HERE = Path(__file__).parent


class Recording:
    """Stands around an application; `records` has one for each request."""

    def __init__(self, app: Any, *, copy_scope: bool = False, values: str = "redacted") -> None:
        self.app = app
        self.records: list[RequestRecord] = []
        self.errors: list[Exception] = []
        self._copy_scope = copy_scope
        self._values = values

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        recorder = Recorder(
            record_id="r1",
            kind=scope["type"],
            clock=time.perf_counter,
            wall=time.time,
            scope=scope,
            values=self._values,
        )
        CURRENT.set(recorder)

        async def observed(message: Any) -> None:
            if message["type"] == "http.response.start":
                recorder.status = message["status"]
                answered_for = sys.exc_info()[1]
                if recorder.status >= 500 and answered_for is not None:
                    recorder.note_exception(answered_for)  # while the phase is still its own
                recorder.enter("response")
            await send(message)

        try:
            inner = dict(scope) if self._copy_scope else scope
            await self.app(inner, receive, observed)
        except Exception as error:
            recorder.note_exception(error)
            self.errors.append(error)
            raise
        finally:
            facts = http_facts(recorder, scope)
            self.records.append(recorder.seal("closed", **facts))
            recorder.close()

    def client(self) -> TestClient:
        """A client that sees a 500 where the application raised."""
        return TestClient(self, raise_server_exceptions=False)

    @property
    def last(self) -> RequestRecord:
        """The record of the latest request."""
        return self.records[-1]


def line_of(text: str, file: str) -> int:
    """Find the only line of a test file that ends with a mark."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    (found,) = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {text}")]
    return found
