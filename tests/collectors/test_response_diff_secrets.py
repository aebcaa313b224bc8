"""Which texts with secret-looking names are seen going out, and that they are not kept."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_diagnostics.collectors import fastapi as fastapi_collector
from fastapi_diagnostics.collectors import response_diff
from fastapi_diagnostics.collectors.response_diff.near_names import is_near
from fastapi_diagnostics.collectors.response_diff.sent_secrets import secrets_sent
from fastapi_diagnostics.record import encode
from tests.collectors.fastapi_recording import HERE, Recording
from tests.installed import installed

BCRYPT = "$2b$12$" + "a" * 53
ACCOUNT = {"login": "ada", "password_hash": BCRYPT}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (ACCOUNT, [("password_hash", True)]),
        ([ACCOUNT] * 200, [("[].password_hash", True)]),
        ({"a": {"b": [{"client_secret": "k" * 20}]}}, [("a.b[].client_secret", False)]),
        ({"password": "hunter2"}, [("password", False)]),
        ({"users": {"ada@example.org": {"pwd": "x1"}}}, [("users.*.pwd", False)]),
    ],
)
def test_paths_are_found_in_data_and_in_json(as_json, data, found) -> None:
    sent = json.dumps(data).encode() if as_json else data

    assert secrets_sent(sent) == found


@pytest.mark.parametrize(
    "value",
    [None, True, 12, "", "********", "••••", "<hidden>", "[redacted]", "Password", "Your password"],
)
def test_what_is_no_secret_value_is_passed_over(value) -> None:
    assert secrets_sent({"password": value}) == []


def test_odd_json_does_no_harm() -> None:
    deep: object = {"password": "x1"}
    for _ in range(200):
        deep = {"a": deep}

    assert secrets_sent(deep) == []
    assert secrets_sent(b'{"password": "abc' + b"x" * 10_000) == []
    assert len(secrets_sent({f"password{chr(97 + i)}": "x1" for i in range(26)})) == 20


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("emial", "email"),
        ("user_name", "userName"),
        ("SHELF_MARK", "shelf_mark"),
        ("adress", "address"),
        ("colour", "color"),
        ("quantitiy", "quantity"),
        ("recieved_at", "received_at"),
    ],
)
def test_slips_are_near(name, other) -> None:
    assert is_near(name, other)
    assert is_near(other, name)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("rate", "date"),
        ("min", "max"),
        ("total_count", "total_amount"),
        ("created_at", "updated_at"),
        ("email1", "email2"),
        ("tag", "tags"),
        ("items", "item"),
        ("first_name", "last_name"),
        ("price_min", "price_max"),
        ("", "a"),
    ],
)
def test_other_words_are_not(name, other) -> None:
    assert not is_near(name, other)
    assert not is_near(other, name)


CANARY = "canary-4711"


class Strict(BaseModel):
    login: int
    password: int
    pin: list[int]


@pytest.mark.parametrize("model", [Strict, None, dict[str, Any]], ids=["refused", "none", "dict"])
def test_no_value_of_a_secret_gets_into_the_record(model) -> None:
    app = FastAPI()

    @app.get("/", response_model=model)
    async def endpoint() -> Any:
        return {"login": "ada", "password": CANARY, "pin": [CANARY], "token": CANARY}

    with installed(fastapi_collector, response_diff, root=HERE):
        recording = Recording(app)
        recording.client().get("/")

    record = recording.last
    assert record.invalid_responses or record.sent_secrets
    assert CANARY not in encode(record).decode()
