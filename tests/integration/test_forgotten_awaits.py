"""A forgotten await is one finding, whatever comes of it, with the line as it should be."""

import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.integration.clients import in_process, record_of

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Price(BaseModel):
    cents: int


async def price() -> Price:
    return Price(cents=3)


async def prices() -> AsyncIterator[Price]:
    yield Price(cents=3)


async def some_prices() -> AsyncIterator[Price]:
    return prices()


async def refused() -> Any:
    return price()


async def refused_mended() -> Any:
    return await price()


async def iterated() -> int:
    return sum([one.cents async for one in some_prices()])  # type: ignore[attr-defined]


async def iterated_in_a_statement() -> int:
    total = 0
    async for one in some_prices():  # type: ignore[attr-defined]
        total += one.cents
    return total


async def iterated_mended() -> int:
    return sum([one.cents async for one in await some_prices()])


async def kept(request: Request) -> str:
    data = request.json()
    return type(data).__name__


async def findings_of(endpoint: Any, model: Any = None) -> list[dict[str, Any]]:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)
    app.add_api_route("/", endpoint, response_model=model)
    async with in_process(app) as client:
        answer = await client.get("/")
        gc.collect()
        found: list[dict[str, Any]] = (await record_of(client, answer))["findings"]
    return found


async def test_a_response_that_was_refused_for_it_says_await() -> None:
    [found] = await findings_of(refused, Price)

    assert found["rule"] == "RES105"  # the refusal still holds the coroutine
    assert "it returned a value of type coroutine" in found["message"]
    assert found["fix"]["summary"].startswith("Put `await` before the call that gives it")


async def test_an_error_that_came_of_it_is_the_same_defect() -> None:
    [found] = await findings_of(iterated_in_a_statement)

    assert found["rule"] == "TASK107"
    assert found["message"].endswith("The request was answered with 500 for it.")
    assert found["fix"]["code"].startswith("async for one in await some_prices():")


async def test_in_a_comprehension_the_part_is_named() -> None:
    [found] = await findings_of(iterated)

    assert (found["fix"]["replaces"], found["fix"]["code"]) == (
        *("some_prices()", "await some_prices()"),
    )


async def test_a_coroutine_of_a_library_that_the_endpoint_keeps_is_found() -> None:
    [found] = await findings_of(kept)

    assert (found["rule"], found["confidence"]) == ("TASK107", "likely")
    assert found["fix"]["code"] == "data = await request.json()"


@pytest.mark.parametrize("endpoint", [refused_mended, iterated_mended])
async def test_what_is_awaited_is_silent(endpoint: Any) -> None:
    assert await findings_of(endpoint) == []
