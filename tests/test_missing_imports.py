"""The imports that a fix needs and the user's file lacks."""

import pytest

from fastapi_diagnostics.missing_imports import code_of, missing_imports, names_to_import

SLEEP = "await asyncio.sleep(1)"
THREAD = "await run_in_threadpool(work, 1)"


def missing(code: str, file: str) -> tuple[str, ...]:
    return missing_imports(names_to_import(code), code_of(file.split("\n")))


@pytest.mark.parametrize(
    ("code", "imports"),
    [
        (SLEEP, ("import asyncio",)),
        (f"return {THREAD}", ("from fastapi.concurrency import run_in_threadpool",)),
        (
            "select(Author).options(selectinload(Author.books))",
            ("from sqlalchemy import select", "from sqlalchemy.orm import selectinload"),
        ),
        (
            "ids: Annotated[int, Query()]",
            ("from fastapi import Query", "from typing import Annotated"),
        ),
        ("logging.handlers.QueueHandler(queue)", ("import logging.handlers",)),
        ("async with httpx.AsyncClient() as client:\n    ...", ("import httpx",)),
    ],
)
def test_an_empty_file_needs_all(code: str, imports: tuple[str, ...]) -> None:
    assert missing(code, "") == imports


@pytest.mark.parametrize(
    "file",
    [
        "import asyncio",
        "import os, asyncio",
        "    import asyncio  # late",
        "try:\n    import asyncio\nexcept ImportError:\n    asyncio = None",
        "from vendor import (\n    asyncio,\n    time,\n)",
        "import nothing as asyncio",
        "from vendor import *",
    ],
)
def test_what_is_there_is_not_asked_for_again(file: str) -> None:
    assert missing(SLEEP, file) == ()


@pytest.mark.parametrize(
    "file",
    [
        "import asyncio as aio",
        "# import asyncio",
        '"""Needs asyncio."""',
        '"""\nimport asyncio\n"""',
        "name = 'asyncio'",
        "import myasyncio, asyncio_tools",
        "self.asyncio = 1",
    ],
)
def test_what_only_looks_like_it_is_not_there(file: str) -> None:
    assert missing(SLEEP, file) == ("import asyncio",)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "EXPLAIN SELECT name FROM author",
        "explain select name from author",
        'await session.execute(text("update (x)"))',
        "await client.select(1)",
        "def report(...):",
        "work(select)",
    ],
)
def test_code_without_names_of_other_modules_needs_nothing(code: str) -> None:
    assert missing(code, "") == ()


def test_a_part_of_a_package_is_asked_for_beside_the_package() -> None:
    assert missing("logging.handlers.QueueHandler(q)", "import logging") == (
        "import logging.handlers",
    )
