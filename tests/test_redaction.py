"""Redaction: secrets by name and by shape never survive; ordinary words do."""

import random
import string
import time

import pytest

from fastapi_diagnostics.redaction import (
    REDACTED,
    is_secret_name,
    preview,
    redact_path,
    redact_query_string,
    redact_text,
    values_digest,
)

KEY = b"0" * 32
CANARY = "CANARY-7-x9Kq2"


SECRET_NAMES = """
    password hashed_password password_hash Password userPassword passwd pwd db_pass pass secret
    client_secret clientSecret api_key apiKey apikey X-API-Key access_token accessToken
    refresh_token token auth auth_token Authorization private_key session_id sessionid session
    cookie Set-Cookie csrf_token csrfmiddlewaretoken xsrf jwt otp pin cvv card_number cardNumber
    credit_card iban ssn credentials
"""  # noqa: S105 - names, not values
ORDINARY_NAMES = """
    author authors author_id passenger opinion cardinality compass shipping discard session_count
    max_tokens token_count prompt_tokens auth_method secretary spinner pinned boarding class name
    email keyboard monkey bypass passing hash title description
"""


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_secret_names(name) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ORDINARY_NAMES.split())
def test_ordinary_names(name) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        f"password={CANARY}",
        f"connecting with password: {CANARY} failed",
        f'{{"token": "{CANARY}"}}',
        f"{{'api_key': '{CANARY}', 'x': 1}}",
        f"Authorization: Bearer {CANARY}",
        f"Cookie: a=b; sid={CANARY}",
        f"postgresql+asyncpg://me:{CANARY}@db:5432/shop",
        f"failed\n[SQL: SELECT ?]\n[parameters: ('{CANARY}',)]\n(Background on this error at: x)",
        f"[SQL: CALL x('{CANARY}')]",
        f"DETAIL: Key (password)=({CANARY}) already exists.",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
        f"eyJhbGciOiJIUzI1NiJ9.eyJ{CANARY}.sig",
    ],
)
def test_secrets_in_text_do_not_survive(text) -> None:
    shown = redact_text(text)

    assert CANARY not in shown
    assert redact_text(shown) == shown


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "xoxb-123456789012-abcdefGHIJ",
        "sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc",
        "4111 1111 1111 1111",
        "4111111111111111",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY0",
    ],
)
def test_shapes_of_secrets_are_known_without_a_name(secret) -> None:
    assert secret not in redact_text(f"got {secret} from there")
    assert secret not in preview(secret)
    segment = secret.replace("/", "+")
    assert segment not in redact_path(f"/x/{segment}/y")


@pytest.mark.parametrize(
    "text",
    [
        "'NoneType' object has no attribute 'books'",
        "no route for 550e8400-e29b-41d4-a716-446655440000",
        "test_a_very_long_function_name_with_number_12345_in_it failed",
        "Input should be a valid integer, unable to parse string as an integer",
        "basic knowledge and bearer of news",
        "order 4111111111111112 not found",
        "src/fastapi_diagnostics/collectors/sqlalchemy/listeners.py",
    ],
)
def test_ordinary_text_stays(text) -> None:
    assert redact_text(text) == text


def test_control_characters_become_visible() -> None:
    assert redact_text("a\x1b[2J\x00\u202e\ud800b") == "a\\x1b[2J\\x00\\u202e\\ud800b"


def test_long_text_is_cut() -> None:
    assert redact_text("x " * 1000, 20) == ("x " * 10)[:19] + "…"


class Hostile:
    """Raises whatever is asked of it."""

    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __len__ = __eq__ = __hash__ = __iter__ = __repr__


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("ada", "'ada'"),
        (7, "7"),
        (None, "None"),
        (b"12345", "<bytes, 5 bytes>"),
        (Hostile(), "<Hostile>"),
        ([1, Hostile()], "[1, <Hostile>]"),
        ({"name": "ada", "password": "x"}, f"{{'name': 'ada', 'password': {REDACTED}}}"),
        (10**100, "<int, 333 bits>"),
    ],
)
def test_values_are_shown_without_calling_them(value, shown) -> None:
    assert preview(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("ada", "<str, 3 characters>"), ([1, 2], "<list, 2 items>"), (7, "<int>")],
)
def test_values_none_gives_types_and_sizes(value, shown) -> None:
    assert preview(value, mode="none") == shown


def test_canaries_under_secret_keys_never_survive_however_deep() -> None:
    random_ = random.Random(7)  # noqa: S311 - a test wants the same again
    keys = ["password", "secret", "api_key", "authToken", "csrf", "session_id", "jwt", "cookie"]

    def mixed(key: str) -> str:
        cased = "".join(random_.choice([c.lower(), c.upper()]) for c in key)
        return cased if "_" in key or key.islower() else key

    def nested(depth: int) -> object:
        if depth == 0:
            return {random_.choice(["", "my_"]) + mixed(random_.choice(keys)).lower(): CANARY}
        return random_.choice([[nested(depth - 1)], {"a": nested(depth - 1)}, (nested(depth - 1),)])

    survivors = [
        v
        for v in (nested(random_.randint(0, 6)) for _ in range(5000))
        if CANARY in preview(v, limit=500)
    ]

    assert survivors == []


@pytest.mark.parametrize(
    "unit", ["(", "'", "=", "a", "a=", "password=", "4 ", "-----BEGIN ", "eyJa."]
)
def test_time_grows_with_length_only(unit) -> None:
    text = unit * (2**20 // len(unit))

    began = time.thread_time()
    redact_text(text)

    assert time.thread_time() - began < 0.5


def test_random_text_neither_raises_nor_changes_twice() -> None:
    random_ = random.Random(3)  # noqa: S311 - likewise
    alphabet = string.printable + "äß\u2028\ud800"
    for _ in range(500):
        text = "".join(random_.choices(alphabet, k=random_.randint(0, 200)))
        once = redact_text(text)
        assert redact_text(once) == once


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"page=2&name=ada", "page=2&name=ada"),
        (b"token=abc&page=2", f"token={REDACTED}&page=2"),
        (b"q=%zz%ff&flag", "q=%zz\ufffd&flag"),
        (b"", ""),
    ],
)
def test_query_strings_keep_names_and_lose_secrets(raw, shown) -> None:
    assert redact_query_string(raw) == shown


def test_a_query_string_is_bounded() -> None:
    assert len(redact_query_string("&".join(f"k{i}={'v' * 50}" for i in range(500)))) <= 2048


def test_equal_values_have_equal_digests_and_others_differ() -> None:
    assert values_digest((1, "a"), KEY) == values_digest((1, "a"), KEY)
    assert values_digest((1,), KEY) != values_digest(("1",), KEY)
    assert values_digest((1,), KEY) != values_digest((1,), b"1" * 32)
    assert values_digest((Hostile(),), KEY)
