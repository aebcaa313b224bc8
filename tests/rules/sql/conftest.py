"""Installs the collector for each test; this folder counts as the user's code."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from fastapi_diagnostics.collectors import sqlalchemy as collector
from fastapi_diagnostics.collectors.hooks import HOOKS, Hooks
from tests.installed import installed
from tests.rules.sql.press import press
from tests.rules.sql.shop import sync_engine


@pytest.fixture(autouse=True, scope="module")
def nothing_installed(promotion_installed: None) -> None:  # noqa: ARG001 - comes after it
    """A loop that tests before left open would be watched, and statements judged by its load."""
    HOOKS.undo()


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(collector, root=Path(__file__).parent) as hooks:
        yield hooks


@pytest.fixture
def engine() -> Iterator[Engine]:
    with sync_engine() as engine:
        yield engine


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def press_engine() -> Iterator[Engine]:
    with press() as engine:
        yield engine
