"""The only file that knows everyone: builds what the public names need."""

import functools
import os
import secrets
import sys
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Router

from fastapi_diagnostics.asgi import ASGIApp, Receive, Scope, Send
from fastapi_diagnostics.capture import Capture
from fastapi_diagnostics.collectors import (
    background,
    dependency_state,
    event_loop,
    executors,
    old_pydantic,
    response_diff,
    tasks,
    threadpool,
)
from fastapi_diagnostics.collectors import fastapi as fastapi_collector
from fastapi_diagnostics.collectors import sqlalchemy as sqlalchemy_collector
from fastapi_diagnostics.collectors.fastapi.routes import http_facts
from fastapi_diagnostics.collectors.hooks import HOOKS
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.middleware import RecordingMiddleware
from fastapi_diagnostics.outputs.access import (
    AccessPolicy,
    Gate,
    load_or_create_token,
    login_link,
)
from fastapi_diagnostics.outputs.log import FindingLog, log_store_problem
from fastapi_diagnostics.pipeline import Pipeline
from fastapi_diagnostics.record import LoopBlock
from fastapi_diagnostics.recorder import Recorder
from fastapi_diagnostics.rules.catalogue import all_rules, chosen_rules, unknown_names
from fastapi_diagnostics.runtime import Diagnostics, configure_user_code
from fastapi_diagnostics.settings import (
    ConfigurationError,
    Settings,
    find_project_root,
    in_production,
    read_settings,
    source_of,
)
from fastapi_diagnostics.store.limits import Limits
from fastapi_diagnostics.store.opening import open_store
from fastapi_diagnostics.store.protocol import Store
from fastapi_diagnostics.worker import shared_worker

STORE_FOLDER = ".fastapi_diagnostics"

# Looked up while we are imported: an application is built on its event loop, where nobody should
# wait for a file system, and where tools such as blockbuster forbid it.
_DIRECTORY = Path.cwd()
_PROJECT_ROOT = find_project_root(_DIRECTORY).resolve()
all_rules()

_COLLECTORS = (
    fastapi_collector,
    response_diff,
    background,
    threadpool,
    executors,
    event_loop,
    tasks,
    dependency_state,
    old_pydantic,
    sqlalchemy_collector,
)


class DiagnosticsMiddleware(RecordingMiddleware):
    """Watches a FastAPI or Starlette application while it is developed.

    ``app.add_middleware(DiagnosticsMiddleware)`` is all there is to do; the pages are then at
    ``/_diagnostics``.
    Its position among other middleware does not matter: it always stands outside of them all.

    Args:
        app: The ASGI application; given by ``add_middleware``.
        options: Settings, see `fastapi_diagnostics.settings`; each is also an environment
            variable ``FASTAPI_DIAGNOSTICS_<NAME>``.

    Raises:
        ConfigurationError: A setting is unknown or its value is not allowed.
    """

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        super().__init__(app, _contained_build(options))


def capture(name: str) -> Capture:
    """Record code outside HTTP, such as a script, a job or a test.

    Use it as ``with capture("nightly import") as recording:``.
    After the block `Recording.record` and `Recording.findings` are ready.
    Also usable with ``async with``.
    """
    return Capture(name, _for_captures())


def install_promotion() -> None:
    """Let applications build their middleware with ours outside of everything.

    Only applications to which ours was added are affected.
    """
    for cls in (Starlette, FastAPI):
        if "build_middleware_stack" in vars(cls):
            HOOKS.replace(cls, "build_middleware_stack", _promoting)


def install_hooks() -> None:
    """Install every collector; one that fails is off, and the status page says why."""
    install_promotion()  # again, where everything was undone in the meantime
    event_loop.name_routes(_route_of)
    event_loop.on_late_victims = lambda record_id, blocks: _amend(record_id, blocks=blocks)
    event_loop.on_block_of_nobody = _tell_block_of_nobody
    shared_worker().on_return = event_loop.glance
    threadpool.name_routes(_route_of)
    sqlalchemy_collector.name_routes(_route_of)
    tasks.on_late = lambda record_id, facts: _amend(record_id, loose_tasks=facts)
    for collector in _COLLECTORS:
        try:
            collector.install(HOOKS)
        except Exception as error:  # noqa: BLE001 - a library we do not know yet; the rest works
            name = collector.__name__.rpartition(".")[2]
            FAULTS.note(f"install {name}", error)
            HOOKS.report(name, on=False, why=f"{type(error).__name__}: {error}")


def _promoting(original: Callable[[Any], ASGIApp]) -> Callable[[Any], ASGIApp]:
    """Wrap ``build_middleware_stack``: build without ours, then put ours around the result.

    So ours sees CORS preflights and the answers of ServerErrorMiddleware, from the first request
    on, and nobody's middleware is created twice.
    """

    @functools.wraps(original)
    def build_middleware_stack(self: Any) -> ASGIApp:
        declared = self.user_middleware
        ours = [entry for entry in declared if _is_ours(entry)]
        if not ours:
            return original(self)
        self.user_middleware = [entry for entry in declared if not _is_ours(entry)]
        try:
            stack = original(self)
        finally:
            self.user_middleware = declared
        outermost = ours[0]
        try:
            promoted = outermost.cls(stack, *outermost.args, **outermost.kwargs)
        except ConfigurationError as error:
            return _Misconfigured(error)
        return promoted if promoted.on else stack

    return build_middleware_stack


def _is_ours(entry: Any) -> bool:
    cls = getattr(entry, "cls", None)
    return isinstance(cls, type) and issubclass(cls, DiagnosticsMiddleware)


class _Misconfigured:
    """Stands in for an application with wrong settings: refuses to start and says why.

    uvicorn takes an application whose lifespan merely raises for one without lifespan and goes on.
    """

    def __init__(self, error: ConfigurationError) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(self._error)})
        raise self._error


def _check_rule_names(settings: Settings, options: Mapping[str, Any]) -> None:
    for setting in ("select", "ignore"):
        unknown = unknown_names(getattr(settings, setting))
        if unknown:
            raise ConfigurationError(
                f"fastapi-diagnostics: {source_of(setting, options)} names no rule: "
                f"{', '.join(unknown)}; "
                "give codes, families or names such as SQL105, SQL or duplicate-query."
            )


def _contained_build(options: Mapping[str, Any]) -> Diagnostics | None:
    """Build, or leave the application to itself: a failure of ours must not stop it."""
    try:
        settings = read_settings(options, os.environ)
        _check_rule_names(settings, options)
        return _build(settings, os.environ) if settings.enabled else None
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is ours
        FAULTS.note("build", error)
        print(  # noqa: T201 - see below
            f"WARNING:  fastapi-diagnostics is off: {type(error).__name__}: {error}",
            file=sys.stderr,
        )
        return None


def _build(settings: Settings, environ: Mapping[str, str]) -> Diagnostics | None:
    if in_production(environ) and not settings.allow_production:
        print(  # noqa: T201 - there is no logging configured yet at this point
            "WARNING:  fastapi-diagnostics is off: the environment calls itself production "
            "(allow_production=True and a token switch it on).",
            file=sys.stderr,
        )
        return None
    if in_production(environ) and settings.token is None:
        raise ConfigurationError(
            "fastapi-diagnostics: allow_production needs a token: give the setting token, "
            "a text of at least 16 characters."
        )
    directory = _DIRECTORY
    token = functools.cache(lambda: settings.token or _kept_token(settings, directory))
    configure_user_code(settings, Path(settings.project_root or _PROJECT_ROOT))
    event_loop.configure(settings.block_threshold_ms)
    install_hooks()
    pipeline = _pipeline(settings, directory)
    _PIPELINES.add(pipeline)
    _LATEST[:] = [
        Diagnostics(
            settings=settings,
            pipeline=pipeline,
            clock=time.perf_counter,
            wall=time.time,
            serving=True,
            recording=True,
            make_pages=functools.partial(_pages, token, production=in_production(environ)),
            announce=_announcement(settings, token),
        )
    ]
    return _LATEST[0]


_PIPELINES: weakref.WeakSet[Pipeline] = weakref.WeakSet()


def _amend(record_id: str | None, **facts: tuple[Any, ...]) -> None:
    """Hand on facts that came after their record was sealed, or that belong to no request.

    A record that no pipeline has at hand is left to the latest one, which looks into its store.
    """
    knowing = [p for p in tuple(_PIPELINES) if record_id is not None and p.knows(record_id)]
    for pipeline in knowing or [diagnostics.pipeline for diagnostics in _LATEST]:
        pipeline.amend(record_id, **facts)


def _tell_block_of_nobody(block: LoopBlock, route: str) -> None:
    for diagnostics in _LATEST:
        diagnostics.keep_of_process(route, block)


def _route_of(recorder: Recorder) -> str:
    scope = recorder.scope
    return str(http_facts(recorder, scope)["route"]) if scope is not None else recorder.name


_LATEST: list[Diagnostics] = []
"""The diagnostics of the application built last; `capture` records into it."""


def _for_captures() -> Diagnostics | None:
    if not _LATEST:
        settings = read_settings({}, os.environ)
        return _build(settings, os.environ) if settings.enabled else None
    return _LATEST[0]


def _pipeline(settings: Settings, directory: Path) -> Pipeline:
    limits = Limits(
        max_requests=settings.max_requests,
        max_age_hours=settings.max_age_hours,
        max_bytes=int(settings.max_mib * 1024 * 1024),
    )
    pipeline = Pipeline(
        rules=chosen_rules(settings.select, settings.ignore),
        open_store=functools.partial(_opened_store, settings, directory, limits),
        worker=shared_worker(),
    )
    if settings.log:
        link = f"{settings.path}/findings/{{}}".format
        pipeline.subscribe(FindingLog(clock=time.monotonic, link=link))
    return pipeline


def _opened_store(settings: Settings, directory: Path, limits: Limits) -> Store:
    store = open_store(settings.store_url, directory=directory, clock=time.time, limits=limits)
    if settings.log:
        with FAULTS.contained("store warning"):
            problem = store.status().problem
            if problem:
                log_store_problem(problem, f"{settings.path}/status")
    return store


def _kept_token(settings: Settings, directory: Path) -> str:
    """Read or make the token in the store's folder, so that all workers have the same."""
    if settings.store_url == "memory:":
        return secrets.token_urlsafe(24)
    return load_or_create_token(directory / STORE_FOLDER)


def _pages(
    token: Callable[[], str], diagnostics: Diagnostics, app: ASGIApp, *, production: bool
) -> ASGIApp:
    # Imported at the first visit: they are half of what our import would cost.
    from fastapi_diagnostics.outputs.api import api_routes  # noqa: PLC0415 - see above
    from fastapi_diagnostics.outputs.dashboard import dashboard_routes  # noqa: PLC0415

    settings = diagnostics.settings
    routes = [*api_routes(diagnostics), *dashboard_routes(diagnostics)]
    policy = AccessPolicy(
        prefix=settings.path,
        allowed_hosts=settings.allowed_hosts,
        token=token(),
        require_token=settings.require_token,
        production=production,
    )
    return Gate(Router(routes), policy, fallback=app)


def _announcement(settings: Settings, token: Callable[[], str]) -> Callable[[], None]:
    """Make what prints where the pages are; outside of this machine the token's link is needed."""

    def announce() -> None:
        if not settings.banner:
            return
        print(  # noqa: T201 - a line for the person at the terminal, whatever logging does
            f"INFO:     fastapi-diagnostics watches this application: open {settings.path}/\n"
            "          (from another machine or a container's host: "
            f"{login_link(settings.path, token())})",
            file=sys.stderr,
        )

    return announce
