"""Which function wrote a key: the endpoint, one it calls, or nobody near."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors.response_diff.authors import author_of


@pytest.fixture(autouse=True)
def user_code() -> Iterator[None]:
    USER_CODE.add_root(Path(__file__).parent)
    yield
    USER_CODE.reset()


def foreign() -> Any:
    return {"a": 1}


def helper(margin: float) -> dict[str, Any]:
    return {"title": "Momo", "margin": margin}


def indirect() -> Any:
    return [helper(0.4)]


class Service:
    def rows(self) -> list[dict[str, Any]]:
        return [{"margin": number} for number in range(3)]

    @staticmethod
    def keyword() -> dict[str, Any]:
        return dict(title="Momo", margin=1)  # noqa: C408


SERVICE = Service()


def test_an_endpoint_that_writes_the_key_is_its_author() -> None:
    async def display() -> Any:
        return {"title": "Momo", "margin": 1}

    async def single() -> Any:
        return {"margin": 1}

    async def assignment() -> Any:
        row = foreign()
        row["margin"] = 1
        return row

    async def call() -> Any:
        return dict(margin=1)  # noqa: C408

    async def nested() -> Any:
        return {"items": [{"title": str(n), "margin": n} for n in range(3)]}

    for endpoint in (display, single, assignment, call, nested):
        author = author_of("margin", endpoint)
        assert author is not None
        assert author.line == endpoint.__code__.co_firstlineno


def test_a_function_or_method_that_the_endpoint_calls_is_found() -> None:
    async def direct() -> Any:
        return helper(0.4)

    async def twice() -> Any:
        return indirect()

    async def of_an_instance() -> Any:
        return SERVICE.rows()

    async def of_a_class() -> Any:
        return Service.keyword()

    async def injected(service: Annotated[Service, Depends()]) -> Any:
        return service.rows()

    found = {
        endpoint.__name__: author_of("margin", endpoint)
        for endpoint in (direct, twice, of_an_instance, of_a_class, injected)
    }

    assert {name: author and author.function for name, author in found.items()} == {
        "direct": "helper",
        "twice": "helper",
        "of_an_instance": "Service.rows",
        "of_a_class": "Service.keyword",
        "injected": "Service.rows",
    }


def test_a_key_that_is_only_read_or_comes_from_elsewhere_has_no_author() -> None:
    async def reading() -> Any:
        row = foreign()
        if "margin" in row and row["margin"] and row.get("margin"):
            return {"kind": 1, **row}
        return row

    async def passing() -> Any:
        return foreign()

    assert author_of("margin", reading) is None
    assert author_of("margin", passing) is None


def test_code_of_libraries_is_not_searched() -> None:
    USER_CODE.reset()

    assert author_of("margin", helper) is None
    assert author_of("margin", len) is None
    assert author_of("margin", None) is None
