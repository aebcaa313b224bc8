"""Counting shelves, expecting sales and reading labels, as first written and mended."""

import asyncio
import re
import sqlite3

import aiosqlite

from demo_app.stockroom.pool import in_process
from demo_app.stockroom.sums import expected_sales

DAYS = 8000
_COUNT = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900000) "
    "SELECT count(*) FROM n"
)
_CRATE = re.compile(r"([A-Z]+\s?)+-\d+$")
_CRATE_V2 = re.compile(r"(?:[A-Z]+\s)*[A-Z]+-\d+$")
_SMUDGED = ["A" * 22 + "!"] * 3


async def shelves() -> int:
    """Count the shelves with a synchronous driver; it awaits, so it must stay a coroutine."""
    await asyncio.sleep(0)
    connection = sqlite3.connect(":memory:")
    try:
        return int(connection.execute(_COUNT).fetchone()[0])  # defect: LOOP101 async-driver
    finally:
        connection.close()


async def shelves_v2() -> int:
    """Mended: the asynchronous driver of the same database."""
    async with aiosqlite.connect(":memory:") as connection:
        row = await (await connection.execute(_COUNT)).fetchone()
    return int(row[0]) if row else 0


async def sales() -> int:
    """Expect sales, and let everybody wait for the sum."""
    return expected_sales(DAYS)


async def sales_v2() -> int:
    """Mended: another process adds up."""
    return await in_process(expected_sales, DAYS)


def is_crate(text: str) -> bool:
    """Tell whether a label is of a crate; a thread does not help, for matching keeps the GIL."""
    return _CRATE.match(text) is not None  # defect: LOOP103 in-a-thread


def is_crate_v2(text: str) -> bool:
    """Mended: one way to read it."""
    return _CRATE_V2.match(text) is not None


def smudged() -> list[str]:
    """Give what a scanner makes of smudged labels."""
    return _SMUDGED
