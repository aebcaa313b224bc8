"""Collectors are tested on libraries as they come, whatever ran before."""

from collections.abc import Iterator

import pytest

from fastapi_diagnostics import wiring
from fastapi_diagnostics.collectors.hooks import HOOKS


@pytest.fixture(autouse=True, scope="package")
def nothing_installed() -> Iterator[None]:
    HOOKS.undo()
    yield
    wiring.install_promotion()
