"""Runs the corpus in process: sends each request and asks the API what was found in it."""

import asyncio
import contextlib
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.corpus import http
from tests.corpus.http.situation import Situation, Verdict, judge

API = "/_diagnostics/api"
FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]


def situations() -> list[Situation]:
    """Collect what stands in every module of this package that has `SITUATIONS`."""
    found = []
    for info in pkgutil.iter_modules(http.__path__):
        if info.name.startswith("cases_"):
            found += importlib.import_module(f"{http.__name__}.{info.name}").SITUATIONS
    return found


def marks() -> dict[str, tuple[str, int]]:
    """Find the lines that end with ``# NAME`` in capital letters."""
    found = {}
    for file in FOLDER.glob("*.py"):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            mark = line.rpartition("  # ")[2]
            if mark.isupper() and mark.replace("_", "").isalnum():
                found[mark] = (file.relative_to(ROOT).as_posix(), number)
    return found


def verdicts(wanted: list[Situation]) -> list[Verdict]:
    """Send every request that behaves so on this FastAPI, and judge."""
    return asyncio.run(_verdicts(wanted))


async def _verdicts(wanted: list[Situation]) -> list[Verdict]:
    apps: dict[Callable[[], Any], Any] = {}
    places = marks()
    judged = []
    for situation in wanted:
        if situation.applies:
            if situation.app not in apps:
                apps[situation.app] = situation.app()
            judged.append(await _verdict(apps[situation.app], situation, places))
    for app in apps.values():
        getattr(app.state, "close", int)()
    return judged


async def _verdict(app: Any, situation: Situation, places: dict[str, tuple[str, int]]) -> Verdict:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        if situation.websocket:
            status, record_id = await _connect(app, situation), None
        else:
            answer = await client.request(situation.method, situation.path, **situation.send)
            status, record_id = answer.status_code, answer.headers.get("x-diagnostics-id")
        if record_id is None:  # no response was started
            listed = await client.get(f"{API}/requests", params={"limit": 1})
            record_id = listed.json()["requests"][0]["id"]
        found = await client.get(f"{API}/requests/{record_id}", params={"wait": "closed"})
        findings = found.json()["findings"]
        if situation.standing:
            groups = await client.get(f"{API}/findings", params={"limit": 500})
            findings = [one for one in groups.json()["findings"] if one["request_id"] is None]
    return judge(situation, status, findings, places)


async def _connect(app: Any, situation: Situation) -> None:
    """Open a websocket by hand, send what there is, and wait for its end."""
    path, _, query = situation.path.partition("?")
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 50000),
        "server": ("localhost", 80),
        "subprotocols": [],
        "state": {},
    }
    messages = [
        {"type": "websocket.connect"},
        *({"type": "websocket.receive", "text": text} for text in situation.send.get("texts", ())),
        {"type": "websocket.disconnect", "code": 1000},
    ]

    async def receive() -> Any:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    async def send(_: Any) -> None:
        await asyncio.sleep(0)

    with contextlib.suppress(Exception):  # a server would log it
        await app(scope, receive, send)
