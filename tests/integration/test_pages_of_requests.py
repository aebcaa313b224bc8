"""What pages and API tell of refused requests, responses and dependencies, end to end."""

import asyncio
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel

from fastapi_diagnostics import DiagnosticsMiddleware, capture
from tests.integration.clients import in_process, record_of
from tests.outputs.pages import parsed, words

PAGES = "/_diagnostics"


class Item(BaseModel):
    name: str
    quantity: int


class Order(BaseModel):
    user_name: str
    items: list[Item]


class AuthorOut(BaseModel):
    name: str


class BookOut(BaseModel):
    title: str
    author: AuthorOut


class Shelf(BaseModel):
    items: list[BookOut]


async def settings() -> str:
    return "EUR"


def currency(found: Annotated[str, Depends(settings)]) -> str:
    return found


async def session() -> Any:
    yield "session"


async def user(price: Annotated[str, Depends(currency)], key: str = "") -> str:
    if key == "wrong":
        raise HTTPException(401)
    return price


class Paging:
    def __init__(self, page: int = 1) -> None:
        self.page = page


def an_app() -> FastAPI:
    app = FastAPI(title="Shop")
    app.add_middleware(DiagnosticsMiddleware)

    @app.post("/orders")
    async def order(order: Order) -> str:
        return order.user_name

    @app.get("/shelf", response_model=Shelf)
    async def shelf() -> dict[str, Any]:
        author = {"name": "Ende", "email": "a@example.org", "password_hash": "x"}
        return {"items": [{"title": "Momo", "author": author}]}

    @app.get("/me", dependencies=[Depends(settings), Depends(user), Depends(session)])
    async def me(pages: Annotated[Paging, Depends()]) -> int:
        return pages.page

    return app


async def page(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(f"{PAGES}/{path}")
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_refused_requests_are_grouped_by_field_with_their_hint() -> None:
    async with in_process(an_app()) as client:
        for name in ("userName", "userName", "username"):
            items = [{"name": "pen", "quantity": 1}, {"name": "ink", "quantity": "two-secret"}]
            await client.post("/orders", json={name: "ada", "items": items})

        told = words(await page(client, "validation"))

    assert "Validation refused 3 requests at 1 route." in told
    assert "body.items[].quantity expects int Input should be a valid integer" in told
    assert "body.user_name expects str Missing; what came instead: userName" in told
    assert "The body has userName, which is close to user_name." in told


async def test_values_of_secret_fields_do_not_come_to_the_page() -> None:
    app = an_app()

    @app.get("/token")
    async def token(password: int) -> int:
        return password

    async with in_process(app) as client:
        await client.get("/token", params={"password": "hunter2hunter2"})

        text = await page(client, "validation")

    assert "query.password" in words(text)
    assert "hunter2" not in text


async def test_a_route_compares_what_was_returned_with_what_was_sent() -> None:
    async with in_process(an_app()) as client:
        for _ in range(3):
            await client.get("/shelf")

        text = await page(client, "responses")

    told = words(text)
    rows = [
        " ".join(" ".join(row.itertext()).split())
        for row in parsed(text).findall(".//ul[@class='removed']/li")
    ]
    assert "GET /shelf tests/integration/ test_pages_of_requests.py" in told
    assert "Returned dict Response model Shelf Sent 4 declared fields" in told
    assert "items[].author.name" in told
    assert rows[0].startswith("items[].author.email dict: str Likely a mistake")
    assert "in 3 of 3 responses" in rows[0]
    assert rows[1].startswith("items[].author.password_hash dict: str Protected")
    assert "a@example.org" not in text


async def test_the_api_gives_the_tree_of_dependencies() -> None:
    async with in_process(an_app()) as client:
        record = (await record_of(client, await client.get("/me")))["request"]

    runs = record["dependencies"]
    named = [run.get("parent") if run.get("parent") is None else runs[run["parent"]]["name"]
             for run in runs]  # fmt: skip
    assert [(run["name"], asker) for run, asker in zip(runs, named, strict=True)] == [
        ("settings", None),
        ("settings", "currency"),
        ("currency", "user"),
        ("user", None),
        ("session", None),
        ("Paging", None),
    ]
    assert [run["name"] for run in runs if run["cached"]] == ["settings"]
    assert [run["name"] for run in runs if run["threadpool"]] == ["currency", "Paging"]


async def test_a_capture_around_requests_has_the_tree_of_each() -> None:
    async with in_process(an_app()) as client:
        with capture("two requests") as recording:
            for query in ("?key=wrong", ""):
                await asyncio.create_task(client.get(f"/me{query}"))  # each in its own context

    runs = recording.record.dependencies
    assert [(run.name, run.parent) for run in runs[:4]] == [
        ("settings", None),
        ("settings", 2),
        ("currency", 3),
        ("user", None),
    ]
    assert [(run.name, run.parent) for run in runs[4:]] == [
        ("settings", None),
        ("settings", 6),
        ("currency", 7),
        ("user", None),
        ("session", None),
        ("Paging", None),
    ]


@pytest.mark.parametrize(
    ("query", "override", "expected"),
    [
        ("", False, "settings from the cache"),
        ("", False, "currency in a thread"),
        ("?key=wrong", False, "user raised"),
        ("", True, "session overrides currency"),
    ],
)
async def test_the_page_of_a_request_draws_the_tree(query, override, expected) -> None:
    app = an_app()
    if override:
        app.dependency_overrides[currency] = session
    async with in_process(app) as client:
        response = await client.get(f"/me{query}")

        text = await page(client, f"requests/{response.headers['x-diagnostics-id']}")

    rows = [
        (row.attrib["class"].split()[0], " ".join(" ".join(row.itertext()).split()))
        for row in parsed(text).findall(".//ol[@class='deps']/li")
    ]
    shown = " ".join(text for _, text in rows)
    assert expected in shown
    assert rows[0][0] == "depth-0"
    assert {depth for depth, _ in rows} >= {"depth-0", "depth-1"}


async def test_the_application_page_tells_the_chain_and_the_threads_for_nothing() -> None:
    async with in_process(an_app()) as client:
        await client.get("/me")

        told = words(await page(client, "application"))

    assert "Paging tests/integration/ test_pages_of_requests.py:" in told
    assert "for nothing: making one only sets attributes 1 route" in told
    assert "settings, user, session, Paging" in told
