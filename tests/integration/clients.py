"""Ways to reach an application and to read what was recorded, for tests of the whole."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

API = "/_diagnostics/api"


@asynccontextmanager
async def in_process(app: Any, *, root_path: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """Call an application without a server, as a client on this machine would."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def recorded(client: httpx.AsyncClient, *, prefix: str = "") -> list[dict[str, Any]]:
    """Give the summaries of all recorded requests, oldest first."""
    answer = await client.get(f"{prefix}{API}/requests")
    assert answer.status_code == 200, answer.text
    return answer.json()["requests"][::-1]


async def record_of(client: httpx.AsyncClient, response: httpx.Response) -> dict[str, Any]:
    """Give the closed record and the findings of the request that was answered so."""
    record_id = response.headers["x-diagnostics-id"]
    answer = await client.get(f"{API}/requests/{record_id}", params={"wait": "closed"})
    assert answer.status_code == 200, answer.text
    return answer.json()
