"""Collectors are tested on libraries as they come, whatever ran before."""

import pytest

from fastapi_diagnostics.collectors.hooks import HOOKS


@pytest.fixture(autouse=True, scope="module")
def nothing_installed(promotion_installed: None) -> None:  # noqa: ARG001 - comes after it
    HOOKS.undo()
