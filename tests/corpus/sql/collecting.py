"""Collects the situations, and runs them all on one event loop."""

import asyncio
import importlib
import pkgutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.corpus.sql import situations as package
from tests.corpus.sql.databases import Database
from tests.corpus.sql.driving import application, run
from tests.corpus.sql.judging import Verdict, judge
from tests.corpus.sql.labels import Situation, situations_of
from tests.corpus.sql.shop import database as shop

TRIES = 3


def situations() -> list[Situation]:
    """Read every module of the package, in alphabetical order."""
    return [
        situation
        for info in pkgutil.iter_modules(package.__path__)
        for situation in situations_of(importlib.import_module(f"{package.__name__}.{info.name}"))
    ]


@asynccontextmanager
async def bound(database: Database) -> AsyncIterator[None]:
    """Bind the shop's sessions to a database."""
    shop.bind(database.url, database.async_url)
    try:
        yield
    finally:
        application.cache_clear()
        await shop.dispose()


async def verdict(situation: Situation, database: Database) -> Verdict:
    """Run and judge a situation; again, if all that is wrong is a matter of time."""
    for _ in range(TRIES):
        judged = judge(situation, await run(situation, database))
        if not judged.hurried:
            break
    return judged


def verdicts(chosen: Sequence[Situation], database: Database) -> list[Verdict]:
    """Run and judge situations, one after the other."""

    async def main() -> list[Verdict]:
        async with bound(database):
            return [await verdict(situation, database) for situation in chosen]

    return asyncio.run(main())
