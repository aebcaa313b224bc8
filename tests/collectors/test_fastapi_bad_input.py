"""What must not matter: large, endless and hostile input, and objects that refuse looks."""

import tracemalloc
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Body, FastAPI, Request
from pydantic import BaseModel, Field

from fastapi_diagnostics.collectors import fastapi as fastapi_collector
from fastapi_diagnostics.collectors.fastapi.samples import constraints_of
from fastapi_diagnostics.collectors.hooks import Hooks
from tests.collectors.fastapi_recording import HERE, Recording
from tests.installed import installed

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(fastapi_collector, root=HERE) as hooks:
        yield hooks


class Tree(BaseModel):
    name: str
    left: "Tree | None" = None
    children: "list[Tree]" = []


class Item(BaseModel):
    title: Annotated[str, Field(min_length=6, max_length=8)]
    amount: Annotated[int, Field(gt=10, le=20, multiple_of=5)]
    trees: Annotated[list[Tree], Field(min_length=2)]


def application() -> FastAPI:
    app = FastAPI()

    @app.post("/streamed")
    async def streamed(request: Request) -> int:
        return sum([len(chunk) async for chunk in request.stream()])

    @app.post("/items")
    async def create(item: Item) -> str:
        return item.title

    @app.post("/items/two")
    async def create_two(item: Item, note: Annotated[str, Body()]) -> str:
        return item.title + note

    return app


async def send(recording: Recording, path: str, **rest: Any) -> httpx.Response:
    transport = httpx.ASGITransport(recording, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        return await client.post(path, **rest)


async def test_a_hundred_megabytes_pass_without_being_held() -> None:
    async def chunks():
        for _ in range(100):
            yield bytes(MIB)

    recording = Recording(application())
    tracemalloc.start()
    try:
        answer = await send(recording, "/streamed", content=chunks())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer.json() == 100 * MIB
    assert peak < 20 * MIB


@pytest.mark.parametrize(
    "content",
    [
        b'{"title": "' + b"a" * 3_000_000,
        b'{"title": ' + b"[" * 900 + b"]" * 900 + b"}",
        b"{" + b",".join(b'"k%d": 1' % i for i in range(50_000)) + b"}",
        b"[" * 100_000,
    ],
    ids=["text without end", "deep", "many keys", "too deep"],
)
async def test_hostile_json_is_told_in_little_room(content) -> None:
    recording = Recording(application())

    answer = await send(
        recording, "/items", content=content, headers={"content-type": "application/json"}
    )

    (rejection,) = recording.last.rejections
    assert answer.status_code in {400, 422}
    assert len(rejection.body_keys) <= 100
    assert len(rejection.body_excerpt) <= 200


async def test_the_example_follows_the_schema() -> None:
    recording = Recording(application())
    await send(recording, "/items", json={})
    (rejection,) = recording.last.rejections

    example = Item.model_validate_json(rejection.example)

    assert (example.title, example.amount) == ("texttext", 15)
    assert [tree.name for tree in example.trees] == ["text", "text"]
    title = next(field for field in rejection.fields if field.path == ("body", "title"))
    assert title.constraints == ("length >= 6", "length <= 8")


async def test_the_example_of_two_bodies_is_keyed_by_their_names() -> None:
    recording = Recording(application())
    await send(recording, "/items/two", json={})
    (rejection,) = recording.last.rejections

    answer = await send(
        recording,
        "/items/two",
        content=rejection.example,
        headers={"content-type": "application/json"},
    )

    assert answer.status_code == 200


def test_bounds_are_written_as_people_do() -> None:
    assert constraints_of(Field(ge=1, lt=9, pattern="^a").metadata) == (
        ">= 1",
        "< 9",
        "matches ^a",
    )
