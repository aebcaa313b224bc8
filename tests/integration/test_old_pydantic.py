"""APP102 where it runs, and together with what the audit of the application tells."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.integration import members
from tests.integration.clients import API, in_process, record_of


def an_app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)
    return app


async def groups_of(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get(f"{API}/findings", params={"rule": "APP102"})
    return answer.json()["findings"]


@pytest.mark.filterwarnings("ignore:The `dict` method:DeprecationWarning")
async def test_a_call_that_only_a_request_shows_is_told_with_its_line() -> None:
    app = an_app()
    app.add_api_route("/who", members.who)

    async with in_process(app) as client:
        await client.get("/openapi.json")
        before = [one["location"]["code"] for one in await groups_of(client)]
        answer = await record_of(client, await client.get("/who"))

    [found] = answer["findings"]
    assert before == ["return member.dict()"]
    assert (found["rule"], found["severity"], found["confidence"]) == (
        *("APP102", "warning", "proven"),
    )
    assert found["location"]["code"] == "return anybody().dict()"
    assert found["message"].startswith("This request called .dict() of Admin,")
    assert found["fix"]["code"] == "return anybody().model_dump()"


@pytest.mark.filterwarnings("ignore:The `dict` method:DeprecationWarning")
async def test_a_call_that_the_audit_saw_joins_its_group_when_it_runs() -> None:
    app = an_app()
    app.add_api_route("/keep", members.keep)

    async with in_process(app) as client:
        await client.get("/openapi.json")
        [before] = await groups_of(client)
        await client.get("/keep")
        [group] = await groups_of(client)

    assert (before["confidence"], group["confidence"]) == ("likely", "proven")
    assert group["fingerprint"] == before["fingerprint"]
    assert group["occurrences"] == 2


async def test_the_mended_call_is_silent() -> None:
    app = an_app()
    app.add_api_route("/who", members.who_mended)

    async with in_process(app) as client:
        answer = await record_of(client, await client.get("/who"))

    assert answer["findings"] == []
