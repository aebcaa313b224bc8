"""REQ101 on requests that FastAPI really refused, and on those it had no reason to."""

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from fastapi import Body, FastAPI, Form, Header, Query, Request, UploadFile, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, RootModel
from starlette.websockets import WebSocketDisconnect

from fastapi_diagnostics.collectors import fastapi as fastapi_collector
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import RequestRecord, decode_record, encode
from fastapi_diagnostics.rules.requests.rejected_request import check
from tests.builders import a_record
from tests.collectors.fastapi_recording import HERE, Recording
from tests.installed import installed


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(fastapi_collector, root=HERE.parent) as hooks:
        yield hooks


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Item(BaseModel):
    book_id: int
    quantity: int
    size: Size = Size.SMALL


class Order(BaseModel):
    user_name: str
    items: list[Item]
    note: str | None = None


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    no: int = 0


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str = ""
    parts: list[Part] = []


class Camel(BaseModel):
    first_name: str = Field(alias="firstName")


class Customer(BaseModel):
    name: str


class Filters(BaseModel):
    page_size: int


app = FastAPI()


@app.post("/orders")
async def create_order(order: Order):
    return order


@app.post("/orders/strict")
async def create_strict(order: Strict):
    return order


@app.post("/camel")
async def create_camel(order: Camel):
    return order


@app.post("/both")
async def create_both(item: Item, customer: Customer):
    return [item, customer]


@app.get("/books/{book_id}")
async def book(book_id: int):
    return book_id


@app.get("/books/bestsellers")
async def bestsellers():
    return []


@app.get("/books/{slug}")
async def book_by_slug(slug: str):
    return slug


@app.get("/lists")
async def lists(ids: list[int]):
    return ids


@app.get("/search")
async def search(query: Annotated[str, Query()], page: int = 1):
    return [query, page]


@app.get("/filters")
async def filtered(filters: Annotated[Filters, Query()]):
    return filters


@app.get("/unfiltered")
async def unfiltered(filters: Filters):
    return filters


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(gt=0)]


class Dog(BaseModel):
    kind: Literal["dog"]


class Tags(RootModel[list[str]]):
    pass


@app.get("/many")
async def many(ids: Annotated[list[int], Query()]):
    return ids


@app.post("/pets")
async def create_pet(pet: Annotated[Cat | Dog, Field(discriminator="kind")]):
    return pet


@app.post("/tags")
async def create_tags(tags: Tags):
    return tags


@app.post("/files")
async def upload(document: UploadFile, title: Annotated[str, Form()]):
    return [document.filename, title]


@app.post("/hooks")
async def hook(request: Request, token: str):
    return [await request.json(), token]


@app.post("/texts")
async def text(value: Annotated[str, Body(max_length=3)]):
    return value


@app.post("/pages")
async def turn(page: int):
    return page


@app.post("/mixed/{shop}")
async def mixed(shop: int, amount: int, customer: Customer):
    return [shop, amount, customer]


@app.get("/secured")
async def secured(x_token: Annotated[str, Header()]):
    return x_token


@app.post("/login")
async def login(name: Annotated[str, Form()], password: Annotated[str, Form()]):
    return [name, password]


@app.websocket("/rooms/{room}")
async def talk(socket: WebSocket, room: int):
    assert room
    await socket.accept()
    await socket.close()


def finding(method: str, path: str, **request):
    """The only finding of a request that is refused."""
    recording = Recording(app)
    answer = recording.client().request(method, path, **request)
    assert answer.status_code == 422, answer.text
    (found,) = check(recording.last)
    return found


def codes(found) -> list[str]:
    return [hint["code"] for hint in found.evidence["hints"]]


def post_text(path: str, text: str, content_type: str | None):
    headers = {"content-type": content_type} if content_type else {}
    return finding("POST", path, content=text.encode(), headers=headers)


GOOD = {"user_name": "ada", "items": [{"book_id": 1, "quantity": 2}]}


@pytest.mark.parametrize(
    ("method", "path", "request_"),
    [
        ("POST", "/orders", {"json": GOOD}),
        ("POST", "/orders", {"json": GOOD | {"useless": 1}}),
        ("POST", "/both", {"json": {"item": GOOD["items"][0], "customer": {"name": "x"}}}),
        ("GET", "/books/1", {}),
        ("GET", "/lists", {"content": b"[1]", "headers": {"content-type": "application/json"}}),
        ("POST", "/pages?page=1", {}),
        ("GET", "/secured", {"headers": {"x-token": "1"}}),
        ("POST", "/login", {"data": {"name": "a", "password": "b"}}),
    ],
)
def test_right_requests_are_silent(method, path, request_):
    recording = Recording(app)

    assert recording.client().request(method, path, **request_).status_code == 200

    assert list(check(recording.last)) == []


def test_record_without_rejection_is_silent():
    assert list(check(a_record(status=422))) == []


def test_missing_key_names_the_field_and_a_right_body():
    found = finding("POST", "/orders", json={"user_name": "ada", "items": [{"book_id": 1}]})

    assert found.severity == "info"
    assert codes(found) == []
    assert found.location.function == "create_order"
    assert found.message == (
        "POST /orders was refused with 422: body.items[0].quantity (int) is missing."
    )
    assert found.evidence["errors"] == [
        {
            "loc": ["body", "items", "0", "quantity"],
            "type": "missing",
            "message": "Field required",
            "input": "",
        }
    ]


def test_example_of_a_right_body_is_one():
    found = finding("POST", "/orders", json={"user_name": "ada"})

    assert "shape" in found.fix.summary
    body = json.loads(found.fix.code)
    assert body == {"user_name": "text", "items": [{"book_id": 1, "quantity": 1}]}
    recording = Recording(app)
    assert recording.client().post("/orders", json=body).status_code == 200


def test_empty_body_shows_an_example():
    found = finding("POST", "/orders")

    assert found.message == "POST /orders was refused with 422: the body (Order) is missing."
    assert json.loads(found.fix.code)["user_name"] == "text"


def test_wrong_type_says_what_came_and_what_is_wanted():
    found = finding("POST", "/orders", json=GOOD | {"items": [{"book_id": 1, "quantity": "two"}]})

    assert found.severity == "info"
    assert "body.items[0].quantity (int) came as a string (" in found.message
    assert "integer" in found.message
    assert found.fix.summary.startswith("Send body.items[0].quantity as int.")


def test_misspelt_key_names_both():
    found = finding("POST", "/orders", json={"userName": "ada", "items": []})

    assert found.severity == "warning"
    assert found.confidence == "proven"
    assert codes(found) == ["misspelt-key"]
    assert found.message == (
        "POST /orders was refused with 422: body.user_name (str) is missing; "
        "the body has userName, which is close to user_name."
    )
    assert found.fix.summary.startswith("Send user_name instead of userName")


def test_alias_choices_of_the_fix_take_both_names():
    found = finding("POST", "/orders", json={"userName": "ada", "items": []})
    names = {"Field": Field, "AliasChoices": AliasChoices}
    declaration, _, default = found.fix.code.partition(" = ")
    assert declaration == "user_name: str"

    model = type(
        "Order",
        (BaseModel,),
        {
            "__annotations__": {"user_name": str},
            "__module__": __name__,
            "user_name": eval(default, names),  # noqa: S307 - the fix is Python
        },
    )

    assert model.model_validate({"userName": "a"}).user_name == "a"
    assert model.model_validate({"user_name": "a"}).user_name == "a"


def test_misspelling_is_likely_where_only_the_spelling_is_close():
    found = finding("POST", "/orders", json=GOOD | {"items": [{"book_id": 1, "quantitiy": 2}]})

    assert (codes(found), found.confidence) == (["misspelt-key"], "likely")


def test_other_declared_key_is_no_misspelling():
    found = finding("POST", "/orders", json={"items": [{"quantity": 1}], "user_name": "a"})

    assert codes(found) == []


def test_forbidden_key_is_close_to_a_declared_one():
    found = finding("POST", "/orders/strict", json={"titel": "x"})

    assert codes(found) == ["misspelt-key"]
    assert found.fix.summary == "Send title instead of titel."


def test_python_name_where_the_alias_is_wanted():
    found = finding("POST", "/camel", json={"first_name": "Ada"})

    assert codes(found) == ["alias"]
    assert "firstName" in found.fix.summary


def test_form_for_json():
    found = finding("POST", "/orders", data={"user_name": "ada", "items": "1"})

    assert codes(found) == ["form-for-json"]
    assert found.message == (
        "POST /orders was refused with 422: the body cannot be read as Order; "
        "a form (application/x-www-form-urlencoded) was sent where JSON is expected."
    )
    assert "json=" in found.fix.summary


def test_multipart_form_for_json():
    found = finding("POST", "/orders", files={"user_name": (None, "ada")})

    assert codes(found) == ["form-for-json"]


def test_json_for_form():
    found = finding("POST", "/login", json={"name": "ada", "password": "s3cret-value"})

    assert codes(found) == ["json-for-form"]


def test_form_with_a_misspelt_field():
    found = finding("POST", "/login", data={"nane": "ada", "password": "s3cret-value"})

    assert codes(found) == ["misspelt-key"]
    assert found.fix.summary == "Send name instead of nane."
    assert found.evidence["body_kind"] == "form"


def test_content_type_text_plain():
    found = post_text("/orders", json.dumps(GOOD), "text/plain")

    assert codes(found) == ["content-type"]
    assert "text/plain" in found.message


def test_content_type_that_curl_sends():
    found = post_text("/orders", json.dumps(GOOD), "application/x-www-form-urlencoded")

    assert codes(found) == ["content-type"]


def test_double_encoded():
    found = post_text("/orders", json.dumps(json.dumps(GOOD)), "application/json")

    assert codes(found) == ["double-encoded"]


def test_plain_string_is_not_double_encoded():
    found = post_text("/orders", '"hello"', "application/json")

    assert codes(found) == []


def test_broken_json_shows_the_place_and_no_value():
    text = '{"user_name": "s3cret-value", "items": [1, 2,]}'

    found = post_text("/orders", text, "application/json")

    assert codes(found) == ["broken-json"]
    assert "▸" in found.message
    assert '"user_name": "…"' in found.message
    assert "s3cret" not in str(found)


def test_python_dict_as_json():
    found = post_text("/orders", "{'user_name': 's3cret-value', 'paid': True}", "application/json")

    assert codes(found) == ["broken-json"]
    assert "'user_name'" in found.message
    assert "s3cret" not in str(found)


def test_wrapped_body():
    found = finding("POST", "/orders", json={"order": GOOD})

    assert codes(found) == ["unwrap"]
    assert "embed=True" in found.fix.summary


def test_unwrapped_bodies():
    found = finding("POST", "/both", json={"book_id": 1, "quantity": 2})

    assert codes(found) == ["embed"]
    recording = Recording(app)
    assert recording.client().post("/both", json=json.loads(found.fix.code)).status_code == 200


def test_key_at_another_level():
    found = finding("POST", "/orders", json={"order": {"user_name": "x"}, "items": []})

    assert codes(found) == ["nesting"]
    assert "order.user_name" in found.message


def test_nearest_value():
    bad = {"book_id": 1, "quantity": 1, "size": "smal"}

    found = finding("POST", "/orders", json=GOOD | {"items": [bad]})

    assert codes(found) == ["nearest-value"]
    assert "small" in found.fix.summary


def test_list_in_the_query_without_query():
    found = finding("GET", "/lists?ids=1&ids=2")

    assert codes(found) == ["query-list"]
    assert found.fix.code == "ids: Annotated[list[int], Query()]"
    assert found.fix.location.function == "lists"


def test_values_of_a_list_in_one_with_commas():
    found = finding("GET", "/many?ids=1,2")

    assert codes(found) == ["query-list"]
    assert found.fix.code == "ids=1&ids=2"


def test_a_value_that_was_cut_is_not_shown_as_one_to_send():
    found = finding("GET", f"/many?ids=1,{'2' * 4000}")

    assert codes(found) == ["query-list"]
    assert found.fix.code == "ids=1"


def test_a_wrong_item_of_a_list_is_no_matter_of_names():
    found = finding("GET", "/many?ids=one")

    assert codes(found) == []


def test_the_alternative_of_a_union_is_no_part_of_the_body():
    found = finding("POST", "/pets", json={"kind": "cat", "lives": 0})

    assert "body.lives (int) came as a number (0)" in found.message
    assert found.fix.summary.startswith("Send body.lives as int, > 0.")
    assert found.evidence["errors"][0]["loc"] == ["body", "cat", "lives"]


def test_a_root_model_is_sent_without_a_name():
    found = finding("POST", "/tags", json={"tags": ["a"]})

    assert found.fix.code == '["text"]'


def test_a_form_with_a_file_is_multipart():
    found = finding("POST", "/files", json={"document": "text", "title": "a"})

    assert codes(found) == ["json-for-form"]
    assert found.fix.code == (
        """client.post(url, files={"document": ("document.bin", b"...")}, data={'title': 'text'})"""
    )


def test_scalar_in_an_unread_body_is_likely():
    found = finding("POST", "/pages", json={"page": 1})

    assert (codes(found), found.confidence) == (["scalar-in-body"], "likely")
    assert found.fix.code == "page: Annotated[int, Body(embed=True)]"


def test_endpoint_that_reads_the_body_itself_is_believed():
    found = finding("POST", "/hooks", json={"event": "paid"})

    assert codes(found) == []


def test_model_in_the_query_without_query():
    found = finding("GET", "/unfiltered?page_size=3")

    assert codes(found) == ["query-list"]
    assert found.fix.code == "filters: Annotated[Filters, Query()]"


def test_text_that_is_too_long_is_not_double_encoded():
    found = post_text("/texts", json.dumps('{"a": 1}'), "application/json")

    assert codes(found) == []


def test_forbidden_key_beside_the_right_one_is_no_misspelling():
    found = finding("POST", "/orders/strict", json={"title": "a", "parts": [{"no": 1, "noo": 2}]})

    assert codes(found) == []


def test_wrapper_with_other_things_inside_is_no_wrapped_body():
    found = finding("POST", "/orders", json={"order": {"colour": "red"}})

    assert codes(found) == []


def test_same_name_in_another_branch_is_not_at_another_level():
    item = {"book_id": 1}
    found = finding(
        "POST", "/orders", json={"user_name": "a", "items": [item], "x": {"quantity": 1}}
    )

    assert codes(found) == []


def test_websocket_route_takes_no_http_request():
    other = FastAPI()
    other.add_api_route("/{number}", numbered)
    other.add_api_websocket_route("/live", talk)
    other.add_api_route("/live", plant, methods=["POST"])
    recording = Recording(other)
    recording.client().get("/live")

    (found,) = check(recording.last)

    assert codes(found) == []


async def numbered(number: int):
    return number


def test_scalar_beside_a_model():
    found = finding("POST", "/mixed/1", json={"name": "x", "amount": 2})

    assert (codes(found), found.confidence) == (["scalar-in-body"], "proven")


def test_content_type_without_a_body_is_no_body():
    found = finding("GET", "/search", headers={"content-type": "application/json"})

    assert codes(found) == []


def test_missing_query_parameter_without_body_has_no_hint():
    found = finding("GET", "/search")

    assert codes(found) == []
    assert found.fix.code == "?query=text"


@pytest.mark.parametrize(
    ("path", "wanted"), [("/search?qeury=x", "query"), ("/filters?pageSize=3", "page_size")]
)
def test_misspelt_query_parameter(path, wanted):
    found = finding("GET", path)

    assert codes(found) == ["misspelt-key"]
    assert f"Send {wanted} instead of" in found.fix.summary


def test_header_with_underscore():
    found = finding("GET", "/secured", headers={"x_token": "s3cret-value"})

    assert codes(found) == ["header-underscore"]
    assert "s3cret" not in str(found)


def test_shadowed_route_names_the_other():
    found = finding("GET", "/books/bestsellers")

    assert (codes(found), found.confidence) == (["shadowed-route"], "proven")
    assert found.location.function == "book"
    assert found.fix.location.function == "bestsellers"
    assert "GET /books/bestsellers also matches" in found.message
    assert found.fix.summary.startswith("Declare bestsellers (")


def test_refused_path_value_alone_is_no_shadowed_route():
    found = finding("GET", "/books/first")

    assert codes(found) == []
    assert "path.book_id (int) came as " in found.message


def test_own_handler_with_another_status_is_followed():
    other = FastAPI()

    @other.exception_handler(RequestValidationError)
    async def answer(_request: Request, _error: Exception):
        return JSONResponse({}, status_code=400)

    other.add_api_route("/orders", create_order, methods=["POST"])
    recording = Recording(other)
    recording.client().post("/orders", json={"userName": "a", "items": []})

    (found,) = check(recording.last)

    assert found.message.startswith("POST /orders was refused with 400: ")


def test_websocket_refusal():
    recording = Recording(app)
    with pytest.raises(WebSocketDisconnect), recording.client().websocket_connect("/rooms/blue"):
        pass

    (found,) = check(recording.last)

    assert found.message.startswith("WS /rooms/{room} was refused: path.room (int) came as ")
    assert found.location.function == "talk"


def test_many_errors_are_one_finding():
    found = finding("POST", "/orders", json={"items": [{}, {}, {}, {}]})

    assert len(found.evidence["errors"]) == 9
    assert "and 6 more" in found.message


def test_position_in_a_list_does_not_tell_findings_apart():
    first = finding("POST", "/orders", json=GOOD | {"items": [{"quantity": 1}]})
    second = finding("POST", "/orders", json=GOOD | {"items": [GOOD["items"][0], {"quantity": 1}]})

    assert first.cause == second.cause


def test_values_none_shows_no_input():
    recording = Recording(app, values="none")
    recording.client().post(
        "/orders", json=GOOD | {"items": [{"book_id": "s3cret", "quantity": 1}]}
    )

    assert "s3cret" not in str(recording.last)


def test_secret_input_is_not_kept():
    class Secret(BaseModel):
        password: int

    other = FastAPI()

    @other.post("/")
    async def change(secret: Secret):
        return secret

    recording = Recording(other)
    recording.client().post("/", json={"password": "hunter2-value"})

    assert "hunter2" not in str(recording.last)


def test_huge_and_deep_bodies_are_cut():
    deep: dict = {}
    inner = deep
    for _ in range(60):
        inner["x"] = {}
        inner = inner["x"]
    wide = {f"key{number}" * 40: number for number in range(5000)}

    found = finding("POST", "/orders", json=wide | {"deep": deep})

    assert len(found.evidence["body_keys"]) <= 100
    assert len(str(found)) < 20_000


def test_recursive_model_is_read_once():
    other = FastAPI()
    other.add_api_route("/", plant, methods=["POST"])
    recording = Recording(other)
    recording.client().post("/", json={"lable": "x"})

    (found,) = check(recording.last)

    assert codes(found) == ["misspelt-key"]


class Tree(BaseModel):
    label: str
    children: "list[Tree]" = []


async def plant(tree: Tree):
    return tree


async def embedded(amount: Annotated[int, Body(embed=True)]):
    return amount


def test_fix_for_a_scalar_in_the_body_works():
    other = FastAPI()
    other.add_api_route("/pages", embedded, methods=["POST"])

    answer = Recording(other).client().post("/pages", json={"amount": 1})

    assert answer.json() == 1


def test_rejection_is_plain_data():
    recording = Recording(app)
    recording.client().post("/orders", json={"userName": "ada"})

    assert isinstance(recording.last, RequestRecord)
    assert decode_record(encode(recording.last)) == recording.last
