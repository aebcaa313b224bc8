"""The running diagnostics of one application: opens recordings, keeps records, tells its state."""

import os
import sys
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from fastapi_diagnostics.app_record import AppRecord
from fastapi_diagnostics.asgi import ASGIApp, Receive, Scope, Send
from fastapi_diagnostics.audits import Audits
from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.collectors import sqlalchemy as sqlalchemy_collector
from fastapi_diagnostics.collectors.application.bypassed import UNMATCHED, bypassed_handlers
from fastapi_diagnostics.collectors.fastapi.routes import (
    application_files,
    request_facts,
    route_facts,
)
from fastapi_diagnostics.collectors.hooks import HOOKS
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.finding import Rule
from fastapi_diagnostics.outputs.threads import in_thread
from fastapi_diagnostics.pipeline import Pipeline
from fastapi_diagnostics.record import LoopBlock, PhaseName, State
from fastapi_diagnostics.recorder import CURRENT, RECORD_IDS, Recorder
from fastapi_diagnostics.rules.catalogue import all_rules
from fastapi_diagnostics.settings import ConfigurationError, Settings
from fastapi_diagnostics.store.protocol import Store

FLUSH_S = 2.0
_KEPT = frozenset({"time"})
"""What is kept of start-up: the event loop's part."""
_SHOWN_VERSIONS = (
    "fastapi-diagnostics",
    "fastapi",
    "starlette",
    "sqlalchemy",
    "pydantic",
    "uvicorn",
)


class Diagnostics:
    """What the middleware and the pages need while the application runs.

    Args:
        settings: Checked.
        pipeline: Takes the records.
        clock: Monotonic seconds; the hooks read ``time.perf_counter``, so give the same.
        wall: Seconds since the epoch.
        serving: Whether pages are served.
        recording: Whether requests are recorded.
        make_pages: Builds the ASGI application of the pages around this and the application,
            at the first request for them.
        announce: Told once that the application has started, to print where the pages are.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        pipeline: Pipeline,
        clock: Callable[[], float],
        wall: Callable[[], float],
        serving: bool,
        recording: bool,
        make_pages: Callable[["Diagnostics", ASGIApp], ASGIApp],
        announce: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.pipeline = pipeline
        self.prefix = settings.path
        self.headers = settings.headers
        self.serving = serving
        self.recording = recording
        # Looks who waits for a block, before a client can send what only looks like waiting.
        self.before_response = event_loop.before_response
        self._clock = clock
        self._wall = wall
        self._values = settings.values
        self._make_pages = make_pages
        self._pages: ASGIApp | None = None
        self._announce = announce
        self._startup: Recorder | None = None
        self._adopted = False
        self._audits = Audits(pipeline, wall)
        self._starting: Callable[[], Any] | None = None

    # What the middleware needs.

    def open(self, scope: Scope) -> Recorder:
        """Open a recording for an http or websocket scope."""
        watched = self.watch_loop()
        if not self._adopted:
            self._adopt(scope.get("app"))
        outer = None if CURRENT.get() is None else open_capture()
        recorder = Recorder(
            RECORD_IDS(), scope["type"], self._clock, self._wall, scope, outer, self._values
        )
        if not watched:
            recorder.driver = event_loop.driver()
        return recorder

    def watch_loop(self) -> bool:
        """Hook what may have come into being since: the running loop, SQLAlchemy's import.

        Returns:
            Whether the loop is watched.
        """
        watched = event_loop.watch_running_loop()
        if sqlalchemy_collector.wanted():
            sqlalchemy_collector.install(HOOKS)
        return watched

    def keep(self, recorder: Recorder, state: State) -> None:
        """Seal a recording on this thread and hand the record on; never raises."""
        try:
            scope = recorder.scope
            if scope is None:  # closed before
                return
            known = route_facts(recorder, scope)
            facts = request_facts(recorder, scope, known)
            if recorder.status in UNMATCHED:
                facts |= bypassed_handlers(scope, recorder.status)
            self.pipeline.submit(recorder.take(state, facts, known.packed))
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("keep", error)
        if state == "closed":
            try:
                recorder.close()
            except Exception as error:  # noqa: BLE001 - ours, contained
                FAULTS.note("close", error)

    async def dashboard(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for our own pages."""
        if not self._adopted:
            self._adopt(scope.get("app", app))
        if self._pages is None:
            self._pages = await in_thread(self._make_pages, self, app)
        await self._pages(scope, receive, send)

    def starting(self, app: object) -> None:
        """Record what the lifespan does to the event loop until `started`."""
        if not self.recording:
            return
        with suppress(TypeError):  # what cannot be referred to weakly waits for its first request
            self._starting = weakref.ref(app)
        self.watch_loop()
        self._startup = self._of_process("startup", phase="startup")
        CURRENT.set(self._startup)

    def started(self) -> None:
        """Say where the pages are, once; keep what start-up did to the loop, if it did anything."""
        if self._starting is not None:
            self._audits.begin(self._starting())
        startup, self._startup = self._startup, None
        if startup is not None:
            with FAULTS.contained("startup"):
                # Statements, warnings and the like of start-up are nobody's request.
                startup.parts = {name: startup.parts[name] for name in startup.parts.keys() & _KEPT}
                sealed = startup.take("closed", {})
                if sealed.record().blocks:
                    self.pipeline.submit(sealed)
            startup.close()
        self._announce()

    def keep_of_process(self, route: str, block: LoopBlock) -> None:
        """Keep a block of the loop that belongs to no record of a request; from any thread.

        Args:
            route: Of the request that is still in it; empty for none.
            block: As seen.
        """
        recorder = self._of_process("", phase="outside")
        recorder.parts = {}
        self.pipeline.submit(recorder.take("closed", {"blocks": (block,), "route": route}))
        recorder.close()

    def _of_process(self, name: str, *, phase: PhaseName) -> Recorder:
        return Recorder(
            record_id=RECORD_IDS(),
            kind="process",
            clock=self._clock,
            wall=self._wall,
            name=name,
            phase=phase,
            values=self.settings.values,
        )

    async def stopped(self) -> None:
        """Store what is still queued; at most 2 s."""
        await in_thread(self.pipeline.drain, FLUSH_S)

    # What the pages need: see `outputs.backend.Backend`.

    @property
    def store(self) -> Store:
        """The store, opened at its first use; may block."""
        return self.pipeline.store

    @property
    def editor(self) -> str | None:
        """The editor of the settings."""
        return self.settings.editor

    @property
    def editor_path_map(self) -> tuple[tuple[str, str], ...]:
        """Where files of a container lie on the machine of the editor."""
        return self.settings.editor_path_map

    @property
    def token_mode(self) -> bool:
        """Whether everybody who looks has to show the token."""
        return self.settings.require_token

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything this worker recorded before now is stored."""
        return self.pipeline.drain(timeout_s)

    def application(self) -> AppRecord | None:
        """Tell what is known of the application itself; may block."""
        return self._audits.latest()

    def rules(self) -> tuple[Rule, ...]:
        """List all rules by code, also those that are switched off: old findings name them."""
        return tuple(loaded.rule for loaded in all_rules())

    def status(self) -> Mapping[str, Any]:
        """Tell what is watched and how we are, JSON-ready; may block."""
        load = self.pipeline.load()
        return {
            "worker": os.getpid(),
            "hooks": [msgspec.to_builtins(hook) for hook in HOOKS.status()],
            "store": msgspec.to_builtins(self.store.status()),
            "queue": {"depth": load.depth, "capacity": load.capacity, "done": load.done},
            "dropped": load.dropped,
            "overhead": {
                "worker_cpu_ms": load.cpu_ms,
                "worker_cpu_us_per_record": self.pipeline.conclude_us(),
                "records": self.pipeline.concluded,
            },
            "faults": [msgspec.to_builtins(fault) for fault in FAULTS.all()],
            "versions": _versions(),
        }

    def _adopt(self, application: Any) -> None:
        """Count the application's own packages as user code, wherever they are installed."""
        if application is None:
            return  # wrapped from outside: known from the second request on
        self._adopted = True
        if self.recording:
            self._audits.begin(application)
        with FAULTS.contained("user code"):
            for path in application_files(application):
                USER_CODE.add_package(path)


def open_capture() -> Recorder | None:
    """Find the `capture` that is open around the running code."""
    recorder = CURRENT.get()
    while recorder is not None and (recorder.kind != "capture" or recorder.closed):
        recorder = recorder.outer
    return recorder


def configure_user_code(settings: Settings, root: Path) -> None:
    """Tell whose code is the user's: the project's, and the packages that were named."""
    USER_CODE.add_root(root)
    for name in settings.user_packages:
        found = find_spec(name.partition(".")[0])
        if found is None:
            raise ConfigurationError(
                f"fastapi-diagnostics: setting user_packages names {name!r}, "
                "which cannot be imported; give import names."
            )
        places = found.submodule_search_locations or [found.origin or ""]
        for place in filter(None, places):
            USER_CODE.add_package(Path(place))


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in _SHOWN_VERSIONS:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
