"""Runs a situation in process: sends its request, or calls its script, and reads the findings."""

import asyncio
import contextlib
import inspect
import json
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import anyio.to_thread
import httpx
import msgspec
from fastapi import FastAPI
from starlette.routing import WebSocketRoute

from fastapi_diagnostics import DiagnosticsMiddleware, capture
from fastapi_diagnostics.rules.catalogue import all_rules
from tests.corpus.sql.databases import Database
from tests.corpus.sql.labels import Situation
from tests.corpus.sql.shop import database as shop

API = "/_diagnostics/api"
_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})


@dataclass
class Run:
    """What came of a situation.

    Attributes:
        status: Of the answer; of a websocket or a script zero.
        answer: What the caller got: the body, the messages, the script's result.
        findings: As the JSON API shows them, those of requests sent at once without repetitions.
        queries: Statements that were recorded.
    """

    status: int = 0
    answer: Any = None
    findings: list[dict[str, Any]] = field(default_factory=list)
    queries: int = 0


async def run(situation: Situation, database: Database, module: ModuleType | None = None) -> Run:
    """Run a situation on clean rows.

    Args:
        situation: What to run.
        database: Where.
        module: A changed copy of the situation's module to take instead of it.
    """
    module = module or situation.module
    app = application(module, situation.select)
    routes = {route.path: route for route in module.router.routes}
    route = routes.get(f"/{situation.name}")
    if route is None:
        done, wrote = await _script(situation.name, module)
    else:
        done, wrote = await _requests(situation, app, route)
    await shop.close_forgotten()
    if wrote:
        await anyio.to_thread.run_sync(database.refill)
    return done


@cache
def application(module: ModuleType, select: str) -> FastAPI:
    """Make the application of a module; to be forgotten when what it installed is undone."""
    app = FastAPI()
    app.include_router(module.router)
    known = {loaded.rule.code for loaded in all_rules()}
    chosen = [select] if select in known else []
    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", select=chosen)
    return app


async def _requests(situation: Situation, app: FastAPI, route: Any) -> tuple[Run, bool]:
    path = f"/{situation.name}"
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        before = await _newest(client)
        if isinstance(route, WebSocketRoute):
            done = Run(answer=await _talk(app, path))
        else:
            method = next(iter(route.methods - {"HEAD"}))
            sent = (client.request(method, path) for _ in range(situation.times))
            answers = await asyncio.gather(*sent)
            done = Run(status=answers[0].status_code, answer=_read(answers[0]))
        wrote = False
        for record_id in await _since(client, before):
            wrote |= await _collect(client, record_id, done)
    return done, wrote


def _read(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except json.JSONDecodeError:
        return answer.text


async def _newest(client: httpx.AsyncClient) -> set[str]:
    answer = await client.get(f"{API}/requests", params={"limit": 500})
    return {summary["id"] for summary in answer.json()["requests"]}


async def _since(client: httpx.AsyncClient, before: set[str]) -> set[str]:
    return await _newest(client) - before


async def _collect(client: httpx.AsyncClient, record_id: str, done: Run) -> bool:
    answer = await client.get(f"{API}/requests/{record_id}", params={"wait": "closed"})
    whole = answer.json()
    known = {finding["fingerprint"] for finding in done.findings}
    done.findings += [one for one in whole["findings"] if one["fingerprint"] not in known]
    queries = whole["request"]["queries"]
    done.queries += len(queries)
    return any(query["verb"] in _WRITES for query in queries)


async def _script(name: str, module: ModuleType) -> tuple[Run, bool]:
    """Call a function as `__main__` would: nothing of ours stands above it but one call."""
    function = getattr(module, name.replace("-", "_"))
    if inspect.iscoroutinefunction(function):
        recording, result = await asyncio.create_task(_async_captured(name, function))
    else:
        recording, result = await anyio.to_thread.run_sync(_captured, name, function)
    findings = json.loads(msgspec.json.encode(recording.findings))
    queries = recording.record.queries
    done = Run(answer=result, findings=findings, queries=len(queries))
    return done, any(query.verb in _WRITES for query in queries)


def _captured(name: str, function: Any) -> tuple[Any, Any]:
    with capture(name) as recording:
        result = function()
    return recording, result


async def _async_captured(name: str, function: Any) -> tuple[Any, Any]:
    async with capture(name) as recording:
        result = await function()
    return recording, result


async def _talk(app: FastAPI, path: str) -> list[str]:
    """Send three messages to a websocket and give what it answered."""
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 50000),
        "server": ("localhost", 80),
        "subprotocols": [],
        "state": {},
    }
    coming = [
        {"type": "websocket.connect"},
        *({"type": "websocket.receive", "text": text} for text in ("1", "2", "3")),
        {"type": "websocket.disconnect", "code": 1000},
    ]
    answers: list[str] = []

    async def receive() -> Any:
        return coming.pop(0) if len(coming) > 1 else coming[0]

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            answers.append(message["text"])

    with contextlib.suppress(Exception):  # a server would log it
        await app(scope, receive, send)
    return answers
