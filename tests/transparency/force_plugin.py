"""pytest plugin that stands a middleware around every application that is built.

It is given to ``user_middleware`` while the stack is built and taken out again, so tests that look
at the list see what they declared. Which one is chosen by the environment, see `MIDDLEWARE`.
"""

import functools
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware

MIDDLEWARE = "TRANSPARENCY_MIDDLEWARE"  # "real", "null" or "wrong"
HEADERS = "TRANSPARENCY_HEADERS"  # "1" or "0", for the real one
SEEN_FOLDER = "TRANSPARENCY_SEEN"  # where each process writes what the middleware saw
SAMPLES_PER_RULE = 20


class NullMiddleware:
    """Changes nothing: tells our effect from that of being forced."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class WrongMiddleware:
    """Deliberately wrong: holds the body back until it is complete and drops the last header."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body: list[bytes] = []

        async def wrong_send(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": list(message.get("headers", ()))[:-1]}
            if message["type"] == "http.response.body":
                body.append(message.get("body", b""))
                if message.get("more_body", False):
                    return
                message = {**message, "body": b"".join(body)}
            await send(message)

        await self.app(scope, receive, wrong_send)


class Seen:
    """What the forced middleware saw in this process, to prove that it was there at all."""

    def __init__(self) -> None:
        self.applications = 0
        self.watched = 0
        self.requests: set[str] = set()
        self.findings: Counter[str] = Counter()
        self.samples: list[dict[str, Any]] = []
        self._known: set[tuple[str | None, str]] = set()

    def __call__(self, reports: Sequence[Any], _new: frozenset[str]) -> None:
        """Subscriber of the pipeline."""
        for report in reports:
            self.requests.add(report.record.id)
            for finding in report.findings:
                self._note(finding)

    def _note(self, finding: Any) -> None:
        key = (finding.request_id, finding.fingerprint)
        if key in self._known:
            return  # the record was stored again, at its close
        self._known.add(key)
        self.findings[finding.rule] += 1
        if self.findings[finding.rule] <= SAMPLES_PER_RULE:
            place = finding.location
            self.samples.append(
                {
                    "rule": finding.rule,
                    "confidence": finding.confidence,
                    "severity": finding.severity,
                    "message": finding.message,
                    "location": place and f"{place.file}:{place.line}",
                    "route": finding.route,
                }
            )

    def write(self, folder: Path) -> None:
        from fastapi_diagnostics.faults import FAULTS  # noqa: PLC0415 - only with the real one
        from fastapi_diagnostics.worker import shared_worker  # noqa: PLC0415 - likewise

        shared_worker().flush(30)
        seen = {
            "applications": self.applications,
            "watched": self.watched,
            "requests": len(self.requests),
            "dropped": shared_worker().load().dropped,
            "findings": self.findings,
            "samples": self.samples,
            "faults": {fault.where: [fault.count, fault.last] for fault in FAULTS.all()},
        }
        (folder / f"{os.getpid()}.json").write_text(json.dumps(seen, indent=1))


SEEN = Seen()


def force(declaration: Middleware) -> None:
    """Build every application's stack as if *declaration* had been added to it."""
    for cls in (Starlette, FastAPI):
        if "build_middleware_stack" in vars(cls):
            cls.build_middleware_stack = _forcing(cls.build_middleware_stack, declaration)


def _forcing(original: Any, declaration: Middleware) -> Any:
    @functools.wraps(original)
    def build_middleware_stack(self: Any) -> Any:
        declared = self.user_middleware
        self.user_middleware = [declaration, *declared]
        try:
            stack = original(self)
        finally:
            self.user_middleware = declared
        SEEN.applications += 1
        runtime = getattr(stack, "_runtime", None)
        if runtime is not None:
            SEEN.watched += 1
            runtime.pipeline.subscribe(SEEN)
        return stack

    return build_middleware_stack


def _declaration(chosen: str) -> Middleware:
    if chosen == "null":
        return Middleware(NullMiddleware)
    if chosen == "wrong":
        return Middleware(WrongMiddleware)
    from fastapi_diagnostics import DiagnosticsMiddleware  # noqa: PLC0415 - only with the real one

    headers = os.environ[HEADERS] == "1"
    return Middleware(DiagnosticsMiddleware, store_url="memory:", headers=headers)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave a note of what was seen; xdist's main process runs no test."""
    distributed = bool(session.config.getoption("numprocesses", None))
    runs_tests = hasattr(session.config, "workerinput") or not distributed
    if os.environ[MIDDLEWARE] == "real" and runs_tests:
        SEEN.write(Path(os.environ[SEEN_FOLDER]))


force(_declaration(os.environ[MIDDLEWARE]))
