"""What a response was made of: the type that was returned and the fields that went out."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import fastapi
import pytest
from fastapi import FastAPI
from fastapi import Response as PlainResponse
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field, create_model
from starlette.testclient import TestClient

from fastapi_diagnostics.collectors import response_diff
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import ComparedResponse
from tests.collectors.recorded_calls import call
from tests.installed import installed

T = TypeVar("T")


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(response_diff, root=Path(__file__).parent) as hooks:
        yield hooks


class AuthorOut(BaseModel):
    name: str
    country: str | None = None


class BookOut(BaseModel):
    title: str
    author: AuthorOut | None = None


class Aliased(BaseModel):
    user_name: str = Field(serialization_alias="userName")

    @computed_field
    def initials(self) -> str:
        return self.user_name[:1]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    title: str


class Cat(BaseModel):
    meows: bool


class Dog(BaseModel):
    barks: bool


class Page(BaseModel, Generic[T]):
    items: list[T]
    total: int = 0


BOOK = {"title": "Momo", "author": {"name": "Ende"}, "margin": 1}


def compared(value: Any, model: Any, **options: Any) -> list[ComparedResponse]:
    app = FastAPI()

    @app.get("/", response_model=model, **options)
    async def endpoint() -> Any:
        return value

    outcome = call(app, "/")
    assert outcome.error is None
    return list(outcome.record.compared_responses)


@pytest.mark.parametrize(
    ("value", "model", "returned", "declared", "sent"),
    [
        (
            BOOK,
            BookOut,
            "dict",
            "BookOut",
            ("title", "author", "author.name", "author.country"),
        ),
        ([BOOK], list[BookOut], "list[dict]", "list[BookOut]", None),
        (BookOut(title="Momo"), BookOut, "BookOut", "BookOut", ("title", "author")),
        (
            {"items": [BOOK], "total": 1, "next": 2},
            Page[BookOut],
            "dict",
            "Page[BookOut]",
            (
                *("items", "total", "items[].title", "items[].author"),
                *("items[].author.name", "items[].author.country"),
            ),
        ),
        (
            Aliased(user_name="ada"),
            Aliased,
            "Aliased",
            "Aliased",
            ("userName", "initials"),
        ),
        ([Cat(meows=True), Dog(barks=True)], list[Cat | Dog], "list[Cat | Dog]",
         "list[Cat | Dog]", ("[].meows", "[].barks")),
        ({"a@example.org": BOOK}, dict[str, AuthorOut | BookOut], "dict",
         "dict[str, AuthorOut | BookOut]", ("*.title", "*.author", "*.author.name",
                                            "*.author.country")),
        ([{"name": "Ende"}], RootModel[list[AuthorOut]], "list[dict]",
         "RootModel[list[AuthorOut]]", ("[].name", "[].country")),
        ([], list[BookOut], "list", "list[BookOut]", ()),
    ],
)  # fmt: skip
def test_the_types_and_the_fields_that_went_out_are_named(
    value, model, returned, declared, sent
) -> None:
    [found] = compared(value, model)

    assert (found.returned, found.model, found.compared) == (returned, declared, True)
    assert sent is None or found.sent == sent
    assert found.endpoint is not None
    assert found.endpoint.function.endswith("endpoint")


def test_a_field_that_an_option_left_out_did_not_go_out() -> None:
    [found] = compared(BOOK, BookOut, response_model_exclude_none=True)

    assert found.sent == ("title", "author", "author.name")


@pytest.mark.parametrize(
    ("value", "model", "declared"),
    [
        ({"title": "Momo", "a@example.org": 1}, Open, "Open"),
        ({"a@example.org": 1}, dict[str, int], "dict[str, int]"),
        ({"a@example.org": 1}, None, ""),
    ],
)
def test_names_that_no_model_declares_are_not_kept(value, model, declared) -> None:
    [found] = compared(value, model)

    assert (found.returned, found.model, found.sent) == ("dict", declared, ())
    assert not found.compared


def test_a_response_object_goes_out_as_it_is() -> None:
    assert compared(PlainResponse("{}"), BookOut) == []


def test_long_lists_are_told_by_their_first_items() -> None:
    [found] = compared([BOOK] * 10_000, list[BookOut])

    assert found.sent == ("[].title", "[].author", "[].author.name", "[].author.country")


def test_a_deep_model_is_told_to_some_depth() -> None:
    class Node(BaseModel):
        name: str
        children: "list[Node]" = []

    value: dict[str, Any] = {"name": "leaf"}
    for _ in range(30):
        value = {"name": "inner", "children": [value]}

    [found] = compared(value, Node)

    assert found.sent[-1] == "children[].children[].children[].children"


def test_a_wide_model_is_told_to_some_width() -> None:
    fields: Any = {f"field_{number}": (int, 0) for number in range(100)}

    [found] = compared({}, create_model("Wide", **fields))

    assert len(found.sent) == 60


@pytest.mark.skipif(
    tuple(map(int, fastapi.__version__.split(".")[:2])) < (0, 135), reason="streams no items"
)
def test_items_of_a_stream_that_are_alike_are_told_once() -> None:
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> AsyncIterator[BookOut]:
        for _ in range(5):
            yield BookOut(title="Momo")

    found = call(app, "/").record.compared_responses

    assert [one.sent for one in found] == [("[].title", "[].author")]


def test_outside_a_recording_nothing_is_looked_at() -> None:
    app = FastAPI()

    @app.get("/", response_model=BookOut)
    async def endpoint() -> Any:
        return BOOK

    with TestClient(app) as client:
        assert client.get("/").json() == {"title": "Momo", "author": {"name": "Ende",
                                                                      "country": None}}  # fmt: skip
