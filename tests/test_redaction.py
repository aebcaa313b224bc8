"""Secrets are found by name and by shape; what is none stays readable; time grows linearly."""

import base64
import datetime as dt
import decimal
import enum
import random
import string
import time
import uuid
from collections import OrderedDict, namedtuple

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr
from sqlalchemy.exc import IntegrityError

from fastapi_diagnostics.redaction import (
    is_secret_name,
    preview,
    redact_path,
    redact_query_string,
    redact_text,
    values_digest,
)

SECRET_NAMES = [
    "password", "password_hash", "hashed_password", "user_password", "PASSWORD", "newPassword",
    "passwd", "pwd", "db_pass", "passphrase", "secret", "client_secret", "secretKey",
    "SECRET_KEY", "secret_name", "api_key", "apikey", "X-Api-Key", "APIKey", "access_token",
    "accessToken", "refresh_token", "auth_token", "csrf_token", "xsrf", "csrfmiddlewaretoken",
    "token", "tokens", "id_token", "authorization", "Proxy-Authorization", "private_key",
    "session_id", "sessionid", "JSESSIONID", "PHPSESSID", "session", "cookie", "Set-Cookie",
    "jwt", "otp", "totp_code", "pin", "user_pin", "userPin", "cvv", "cvv2", "card_number",
    "cardNumber", "credit_card", "iban", "ssn", "credentials", "aws_credentials",
    "user.password", "user[password]", "data-pin", "passwörd", "PaSsWoRd", "reset_password",
    "recovery_codes",
]  # fmt: skip
OTHER_NAMES = [
    "author", "authors", "author_id", "authority", "shipping", "shipping_address", "opinion",
    "pinned", "spin", "opinion_count", "card_id", "cardinality", "discard", "cardboard",
    "dashboard", "cards", "passenger", "passport", "passed", "compass", "bypass", "encompasses",
    "session_count", "session_title", "training_session", "sessions", "token_count",
    "max_tokens", "prompt_tokens", "tokenizer", "token_type", "expires_in",
    "password_updated_at", "password_changed_at", "is_password_set", "has_password",
    "require_token", "class_name", "classname", "secretary", "secretariat", "authenticated",
    "public_key", "primary_key", "key", "keyboard", "otpauth_enabled", "title", "name", "email",
    "id", "isbn", "description", "assassin", "lesson", "passage", "passive", "unauthorized",
    "pass_rate", "boarding_pass",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets_are_recognised(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_names_that_only_contain_the_letters_are_not(name):
    assert not is_secret_name(name)


def test_full_width_letters_are_letters():
    assert is_secret_name("".join(chr(ord(c) + 0xFEE0) for c in "password"))


def test_a_very_long_name_is_judged_by_its_ends():
    assert is_secret_name("x_" * 100_000 + "password")
    assert not is_secret_name("x_" * 100_000)


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAgEA\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"got {JWT} here", "dozjg"),
        (f"got {JWT[:-44]} here", "eyJzdWI"),
        (f"key: {PEM} end", "MIIEow"),
        (PEM[:-20], "MIIEow"),
        ("header Bearer abc-def-123 was sent", "abc-def"),
        ("header bearer correcthorsebattery was sent", "correcthorse"),
        ("Basic YWxhZGRpbjpvcGVuc2VzYW1l", "YWxh"),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIA"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "abcdef"),
        ("xoxb-123456789012-abcdefghijkl", "xoxb"),
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "4eC39"),
        ("cannot connect to postgresql+asyncpg://me:hunter2@db:5432/x", "hunter2"),
        ("cannot connect to postgres://me:hun@ter2@db/x", "ter2"),
        ("card 4111111111111111 refused", "4111"),
        ("card 4111 1111 1111 1111 refused", "1111"),
        ("card 3782-822463-10005 refused", "3782"),
        ("digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "9f86d0"),
        ("value tSf9vY8Q2mZx0Lr7Kc4Wb1Nd6Hg3Jp5E=", "tSf9"),
        ("password=hunter2", "hunter2"),
        ("login(user='a', password='hunter2 and more')", "hunter2"),
        ("login(password='hunter2 never closed", "hunter2"),
        ('{"token": "hunter2", "a": 1}', "hunter2"),
        ("{'user': {'secret': ['hunter2', 'x)']}}", "hunter2"),
        ('"{\\"password\\": \\"hunter2\\"}"', "hunter2"),
        ("Authorization: Digest username=a, response=hunter2", "hunter2"),
        ("Cookie: a=1; theme=hunter2", "hunter2"),
        ("https://x.test/?a=1&token=hunter2#f", "hunter2"),
        ("password: hunter2", "hunter2"),
        ("token=Bearer hunter2", "hunter2"),
        ("password=abc(hunter2)", "hunter2"),
        ("DETAIL:  Key (email, token)=(a@b.c, hunter2) already exists.", "hunter2"),
        ("DETAIL:  Failing row contains (1, hunter2, null).", "hunter2"),
        ("[SQL: INSERT INTO t VALUES ('it''s hunter2')]\n", "hunter2"),
    ],
)
def test_secrets_in_text_are_replaced(text, secret):
    shown = redact_text(text)

    assert secret not in shown
    assert redact_text(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Field required",
        "body.password: Field required",
        "Basic checks failed, Bearer authentication is needed",
        "order 550e8400-e29b-41d4-a716-446655440000 not found",
        "/app/src/shop/services/authors_and_books/listing_2024.py",
        "TestTwoFactorAuthenticationViewSetFactory2 failed",
        "n-plus-one-relationship-in-a-long-kebab-case-name",
        "isbn 9781234567897 sold at 1763887985123",
        "SELECT * FROM users WHERE password = ? AND token=:token_1",
        "password=None, token=null",
        "author=Ursula, shipping=fast",
        "https://example.test/a?b=c",
        "Grüße, 你好\tand\na new line",
        "max_tokens=4096",
        "00000000000000000000000000000000",
    ],
)
def test_other_text_stays_as_it_is(text):
    assert redact_text(text) == text


def test_bound_values_in_errors_of_sqlalchemy_are_left_out():
    error = IntegrityError(
        "INSERT INTO t (a, b) VALUES (?, ?)", ("hunter2]", "\n(x"), ValueError("UNIQUE failed")
    )

    shown = redact_text(f"first {error} then {error}")

    assert "hunter2" not in shown
    assert "parameters" not in shown
    assert shown.count("INSERT INTO t") == 2
    assert shown.count("Background on this error") == 2


def test_invisible_characters_are_written_out():
    shown = redact_text("a\x1b[2J\x00\r\u202eb\u2028\x85\ud800\ttab\nline")

    assert shown == "a\\x1b[2J\\x00\\x0d\\u202eb\\u2028\\x85\\ud800\ttab\nline"
    assert redact_text(shown) == shown


def test_text_is_cut_with_an_ellipsis():
    assert redact_text("word " * 200, 20) == "word word word word…"
    assert len(redact_text("a" * 100_000, 10**9)) <= 16 * 1024


def test_half_a_secret_at_the_end_of_what_is_scanned_is_not_shown():
    text = "a " * 8180 + JWT

    assert "eyJ" not in redact_text(text, 10**9)


def test_redacting_twice_changes_nothing():
    chance = random.Random(7)  # noqa: S311 - reproducible, not secret
    parts = [
        "password=", "token: ", '"secret": "', "'", '"', "\\", "{", ")", " ", "\n", "Bearer ", JWT,
        "<redacted>", "4111111111111111", "://", "@", "eyJ", "[parameters: ", "[SQL: ", "]", "x",
        "(Background on this error at:", "Key (pin)=(", "…", "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    ]  # fmt: skip
    for _ in range(1500):
        text = "".join(chance.choices(parts, k=chance.randint(1, 14)))
        once = redact_text(text, chance.choice((30, 60, 500)))
        limit = max(len(once), 30)

        assert redact_text(once, limit) == once, text


SAFE = 'b=1234567890, "x": [1, 2], Basic 12, user: me '


@pytest.mark.parametrize(
    "unit",
    ["(", "'", '"', "=", ":", "a", "a=", "password=", "token:'", "://", "a://", "eyJ", "1 ", "4",
     "aA0+", "-----BEGIN ", "\\", "Bearer ", "[parameters: ", "Key (", "\x00", "secret={", SAFE],
)  # fmt: skip
def test_time_grows_linearly(unit):
    def seconds(length):
        text = (unit * (length // len(unit) + 1))[:length]
        began = time.thread_time()
        redact_text(text, 10**9)
        return time.thread_time() - began

    small = min(seconds(8_000) for _ in range(3))
    large = min(seconds(16_000) for _ in range(3))

    assert large < 4 * small + 0.002
    assert min(seconds(1_048_576) for _ in range(2)) < 0.5  # only the start is looked at


class Hostile:
    """Any way of asking it for something fails the test."""

    def _fail(self, *_args):
        raise SystemExit("the application's code ran")

    __repr__ = __str__ = __eq__ = __len__ = __iter__ = __hash__ = __bool__ = __format__ = _fail
    __getattribute__ = __index__ = __int__ = __lt__ = _fail


class HostileText(str):
    __slots__ = ()
    __repr__ = __str__ = __len__ = __iter__ = __getitem__ = __eq__ = __hash__ = Hostile._fail


class HostileNumber(int):
    __repr__ = __str__ = __int__ = __index__ = __ge__ = __le__ = __gt__ = Hostile._fail


class HostileDict(dict):
    __repr__ = __len__ = __iter__ = items = keys = __getitem__ = get = Hostile._fail


class HostileList(list):
    __repr__ = __len__ = __iter__ = __getitem__ = Hostile._fail


class Elsewhere(dt.tzinfo):
    utcoffset = tzname = dst = Hostile._fail


class Colour(enum.Enum):
    RED = "hunter2"


class Account(BaseModel):
    name: str


Login = namedtuple("Login", "user password")  # noqa: PYI024 - the classic kind


RENDERED = [
    (None, "None"),
    (True, "True"),
    (7, "7"),
    (1.5, "1.5"),
    ("abc", "'abc'"),
    ("it's", '"it\'s"'),
    ("a\nb\x1b", "'a\\nb\\x1b'"),
    (b"abc", "<bytes, 3 bytes>"),
    (decimal.Decimal("9.90"), "9.90"),
    (dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC), "2026-01-02T03:00:00+00:00"),
    (dt.datetime(2026, 1, 2, tzinfo=Elsewhere()), "<datetime>"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (Colour.RED, "Colour.RED"),
    (SecretStr("hunter2"), "<SecretStr>"),
    (SecretBytes(b"hunter2"), "<SecretBytes>"),
    (Account(name="a"), "<Account>"),
    (Hostile(), "<Hostile>"),
    (HostileText("abc"), "'abc'"),
    (HostileNumber(5), "5"),
    (HostileDict(a=1), "{'a': 1}"),
    (HostileList([Hostile()]), "[<Hostile>]"),
    (Login("a", "hunter2"), "('a', <redacted>)"),
    ([("Cookie", "hunter2"), (b"authorization", "x")],
     "[('Cookie', <redacted>), (<bytes, 13 bytes>, <redacted>)]"),
    ({"name": "password", "value": "hunter2"}, "{'name': 'password', 'value': <redacted>}"),
    (OrderedDict(pin=1, a=2), "{'pin': <redacted>, 'a': 2}"),
    ({1, 2}, "{1, 2}"),
    ((), "()"),
    (4111111111111111, "<redacted>"),
    (JWT, "<redacted>"),
    (10**5000, "<int, 16610 bits>"),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(RENDERED)))
def test_values_are_rendered_without_their_own_code(place):
    value, text = RENDERED[place]  # pytest itself would run the code of a parameter

    shown = preview(value)

    assert shown == text


def test_a_secret_name_hides_the_value_whatever_it_is():
    assert preview("abc", name="password") == "<redacted>"
    assert preview([1, 2], name="pins_and_pin") == "<redacted>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("abc", "<str, 3 characters>"), (b"a", "<bytes, 1 byte>"), ([1], "<list, 1 item>"),
     ({}, "<dict, 0 keys>"), (5, "<int>"), (None, "<None>")],
)  # fmt: skip
def test_without_values_only_type_and_size_are_told(value, shown):
    assert preview(value, mode="none") == shown


def test_large_and_endless_containers_are_bounded():
    cyclic: list = []
    cyclic.append(cyclic)

    assert preview(cyclic) == "[[[[[[[…]]]]]]]"
    for value in ([list(range(10**5))] * 50, dict.fromkeys(range(1000), "x" * 10**4), "x" * 10**7):
        assert len(preview(value)) == 80


ROOTS = [
    "password", "passwd", "pwd", "secret", "token", "auth", "credential", "api_key", "private_key",
    "session", "cookie", "csrf", "xsrf", "jwt", "otp", "pin", "cvv", "card", "iban", "ssn", "pass",
]  # fmt: skip


def _secret_name(chance):
    name = chance.choice(ROOTS)
    name = chance.choice((str.upper, str.lower, str.title))(name)
    before = chance.choice(("", "user_", "x-", "My ", "old.", "web_", "_"))
    after = chance.choice(("", "_value", "-hash", " 2", "_old", "_"))
    return before + name.replace("_", chance.choice(("_", "-", ""))) + after


def _nested(chance, secret, depth):
    if depth == 0:
        return {_secret_name(chance): chance.choice((secret, [secret], {"x": secret}))}
    inner = _nested(chance, secret, depth - 1)
    return chance.choice(([inner], {"a": inner}, (1, inner), {"z": 1, "items": [inner, 2]}))


def test_canaries_under_secret_names_never_survive():
    chance = random.Random(11)  # noqa: S311 - reproducible, not secret
    for number in range(3000):
        canary = f"CANARY{number}" + "".join(chance.choices(string.ascii_lowercase, k=6))
        payload = _nested(chance, canary, chance.randint(0, 6))

        assert canary not in preview(payload, limit=100_000), payload
        assert canary not in redact_text(str(payload), 10_000), payload


@pytest.mark.parametrize(
    "name",
    [
        "OrderItemCreateInDbBaseOutV2Response", "canUserEditOrDeleteItemsOfOtherUsers",
        "isItOkToSendAnSmsOrMailToTheUser", "iAmAFieldWithManyShortWordsInItAsYouSee",
        "getAllOfTheItemsForAUserByIdOrByName",
    ],
)  # fmt: skip
def test_long_names_of_short_words_are_no_keys(name):
    assert redact_text(f"{name} is missing") == f"{name} is missing"


def test_random_texts_of_letters_and_digits_are_keys():
    chance = random.Random(5)  # noqa: S311 - reproducible, not secret
    letters = string.ascii_letters + string.digits

    missed = sum(
        redact_text("".join(chance.choices(letters, k=43))) != "<redacted>" for _ in range(1000)
    )

    assert missed <= 10


def test_query_strings_keep_their_names():
    raw = b"page=2&q=%E4%BD%A0+a%26b&token=hunter2&user%5Bpin%5D=1234&flag&bad=%zz%ff"

    shown = redact_query_string(raw)

    assert shown == "page=2&q=你 a%26b&token=<redacted>&user[pin]=<redacted>&flag&bad=%25zz\ufffd"
    assert redact_query_string("a=12&b=", mode="none") == "a=<2 characters>&b="
    assert redact_query_string(raw.decode("latin-1")) == shown
    assert "eyJ" not in redact_query_string(f"x={JWT}&{JWT}=1")
    assert redact_query_string("") == ""


@pytest.mark.parametrize(
    "name", ["key", "code", "sig", "signature", "X-Amz-Signature", "X-Goog-Signature", "hmac"]
)
def test_keys_codes_and_signatures_in_urls_are_secrets_where_they_look_like_it(name):
    assert redact_query_string(f"{name}=Kn8b51af6b7bzQ&x=1") == f"{name}=<redacted>&x=1"
    assert redact_query_string(f"{name}=author") == f"{name}=author"
    assert redact_query_string(f"{name}=42") == f"{name}=42"


@pytest.mark.parametrize("name", ["monkey", "postcode", "zipcodes", "design", "keys_of"])
def test_names_that_only_end_like_a_key_are_none(name):
    assert redact_query_string(f"{name}=Kn8b51af6b7bzQ") == f"{name}=Kn8b51af6b7bzQ"


def test_query_strings_are_bounded():
    assert redact_query_string("&".join(["a=1"] * 200)) == "&".join(["a=1"] * 100) + "…"
    long = redact_query_string("a=" + "b" * 5000)

    assert long == "a=…"
    assert len(redact_query_string("&".join(["ab=%01%02%03"] * 99))) <= 2048
    assert "\x01" not in redact_query_string("a=%01")


def test_paths_lose_segments_that_look_like_secrets():
    key = base64.b64encode(bytes(range(100, 140))).decode().replace("/", "_")

    assert redact_path(f"/u/{JWT}/x") == "/u/<redacted>/x"
    assert redact_path(f"/u/{key}") == "/u/<redacted>"
    assert redact_path("/reset-password/aZ81kk22Qx") == "/reset-password/<redacted>"
    assert redact_path("/token/refresh") == "/token/refresh"
    assert redact_path(f"/session/{uuid.UUID(int=7)}") == f"/session/{uuid.UUID(int=7)}"
    assert redact_path("/a\n\x1b[2J/b\ud800") == "/a%0A\\x1b[2J/b\\ud800"
    assert redact_path("/authors/12/books") == "/authors/12/books"
    assert len(redact_path("/a" * 100_000)) == 512


KEY = b"k" * 16


def test_equal_values_have_equal_digests():
    zone = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    values = [1, "a", None, 1.5, b"x", zone, uuid.UUID(int=1), decimal.Decimal(1), Colour.RED]

    assert values_digest(values, KEY) == values_digest(tuple(values), KEY)
    assert values_digest({"a": 1, "b": [2]}, KEY) == values_digest({"b": (2,), "a": 1}, KEY)
    assert values_digest({1, 2}, KEY) == values_digest({2, 1}, KEY)
    assert values_digest(dict.fromkeys([3]).values(), KEY) == values_digest([None], KEY)
    assert len(values_digest(values, KEY)) == 16


def test_different_values_types_and_keys_have_different_digests():
    different = [
        [1], [True], [1.0], ["1"], [b"1"], [decimal.Decimal(1)], [None], [], [[]], [1, 1], [{1}],
        ["a,b"], ["a", "b"], [{"a": 1}], [Colour.RED], ["hunter2"], [["a"], "b"], ["a", ["b"]],
    ]  # fmt: skip

    digests = {values_digest(values, KEY) for values in different}

    assert len(digests) == len(different)
    assert values_digest([1], KEY) != values_digest([1], b"other")


def test_digests_never_run_or_raise_anything():
    thing = Hostile()
    cyclic: list = []
    cyclic.append(cyclic)

    assert values_digest([thing], KEY) == values_digest([thing], KEY)
    assert values_digest([thing], KEY) != values_digest([Hostile()], KEY)
    assert values_digest([HostileText("a")], KEY) == values_digest(["a"], KEY)
    assert values_digest(cyclic, b"x" * 200)
    assert values_digest(5, b"")
    assert values_digest(["\ud800"], KEY)
