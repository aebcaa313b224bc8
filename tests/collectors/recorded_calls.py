"""Drives an ASGI application by hand and records its requests, without a server or a client.

The recording is opened and sealed as the middleware does it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi_diagnostics.record import RequestRecord
from fastapi_diagnostics.recorder import CURRENT, Recorder

Message = dict[str, Any]


class Outcome:
    """What came of one call."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.error: BaseException | None = None
        self.open_record: RequestRecord | None = None
        self.record: RequestRecord

    @property
    def status(self) -> int:
        return next(m["status"] for m in self.messages if m["type"] == "http.response.start")

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages)


def call(app: Any, path: str, *, method: str = "GET", spec: str = "2.3", **rest: Any) -> Outcome:
    """Send one request and wait until the application's call has returned.

    ``recorded=False`` leaves the recording out; ``gone_after=n`` lets the client go away after
    *n* messages: with ``spec="2.4"`` sending then fails, before that it is a disconnect message.
    """
    return asyncio.run(_call(app, path, method, spec, **rest))


async def _call(
    app: Any,
    path: str,
    method: str,
    spec: str,
    *,
    recorded: bool = True,
    gone_after: int | None = None,
    outer: Recorder | None = None,
) -> Outcome:
    outcome = Outcome()
    gone = asyncio.Event()
    received = False
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": spec},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 50000),
        "server": ("testserver", 80),
        "state": {},
    }

    async def receive() -> Message:
        nonlocal received
        if not received:
            received = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if gone_after is not None and len(outcome.messages) >= gone_after:
            gone.set()
            if spec >= "2.4":
                raise OSError("the client is gone")
            await asyncio.sleep(0)
            return
        outcome.messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            gone.set()

    serve = _recorded(app, outcome, outer) if recorded else app
    try:
        await serve(scope, receive, send)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - what a server would log
        outcome.error = error
    return outcome


def _recorded(
    app: Any, outcome: Outcome, outer: Recorder | None = None
) -> Callable[[dict[str, Any], Any, Any], Awaitable[None]]:
    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        recorder = Recorder(
            record_id="r1",
            kind="http",
            clock=time.perf_counter,
            wall=time.time,
            scope=scope,
            outer=outer,
        )
        CURRENT.set(recorder)

        async def observed_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                recorder.status = message["status"]
                recorder.enter("response")
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                recorder.responded = recorder.clock()
                recorder.enter("teardown")
                outcome.open_record = recorder.seal("open", route=f"GET {scope['path']}")

        try:
            await app(scope, receive, observed_send)
        except Exception as error:
            recorder.note_exception(error)
            raise
        finally:
            outcome.record = recorder.seal("closed", route=f"GET {scope['path']}")
            recorder.close()

    return serve
