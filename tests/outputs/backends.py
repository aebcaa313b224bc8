"""A stand-in for the running diagnostics: a memory store, and the rest typed by hand."""

from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from fastapi_diagnostics.app_record import AppRecord
from fastapi_diagnostics.finding import Rule
from fastapi_diagnostics.outputs.api import api_routes
from fastapi_diagnostics.outputs.dashboard import dashboard_routes
from fastapi_diagnostics.store.limits import Limits
from fastapi_diagnostics.store.opening import open_store
from tests.builders import NOW_S

PREFIX = "/_diagnostics"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def a_rule(**changes: Any) -> Rule:
    """The words of SQL101, shortened."""
    defaults: dict[str, Any] = {
        "code": "SQL101",
        "name": "n-plus-one-relationship",
        "family": "sql",
        "severity": "error",
        "title": "A relationship is loaded once per parent",
        "what": "Finds a relationship whose rows are loaded one parent at a time, "
        "in a loop of yours or while the response model reads them.",
        "why": "Each load is a round trip to the database. Twenty authors cost 21 queries, "
        "two thousand cost 2,001: the page gets slower with every row you add.",
        "example": "authors = await session.scalars(select(Author))\n"
        "for author in authors:\n    print(author.books)  # one query each\n",
        "instead": "query = select(Author).options(selectinload(Author.books))\n"
        "authors = await session.scalars(query)\nfor author in authors:\n"
        "    print(author.books)  # loaded already\n",
        "limits": (
            "With a single parent in your data there is nothing to see: `SQL110` may help.",
        ),
    }
    return Rule(**defaults | changes)


class FakeBackend:
    """What the outputs need, under the control of a test."""

    def __init__(self, **changes: Any) -> None:
        self.store = open_store("memory:", directory=Path(), clock=lambda: NOW_S, limits=Limits())
        self.prefix = PREFIX
        self.editor: str | None = None
        self.editor_path_map: tuple[tuple[str, str], ...] = ()
        self.token_mode = False
        self.drained = 0
        self.app_record: AppRecord | None = None
        self.all_rules: tuple[Rule, ...] = (
            a_rule(),
            a_rule(
                code="LOOP101",
                name="blocked-event-loop",
                family="loop",
                title="The event loop was blocked",
                supersedes=("LOOP102",),
            ),
            a_rule(
                code="APP103",
                name="implicit-optional",
                family="app",
                severity="info",
                title="A parameter that may be `None` does not say so",
            ),
        )
        self.hooks: list[dict[str, Any]] = [
            {"name": name, "on": True, "why": ""}
            for name in (
                "SQL",
                "Event loop",
                "Threadpool",
                "Background tasks",
                "Validation",
                "Response fields",
                "Exceptions",
            )
        ]
        self.faults: list[dict[str, Any]] = []
        for name, value in changes.items():
            setattr(self, name, value)

    def drain(self, timeout_s: float) -> bool:
        self.drained += 1
        return timeout_s > 0

    def application(self) -> AppRecord | None:
        return self.app_record

    def rules(self) -> tuple[Rule, ...]:
        return self.all_rules

    def status(self) -> dict[str, Any]:
        return {
            "hooks": self.hooks,
            "store": {"kind": "memory"},
            "queue": {"depth": 0, "capacity": 1024},
            "dropped": {},
            "overhead": {"request_us": 10.4, "worker_us": 52.0, "measured_requests": 143},
            "faults": self.faults,
            "versions": {"python": "3.11.7", "fastapi": "0.165.0", "sqlalchemy": "2.1.9"},
            "worker": 4711,
        }


def application(backend: FakeBackend, prefix: str = PREFIX) -> Starlette:
    """Both outputs below the prefix, as the middleware mounts them."""
    routes = [*api_routes(backend), *dashboard_routes(backend)]
    return Starlette(routes=[Mount(prefix, routes=routes)])


def connected(backend: FakeBackend) -> httpx.AsyncClient:
    """Give a client that calls both outputs without a socket."""
    transport = httpx.ASGITransport(app=application(backend, backend.prefix))
    return httpx.AsyncClient(transport=transport, base_url=f"http://test{backend.prefix}")


def guarded(app: Any) -> Any:
    """Add the security headers of the access gate, so that browsers enforce them in tests."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    *message["headers"],
                    (b"content-security-policy", CSP.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"cache-control", b"no-store"),
                ]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_guarded)

    return answer
