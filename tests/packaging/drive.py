"""Calls an application as a server would, with nothing but the standard library.

It is run as a program by a Python that has only what the wheel asks for::

    python drive.py module:app <calls.json >answers.json
"""

import asyncio
import importlib
import json
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

PEER = "127.0.0.1"


async def drive(app: Any, calls: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Start the application, make the calls one after the other, and stop it."""
    messages: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
    replies: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
    lifespan = asyncio.create_task(app({"type": "lifespan"}, messages.get, replies.put))
    messages.put_nowait({"type": "lifespan.startup"})
    await _expect(replies, "lifespan.startup.complete")
    answers = [await _call(app, **call) for call in calls]
    messages.put_nowait({"type": "lifespan.shutdown"})
    await _expect(replies, "lifespan.shutdown.complete")
    await lifespan
    return answers


async def _expect(replies: asyncio.Queue[Mapping[str, Any]], wanted: str) -> None:
    reply = await replies.get()
    if reply["type"] != wanted:
        raise SystemExit(f"{wanted} was expected, got {reply}")


async def _call(
    app: Any,
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: str = "",
    peer: str = PEER,
) -> dict[str, Any]:
    parts = urlsplit(url)
    lines = {"host": "localhost:8000", **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in lines.items()],
        "client": (peer, 50_000),
        "server": ("localhost", 8000),
    }
    received = [{"type": "http.request", "body": body.encode(), "more_body": False}]
    sent: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        return received.pop() if received else {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    try:
        await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001 - a server goes on, too
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
    return _answer(sent)


def _answer(sent: list[Mapping[str, Any]]) -> dict[str, Any]:
    start, *parts = sent
    return {
        "status": start["status"],
        "headers": {name.decode(): value.decode() for name, value in start["headers"]},
        "body": b"".join(part.get("body", b"") for part in parts).decode(),
    }


def main() -> None:
    """Read the calls, print the answers and the modules that were needed for them."""
    module, _, name = sys.argv[1].partition(":")
    app = getattr(importlib.import_module(module), name)
    answers = asyncio.run(drive(app, json.load(sys.stdin)))
    json.dump({"answers": answers, "modules": sorted(sys.modules)}, sys.stdout)


if __name__ == "__main__":
    main()
