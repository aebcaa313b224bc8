"""Drives the shop over real HTTP, as its customers would."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import httpx

from demo_app.pairs import CLEAN, PAIRS, Call

_ROUNDS = 3
_CUSTOMERS = 6


@dataclass(frozen=True)
class Outcome:
    """What came of a call; `request_id` is `None` where nothing was recorded."""

    call: Call
    status: int
    request_id: str | None


def new_client(base_url: str) -> httpx.Client:
    """Open a client with a connection for each request.

    After a failed background task the server closes its connection, so a kept one may be gone.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=base_url, limits=limits, timeout=30, trust_env=False)


def send(client: httpx.Client, call: Call) -> Outcome:
    """Make one call; a body may break off."""
    with client.stream(
        call.method, call.path, json=call.json, data=call.form, headers=call.headers
    ) as response, suppress(httpx.RemoteProtocolError):
        response.read()
    return Outcome(call, response.status_code, response.headers.get("X-Diagnostics-Id"))


def every_call() -> list[Call]:
    """List every call of the shop once."""
    calls = [call for pair in PAIRS for call in (pair.defect, pair.mended)]
    once: list[Call] = []
    for call in [*calls, *CLEAN]:
        if call not in once:
            once.append(call)
    return once


def drive(client: httpx.Client) -> Iterator[Outcome]:
    """Make every call once, one after another; then a few at the same time, so that some wait."""
    for call in every_call():
        yield send(client, call)
    with ThreadPoolExecutor(_CUSTOMERS) as customers:
        for _ in range(_ROUNDS):
            yield from customers.map(lambda call: send(client, call), _busy_moment())


def _busy_moment() -> list[Call]:
    blocking = [pair.defect for pair in PAIRS if pair.rule == "LOOP101"]
    bystanders = [call for call in CLEAN if call.method == "GET"]
    return [*blocking, *bystanders]
