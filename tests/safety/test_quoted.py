"""Secrets that a text quotes without their names are found by the value it is about."""

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from fastapi_diagnostics.faults import Faults
from fastapi_diagnostics.redaction import redact_path, redact_text, secrets_in, without_secrets
from fastapi_diagnostics.tracebacks import safe_message


@pytest.mark.parametrize(
    ("value", "path", "secrets"),
    [
        ("hunter2", ("body", "password"), {"hunter2"}),
        ("hunter2", ("body", "tokens", 0), {"hunter2"}),
        (b"hunter2", ("body", "pin"), {"hunter2"}),
        (1234, ("query", "pin"), {"1234"}),
        (" it's\n", ("secret",), {" it's\n", "it's", '" it\'s\\n"'[1:-1]}),
        ({"user": {"api_key": ["a1b2c3"], "name": "me"}}, ("body",), {"a1b2c3"}),
        ({"credentials": {"value": "x"}}, (), {"x"}),
        ({"author": "me", "max_tokens": 5, "password": None}, ("body",), set()),
        (object(), ("password",), set()),
    ],
)
def test_secrets_are_collected_by_the_names_above_them(value, path, secrets) -> None:
    assert secrets_in(value, path) == secrets


def test_a_body_of_any_size_and_depth_is_read_within_bounds() -> None:
    deep: object = {"password": "x"}
    for _ in range(100_000):
        deep = [deep]
    wide = {f"token{number}": str(number) for number in range(100_000)}

    assert secrets_in(deep) == frozenset()
    assert len(secrets_in(wide)) <= 110


def test_short_secrets_are_replaced_only_where_they_stand_alone() -> None:
    text = without_secrets("Assertion: 'a' and abacus", {"a"})

    assert text == "Assertion: '<redacted>' and abacus"


def test_a_validation_error_outside_a_request_does_not_quote_a_secret() -> None:
    class Login(BaseModel):
        password: str
        author: str = ""

        @field_validator("password", "author")
        @classmethod
        def refused(cls, value: str) -> str:
            raise ValueError(f"{value} is refused")

    with pytest.raises(ValidationError) as raised:
        Login(password="hunter2", author="Ursula")  # noqa: S106 - the secret of this test

    message = safe_message(raised.value)
    assert "hunter2" not in message
    assert "Ursula is refused" in message


def test_a_sentence_goes_on_behind_what_was_redacted_before() -> None:
    sentence = "500 because ValueError (Cookie: <redacted>) was raised in login. Fix: log in."

    assert redact_text(sentence) == sentence
    assert "dark" not in redact_text("Cookie: <redacted>; theme=dark")
    assert "me" not in redact_text("Authorization: <redacted>, user=me")


def test_only_the_segments_known_to_be_plain_are_shown() -> None:
    assert redact_path("/v1/verify/abc/7", {"verify", "7", ""}) == "/<redacted>/verify/<redacted>/7"


def test_a_failure_of_ours_does_not_tell_what_the_application_said() -> None:
    faults = Faults()

    faults.note("somewhere", ValueError("password=hunter2 of author=Ursula"))

    assert faults.all()[0].last == "ValueError: password=<redacted> of author=Ursula"
