"""Freight, ledgers, labels and forecasts, as first written and mended."""

import asyncio
import re
import sqlite3
import time

import anyio
import anyio.to_thread
import httpx

from demo_app.warehouse.partner import carrier_url

_LEDGER = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500000) "
    "SELECT sum(i) FROM n"
)
_SHELF = re.compile(r"([A-Z]+\s?)+-\d+$")
_SHELF_V2 = re.compile(r"(?:[A-Z]+\s)*[A-Z]+-\d+$")
_UNREADABLE = ["A" * 19 + "!"] * 12
PARCELS = 30
"""A third of them is enough to be found: what a busy machine kept waiting is not counted."""
_LABEL_PRINTER = anyio.CapacityLimiter(1)
_LABEL_PRINTERS = anyio.CapacityLimiter(4)
# One client for the application; the carrier is no TLS server, so there is nothing to verify.
_CLIENT = httpx.AsyncClient(
    verify=False,  # noqa: S501 - as above
    trust_env=False,
    limits=httpx.Limits(max_keepalive_connections=0),
)


async def freight() -> int:
    """Ask the carrier for its price, while nobody else is served."""
    answer = httpx.get(carrier_url())  # noqa: ASYNC210 # defect: LOOP101 http
    return int(answer.text)


async def freight_v2() -> int:
    """Mended: an asynchronous client."""
    answer = await _CLIENT.get(carrier_url())
    return int(answer.text)


def ledger_total() -> int:
    """Add up the ledger, with a synchronous driver."""
    connection = sqlite3.connect(":memory:")
    try:
        return int(connection.execute(_LEDGER).fetchone()[0])  # defect: LOOP101 db
    finally:
        connection.close()


def is_shelf(text: str) -> bool:
    """Tell whether a text names a shelf; nested repetition tries every way to split it."""
    return _SHELF.match(text) is not None  # defect: LOOP101 regex


def is_shelf_v2(text: str) -> bool:
    """Mended: one way to read it."""
    return _SHELF_V2.match(text) is not None


def unreadable() -> list[str]:
    """Give what a scanner makes of wet labels."""
    return _UNREADABLE


def forecast(days: int) -> int:
    """Add up expected sales, day by day, from the beginning each time."""
    expected = [day * 7 % 13 for day in range(days)]
    return sum(sum(expected[:day]) for day in range(days))  # defect: LOOP101 cpu


def forecast_v2(days: int) -> int:
    """Mended: once through."""
    total = running = 0
    for day in range(days):
        total += running
        running += day * 7 % 13
    return total


def weigh(seconds: float) -> None:
    """Work out the weight of a parcel."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(5000))  # defect: LOOP102 parcel-by-parcel


async def weigh_all() -> int:
    """Weigh parcels one by one: each is short, together they hold everybody up."""
    for _ in range(PARCELS):
        weigh(0.032)
        await asyncio.sleep(0)
    return PARCELS


async def weigh_all_v2() -> int:
    """Mended: weighs what is needed."""
    for _ in range(PARCELS):
        weigh(0.001)
        await asyncio.sleep(0)
    return PARCELS


def print_label() -> None:  # defect: LOOP201 one-printer
    """Print a label; the printer takes its time."""
    time.sleep(0.12)


async def print_labels() -> int:
    """Print two labels in the only thread there is for it."""
    return await _printed(_LABEL_PRINTER)


async def print_labels_v2() -> int:
    """Mended: as many threads as printers."""
    return await _printed(_LABEL_PRINTERS)


async def _printed(limiter: anyio.CapacityLimiter) -> int:
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(_print, limiter)
    return 2


async def _print(limiter: anyio.CapacityLimiter) -> None:
    await anyio.to_thread.run_sync(print_label, limiter=limiter)
