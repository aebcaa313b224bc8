"""What is found in an application before its first request, end to end."""

import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.integration.clients import API, in_process, record_of
from tests.serving import serve

bearer = HTTPBearer()


def an_app(**options: Any) -> FastAPI:
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, **options)
    return app


def users(*, mended: bool = False) -> APIRouter:
    """`/users/{user_id}` before `/users/me`, or after it."""
    router = APIRouter(prefix="/users")

    async def one(user_id: str) -> str:
        return user_id

    async def me() -> str:
        return "me"

    declared = [("/{user_id}", one), ("/me", me)]
    for path, endpoint in declared[:: -1 if mended else 1]:
        router.add_api_route(path, endpoint)
    return router


async def standing(client: httpx.AsyncClient, rule: str = "") -> list[dict[str, Any]]:
    """Give the findings that belong to no request."""
    answer = await client.get(f"{API}/findings", params={"rule": rule} if rule else {})
    assert answer.status_code == 200, answer.text
    return [found for found in answer.json()["findings"] if found["request_id"] is None]


def test_it_is_found_at_startup_without_any_request() -> None:
    app = an_app()
    app.include_router(users())

    with serve(app) as url:
        deadline = time.monotonic() + 10
        found: list[dict[str, Any]] = []
        while not found and time.monotonic() < deadline:
            found = httpx.get(f"{url}{API}/findings").json()["findings"]
        requests = httpx.get(f"{url}{API}/requests").json()["requests"]

    assert [one["rule"] for one in found] == ["REQ102"]
    assert found[0]["location"]["code"] == "async def one(user_id: str) -> str:"
    assert found[0]["request_id"] is None
    assert requests == []


async def test_without_a_lifespan_it_is_found_with_the_first_request() -> None:
    app = an_app()
    app.include_router(users())

    async with in_process(app) as client:
        await client.get("/users/7")
        [found] = await standing(client)

    assert found["rule"] == "REQ102"
    assert found["evidence"]["shadowed"][0]["route"] == "GET /users/me"


async def test_the_mended_twin_is_silent() -> None:
    app = an_app()
    app.include_router(users(mended=True))

    async with in_process(app) as client:
        await client.get("/users/7")

        assert await standing(client) == []


async def test_the_request_that_is_bitten_joins_the_group_of_startup() -> None:
    async def one(user_id: int) -> int:
        return user_id

    async def me() -> str:
        return "me"

    app = an_app()
    app.add_api_route("/users/{user_id}", one)
    app.add_api_route("/users/me", me)

    async with in_process(app) as client:
        await client.get("/users/7")
        [before] = await standing(client, "REQ102")
        await client.get("/users/me")
        groups = (await client.get(f"{API}/findings", params={"rule": "REQ102"})).json()["findings"]

    [group] = groups
    assert group["fingerprint"] == before["fingerprint"]
    assert (before["occurrences"], group["occurrences"]) == (1, 2)
    assert (before["severity"], group["severity"]) == ("warning", "error")


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ({}, {"REQ102"}),
        ({"ignore": ["REQ102"]}, set()),
        ({"select": ["APP106"]}, {"REQ102", "APP106"}),
    ],
)
async def test_select_and_ignore_hold_for_audits(options, rules) -> None:
    async def untyped():
        return {}

    app = an_app(**options)
    app.include_router(users())
    app.add_api_route("/untyped", untyped)

    async with in_process(app) as client:
        await client.get("/users/7")

        assert {one["rule"] for one in await standing(client)} == rules


async def test_a_line_can_say_that_it_is_meant() -> None:
    async def search(q: str = None) -> str:  # noqa: RUF013 # diagnostics: ignore[APP103] old client
        return q

    app = an_app()
    app.add_api_route("/search", search)

    async with in_process(app) as client:
        await client.get("/search?q=x")

        assert await standing(client) == []


async def test_routes_that_are_added_later_are_looked_at_too() -> None:
    app = an_app()
    app.add_api_route("/first", lambda: 1)

    async with in_process(app) as client:
        await client.get("/first")
        before = await standing(client)
        app.include_router(users())
        await client.get("/users/7")
        await standing(client)  # the look is queued once the request is stored
        after = await standing(client)

    assert before == []
    assert [(one["rule"], one["occurrences"]) for one in after] == [("REQ102", 1)]


async def test_each_start_is_an_occurrence_of_the_same_group(tmp_path: Path) -> None:
    counts = []
    for _ in range(2):
        app = an_app(store_url=f"sqlite:///{tmp_path}/kept.db")
        app.include_router(users())
        async with in_process(app) as client:
            await client.get("/users/7")
            counts.append([one["occurrences"] for one in await standing(client)])

    assert counts == [[1], [2]]


async def test_only_the_first_start_that_finds_it_logs_it(tmp_path: Path, caplog) -> None:
    logged = []
    for _ in range(2):
        caplog.clear()
        app = an_app(store_url=f"sqlite:///{tmp_path}/kept.db", log=True)
        app.include_router(users())
        async with in_process(app) as client:
            await client.get("/users/7")
            await standing(client)
        logged.append(["REQ102" in record.getMessage() for record in caplog.records])

    assert logged == [[True], []]


async def test_what_was_cleared_is_found_again_when_the_page_is_opened() -> None:
    app = an_app()
    app.include_router(users())

    async with in_process(app) as client:
        await client.get("/users/7")
        await client.post(f"{API}/clear", headers={"X-Diagnostics-Action": "1"})
        cleared = await standing(client)
        page = await client.get("/_diagnostics/application")
        again = await standing(client)

    assert cleared == []
    assert page.status_code == 200
    assert "/users/{user_id}" in page.text
    assert [one["rule"] for one in again] == ["REQ102"]


async def test_of_unguarded_siblings_the_open_one_is_found() -> None:
    app = an_app()
    guard = [Depends(bearer)]

    async def invoice(invoice_id: int) -> int:
        return invoice_id

    async def delete_invoice(invoice_id: int) -> int:
        return invoice_id

    app.add_api_route("/invoices/{invoice_id}", invoice, dependencies=guard)
    app.add_api_route("/invoices/{invoice_id}/lines", invoice, dependencies=guard)
    app.add_api_route("/invoices/{invoice_id}", delete_invoice, methods=["DELETE"])

    async with in_process(app) as client:
        await client.get("/invoices/1")
        [found] = await standing(client)

    assert (found["rule"], found["severity"]) == ("APP105", "info")
    assert found["location"]["function"].endswith("delete_invoice")


# APP101 where it bites


async def as_problem(_request: Request, error: Any) -> JSONResponse:
    return JSONResponse({"problem": error.detail}, error.status_code)


async def missing() -> None:
    raise HTTPException(404, "no such book")


def an_app_with_handler(exception: Any) -> FastAPI:
    app = an_app()
    app.add_api_route("/missing", missing)
    app.add_exception_handler(exception, as_problem)
    return app


async def rules_of(app: FastAPI, method: str, path: str) -> list[tuple[str, str]]:
    async with in_process(app) as client:
        response = await client.request(method, path)
        answer = await record_of(client, response)
    return [(found["rule"], found["location"]["function"]) for found in answer["findings"]]


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("DELETE", "/missing")])
async def test_the_first_request_that_it_bites_has_it(method, path) -> None:
    app = an_app_with_handler(HTTPException)

    assert await rules_of(app, method, path) == [("APP101", "as_problem")]


@pytest.mark.parametrize(
    ("exception", "method", "path"),
    [
        (HTTPException, "GET", "/missing"),
        (StarletteHTTPException, "GET", "/nowhere"),
        (StarletteHTTPException, "DELETE", "/missing"),
        (404, "GET", "/nowhere"),
        (ValueError, "GET", "/nowhere"),
    ],
    ids=["raised on purpose", "starlette's 404", "starlette's 405", "by status", "another one"],
)
async def test_answers_that_the_handler_gave_or_is_not_for_are_in_order(
    exception, method, path
) -> None:
    assert await rules_of(an_app_with_handler(exception), method, path) == []


async def test_a_healthy_application_has_no_finding() -> None:
    async def current_user(token: Annotated[Any, Depends(bearer)]) -> str:
        return str(token)

    app = an_app()
    app.include_router(users(mended=True), dependencies=[Depends(current_user)])
    app.include_router(users(mended=True), prefix="/v2", dependencies=[Depends(current_user)])
    app.mount("/inner", FastAPI())
    app.add_exception_handler(StarletteHTTPException, as_problem)

    async with in_process(app) as client:
        await client.get("/users/7")

        assert await standing(client) == []


async def test_in_a_mounted_application_its_own_handlers_count() -> None:
    outer = an_app()
    outer.mount("/inner", an_app_with_handler(HTTPException))
    outer.add_exception_handler(StarletteHTTPException, as_problem)

    assert await rules_of(outer, "GET", "/inner/nowhere") == [("APP101", "as_problem")]
    assert await rules_of(outer, "GET", "/nowhere") == []
