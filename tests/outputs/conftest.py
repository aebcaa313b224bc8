from collections.abc import Iterator
from pathlib import Path

import pytest

from fastapi_diagnostics.callsite import USER_CODE
from tests.outputs.backends import FakeBackend, connected


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    backend = FakeBackend()
    yield backend
    backend.store.close()


@pytest.fixture
async def client(backend: FakeBackend):
    async with connected(backend) as client:
        yield client


@pytest.fixture
def sample_code() -> Iterator[Path]:
    """Make the sample application the user's code."""
    USER_CODE.reset()
    root = Path(__file__).parent / "sample"
    USER_CODE.add_root(root)
    yield root
    USER_CODE.reset()
