"""Run in a fresh process by test_fork.py: forks inside requests, while records are being stored."""

import asyncio
import json
import os
import select
import signal
import sys
import threading
from typing import Any

import httpx
from fastapi import FastAPI

from fastapi_diagnostics import DiagnosticsMiddleware

FORKS = 20
CHILD_S = 10

app = FastAPI()
app.add_middleware(DiagnosticsMiddleware)


@app.get("/hello")
async def hello() -> int:
    return os.getpid()


@app.get("/broken")
async def broken() -> None:
    raise ValueError("broken")


@app.get("/fork")
async def fork() -> Any:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(writing)
    os.close(writing)
    return await asyncio.to_thread(_wait, child, reading)


def _be_child(writing: int) -> None:
    """Serve and record in the child, then leave without running anything of the parent's."""
    told: Any = "nothing"

    def serve() -> None:
        nonlocal told
        told = asyncio.run(_served())

    try:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        thread.join(CHILD_S)
        os.write(writing, json.dumps(told).encode())
    finally:
        os._exit(0)


async def _served() -> dict[str, Any]:
    async with _client() as client:
        answer = await client.get("/hello")
        record_id = answer.headers["x-diagnostics-id"]
        kept = (await client.get(f"/_diagnostics/api/requests/{record_id}")).json()["request"]
        status = await _settled(client)
        return {
            "own": answer.json() == os.getpid() == kept["worker"],
            "id": record_id,
            "faults": status["faults"],
            "store": status["store"],
        }


async def _settled(client: httpx.AsyncClient) -> dict[str, Any]:
    """Wait until nothing is held back because the parent was writing: this child just exits."""
    for _ in range(50):
        status: dict[str, Any] = (await client.get("/_diagnostics/api/status")).json()
        if not status["store"]["waiting"]:
            break
        await asyncio.sleep(0.1)
    return status


def _wait(child: int, reading: int) -> Any:
    ready, _, _ = select.select([reading], [], [], CHILD_S + 2)
    data = os.read(reading, 65536) if ready else b'"hangs"'
    os.close(reading)
    if not ready:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return json.loads(data)


def _client() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=30)


async def main() -> dict[str, Any]:
    async with _client() as client:
        children = []
        for _ in range(FORKS):
            await asyncio.gather(*(client.get("/broken") for _ in range(8)))
            children.append((await client.get("/fork")).json())
        listed = (await client.get("/_diagnostics/api/requests?limit=500")).json()["requests"]
        status = (await client.get("/_diagnostics/api/status")).json()
    ids = {one["id"] for one in listed}
    return {
        "children": children,
        "seen": [one["id"] in ids for one in children],
        "own": sum(one["route"] != "GET /hello" for one in listed),
        "faults": status["faults"],
        "store": status["store"],
    }


json.dump(asyncio.run(main()), sys.stdout)
