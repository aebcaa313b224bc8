"""What every test finds: the package as it is after its import."""

import pytest

from fastapi_diagnostics import wiring


@pytest.fixture(autouse=True, scope="module")
def promotion_installed() -> None:
    """Others undo everything, and with it what the import installs."""
    wiring.install_promotion()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio; those of trio call it themselves."""
    return "asyncio"
