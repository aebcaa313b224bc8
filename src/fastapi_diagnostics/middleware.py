"""Pure ASGI: opens and closes a recording, and leads to the dashboard.

Everything passes through unbuffered; what the application raises passes through unchanged.
"""

import asyncio
import functools
import sys
from collections.abc import Awaitable
from typing import Any, Protocol

from fastapi_diagnostics.asgi import ASGIApp, Message, Receive, Scope, Send, route_path
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import State
from fastapi_diagnostics.recorder import CURRENT, Recorder

SCOPE_KEY = "fastapi_diagnostics"
"""Tells a scope that is being recorded, however often the middleware stands in its way."""

SERVER_ERROR = 500
_RECORDED = frozenset({"http", "websocket"})
_LAST_MESSAGES = frozenset({"http.response.pathsend", "websocket.close"})


class Runtime(Protocol):
    """What the middleware needs of the running diagnostics."""

    prefix: str
    headers: bool
    serving: bool
    recording: bool

    def open(self, scope: Scope) -> Recorder:
        """Open a recording for a scope."""
        ...

    def keep(self, recorder: Recorder, state: State) -> None:
        """Seal a recording on this thread and hand the record on; never raises."""
        ...

    async def dashboard(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for our own pages; *app* answers where nothing of ours is served."""
        ...

    def before_response(self, now: float) -> None:
        """Be told, with a reading of the clock, that a response is about to start.

        From now on a client may go on.
        """
        ...

    def starting(self, app: object) -> None:
        """Be told that the application is about to start, in the task of its lifespan."""
        ...

    def started(self) -> None:
        """Be told that the application has started."""
        ...

    async def stopped(self) -> None:
        """Be told that the application has stopped; returns within 2 s."""
        ...


class RecordingMiddleware:
    """Records http and websocket scopes of the application it wraps.

    Args:
        app: The ASGI application.
        runtime: `None` where everything is switched off: then calls are only forwarded.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime | None) -> None:
        self.app = app
        self._runtime = runtime

    @property
    def on(self) -> bool:
        """Whether anything is recorded or served."""
        return self._runtime is not None

    def __getattr__(self, name: str) -> Any:
        """Look through to the application, for ``app = DiagnosticsMiddleware(app)``."""
        if name in {"app", "_runtime"}:
            raise AttributeError(name)
        return getattr(self.app, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record one scope, or serve the dashboard."""
        recorder = None
        runtime = self._runtime
        if runtime is not None and SCOPE_KEY not in scope:
            kind = scope["type"]
            if kind == "lifespan":
                await self._lifespan(runtime, scope, receive, send)
                return
            if kind in _RECORDED:
                if (
                    runtime.serving
                    and runtime.prefix in scope["path"]
                    and _is_under(scope, runtime)
                ):
                    CURRENT.set(None)  # a connection that is kept alive may bring an earlier one
                    await runtime.dashboard(self.app, scope, receive, send)
                    return
                if runtime.recording:
                    recorder = _opened(runtime, scope)
        if recorder is None or runtime is None:
            await self.app(scope, receive, send)
            return
        # From here on in this frame: another one for each request would cost as much as a hook.
        around = recorder.outer
        CURRENT.set(recorder)
        if recorder.kind == "websocket":
            receive = _counted(recorder, receive)
        try:
            observed = functools.partial(_sending, recorder, runtime, send)
            call = self.app(scope, receive, observed)
            await (call if recorder.driver is None else recorder.driver(call, recorder))
        except Exception as error:
            _note(recorder, error)
            raise
        finally:
            runtime.keep(recorder, "closed")
            if around is not None:  # called in process: the capture's own code goes on in this task
                CURRENT.set(around)

    async def _lifespan(self, runtime: Runtime, scope: Scope, receive: Receive, send: Send) -> None:
        scope[SCOPE_KEY] = True

        async def observed_send(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                with FAULTS.contained("started"):
                    runtime.started()
            elif message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                with FAULTS.contained("stopped"):
                    await runtime.stopped()
            await send(message)

        with FAULTS.contained("starting"):
            runtime.starting(scope.get("app", self.app))
        await self.app(scope, receive, observed_send)


def _opened(runtime: Runtime, scope: Scope) -> Recorder | None:
    """Open a recording; `None` if that fails: the request goes on unrecorded."""
    try:
        recorder = runtime.open(scope)
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("open", error)
        return None
    scope[SCOPE_KEY] = recorder.id
    return recorder


def _counted(recorder: Recorder, receive: Receive) -> Receive:
    """Count the messages of a websocket: each of them begins anew."""

    async def counted_receive() -> Message:
        message = await receive()
        if message["type"] == "websocket.receive":
            recorder.window += 1
        return message

    return counted_receive


def _sending(recorder: Recorder, runtime: Runtime, send: Send, message: Message) -> Awaitable[None]:
    """Stand in for ``send``: messages go on as they are, but for our two headers.

    It is no coroutine function and gives what ``send`` gives to be awaited, but for the last
    message, where we look at what follows.
    """
    kind = message["type"]
    if kind == "http.response.start":
        try:
            message = _begun(recorder, runtime, message)
        except Exception as error:  # noqa: BLE001 - ours, contained: it goes out as it is
            FAULTS.note("begun", error)
    elif kind == "http.response.body":
        if not message.get("more_body", False):
            return _last(recorder, runtime, send, message)
    elif kind in _LAST_MESSAGES:
        if kind == "websocket.close":
            recorder.status = message.get("code", 1000)
        return _last(recorder, runtime, send, message)
    return send(message)


async def _last(recorder: Recorder, runtime: Runtime, send: Send, message: Message) -> None:
    await send(message)
    _responded(recorder, runtime)


def _begun(recorder: Recorder, runtime: Runtime, message: Message) -> Message:
    """Note the start of the response, and give it with our headers if they are wanted."""
    status = message["status"]
    if status >= SERVER_ERROR:
        _note_handled(recorder)
    recorder.status = status  # from here on, what fails fails after the answer
    if recorder.phase != "response":  # as it mostly is, after serialisation
        recorder.enter("response")
    now = recorder.clock()
    if runtime.headers:
        timing = _server_timing(round((now - recorder.started) * 10_000))
        ours = (b"x-diagnostics-id", recorder.id.encode()), (b"server-timing", timing)
        message = {**message, "headers": [*message.get("headers", ()), *ours]}
    runtime.before_response(now)
    return message


@functools.lru_cache(maxsize=1024)
def _server_timing(tenths: int) -> bytes:
    """Write tenths of a millisecond; to write a float costs 1 µs on every request."""
    return b"app;dur=%d.%d" % divmod(tenths, 10)


def _responded(recorder: Recorder, runtime: Runtime) -> None:
    """The last byte was handed over: what follows happens after the response.

    Most applications return at once, and then the record is sealed once, at its close.
    Where something is known to follow, it is sealed as open in the loop's next turn, if the
    application has not returned by then.
    """
    try:
        if recorder.responded is not None:
            return
        recorder.responded = now = recorder.clock()
        recorder.enter("teardown", now)
        if recorder.lingers:
            recorder.refresh = functools.partial(_keep_open, recorder, runtime)
            asyncio.get_running_loop().call_soon(recorder.refresh)
    except RuntimeError:
        return  # not on asyncio: the record is stored at its close
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("responded", error)


def _keep_open(recorder: Recorder, runtime: Runtime) -> None:
    if not recorder.closed:
        runtime.keep(recorder, "open")


def _note(recorder: Recorder, error: Exception) -> None:
    with FAULTS.contained("note exception"):
        recorder.note_exception(error)


def _note_handled(recorder: Recorder) -> None:
    """Note what ServerErrorMiddleware is answering: it raises it again only after the answer."""
    error = sys.exc_info()[1]
    if isinstance(error, Exception):
        _note(recorder, error)


def _is_under(scope: Scope, runtime: Runtime) -> bool:
    path, prefix = route_path(scope), runtime.prefix
    return path == prefix or path.startswith(prefix + "/")
