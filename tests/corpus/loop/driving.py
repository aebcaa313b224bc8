"""Serves the application in a process of its own, and calls its situations."""

import asyncio
import contextlib
import itertools
import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import wsproto
from wsproto.events import AcceptConnection, CloseConnection, Request

from tests.corpus.loop.truth import Situation

API = "/_diagnostics/api"
ROOT = Path(__file__).parents[3]
_RESOLVER = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
_numbers = itertools.count(1)


@dataclass
class Seen:
    """What a run left behind.

    Attributes:
        records: By the path of their request; those of the process by their name.
        findings: By record id; those of no request under "".
        status: Of the diagnostics at the end.
    """

    truth: dict[str, Any]
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def serving(loop: str, threshold_ms: float, folder: Path) -> Iterator[tuple[str, bool]]:
    """Serve the application; give its URL, and whether names are resolved slowly in it."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening, _silent() as silent:
        listening.set_inheritable(True)
        module = [sys.executable, "-m", "tests.corpus.loop.shop"]
        command = [*module, str(listening.fileno()), loop, f"{threshold_ms:g}"]
        if silent:
            (folder / "resolv.conf").write_text(_RESOLVER)
            mount = f'mount --bind {folder / "resolv.conf"} /etc/resolv.conf && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", mount, "sh", *command]
        environ = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("PYTEST")}
        with subprocess.Popen(  # noqa: S603 - our own module
            command, cwd=ROOT, env=environ, pass_fds=[listening.fileno()]
        ) as process:
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}", silent
            finally:
                process.terminate()


@contextlib.contextmanager
def _silent() -> Iterator[bool]:
    """Be a name server that never answers, where one may be; else slow names are left out."""
    allowed = ["unshare", "--mount", "true"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        try:
            server.bind(("127.0.0.1", 53))
            subprocess.run(allowed, check=True, capture_output=True)  # noqa: S603 - a constant
        except (OSError, subprocess.CalledProcessError):
            yield False
        else:
            yield True


async def drive(
    url: str,
    items: Sequence[tuple[Situation, float]],
    *,
    at_once: int = 1,
    watchers: int = 0,
) -> Seen:
    """Call situations and read what was recorded of them.

    Args:
        url: Of the server.
        items: What to call, each for how many milliseconds.
        at_once: How many of them are in flight at once.
        watchers: How many more requests do nothing but tick meanwhile.
    """
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        left = iter(items)
        over = asyncio.Event()

        async def caller() -> None:
            for situation, ms in left:
                await _call(client, url, situation, ms)
                if at_once == 1:
                    await asyncio.sleep(0.03)

        async def watcher() -> None:
            while not over.is_set():
                answer = await client.get(f"/watch/{next(_numbers)}", params={"ms": 700})
                answer.raise_for_status()

        watching = [asyncio.create_task(watcher()) for _ in range(watchers)]
        await asyncio.gather(*(caller() for _ in range(at_once)))
        over.set()
        await asyncio.gather(*watching)
        await asyncio.sleep(0.6)  # victims are told 150 ms after a block
        return await _seen(client)


async def _call(client: httpx.AsyncClient, url: str, situation: Situation, ms: float) -> None:
    path = f"/{situation.name}/{next(_numbers)}"
    if situation.reached == "websocket":
        await _websocket(url, f"{path}?ms={ms:g}")
    elif situation.reached != "start":
        (await client.get(path, params={"ms": ms})).raise_for_status()


async def _websocket(url: str, target: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    connection = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    writer.write(connection.send(Request(host=f"{host}:{port}", target=target)))
    accepted = closed = False
    while not closed:
        data = await reader.read(4096)
        if not data:
            break
        connection.receive_data(data)
        for event in connection.events():
            accepted = accepted or isinstance(event, AcceptConnection)
            if isinstance(event, CloseConnection):
                writer.write(connection.send(event.response()))
                closed = True
    writer.close()
    if not accepted:
        raise RuntimeError(f"{target} was refused")


async def _seen(client: httpx.AsyncClient) -> Seen:
    found = Seen(truth=(await client.get("/truth")).json())
    async for summary in _pages(client, "requests"):
        answer = await client.get(f"{API}/requests/{summary['id']}", params={"wait": "closed"})
        if answer.status_code == httpx.codes.OK:
            whole = answer.json()
            found.records[whole["request"]["path"]] = whole["request"]
            found.findings[whole["request"]["id"]] = whole["findings"]
    found.findings[""] = [
        group async for group in _pages(client, "findings") if group["request_id"] is None
    ]
    found.status = (await client.get(f"{API}/status")).json()
    return found


async def _pages(client: httpx.AsyncClient, what: str) -> AsyncIterator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(f"{API}/{what}", params={"limit": "500", **cursor})
        page = json.loads(answer.raise_for_status().content)
        for one in page[what]:
            yield one
        if not page["next"]:
            return
        cursor = {"cursor": page["next"]}


def shuffled(items: Sequence[tuple[Situation, float]], seed: int) -> list[tuple[Situation, float]]:
    """Mix situations, always in the same way for a seed."""
    mixed = list(items)
    random.Random(seed).shuffle(mixed)  # noqa: S311 - an order
    return mixed
