import anyio
import pytest

from fastapi_diagnostics.store.protocol import FindingQuery
from tests.outputs.backends import FakeBackend, a_rule, connected
from tests.outputs.examples import (
    block_report,
    n_plus_one_report,
    rejection_report,
    stripped_report,
)
from tests.outputs.hostile import PAYLOADS, hostile
from tests.outputs.pages import PAGES, elements

MAKERS = (block_report, n_plus_one_report, rejection_report, stripped_report)


def pages_of(backend: FakeBackend) -> list[str]:
    groups = backend.store.findings(FindingQuery(limit=500)).items
    return [*PAGES, *(f"findings/{group.fingerprint}" for group in groups)]


def fill(backend: FakeBackend, payload: str) -> None:
    backend.store.save([hostile(make(), payload) for make in MAKERS])
    backend.hooks = [{"name": f"SQL{payload}", "on": False, "why": payload}]
    backend.faults = [{"where": payload, "count": 1, "last": payload}]
    words = {"name": payload, "title": payload, "what": payload, "why": payload,
             "example": payload, "instead": payload, "limits": (payload,)}  # fmt: skip
    backend.all_rules = (a_rule(**words),)


async def shapes_of(client, backend: FakeBackend, payload: str) -> set[tuple[str, str]]:
    """Give the names of all elements on all pages, each with each of its attributes."""
    fill(backend, payload)
    shapes = set()
    for path in pages_of(backend):
        answer = await client.get(path)
        assert answer.status_code == 200
        for tag, attributes in elements(answer.text):
            shapes |= {(tag, name) for name in ("", *attributes)}
    return shapes


@pytest.fixture(scope="module")
def harmless() -> set[tuple[str, str]]:
    """Collect what the templates write themselves, with short, long, marked-up and odd text."""

    async def collect() -> set[tuple[str, str]]:
        shapes: set[tuple[str, str]] = set()
        for payload in ("plain", "y" * 10_240, "`code` 'text' 1 # comment", "\nSELECT ?"):
            backend = FakeBackend()
            async with connected(backend) as client:
                shapes |= await shapes_of(client, backend, payload)
        return shapes

    return anyio.run(collect)


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
async def test_hostile_text_adds_no_element_and_no_attribute(client, backend, harmless, payload):
    shapes = await shapes_of(client, backend, payload)

    assert shapes <= harmless
