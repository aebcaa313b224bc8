"""Imports Playwright; where it is missing, tests are skipped and say what to install."""

import importlib
import os
from types import ModuleType

import pytest


def playwright_api() -> ModuleType:
    """Import `playwright.sync_api`; under CI a missing one is an error and not a skip."""
    if os.environ.get("CI"):
        return importlib.import_module("playwright.sync_api")
    return pytest.importorskip(
        "playwright.sync_api",
        reason="needs Playwright: pip install playwright",
        exc_type=ImportError,
    )
