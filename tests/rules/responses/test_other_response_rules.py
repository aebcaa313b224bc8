"""RES102 to RES105 over records."""

from typing import Any

import pytest

from fastapi_diagnostics.record import (
    InvalidResponse,
    RejectionError,
    RequestRecord,
    ResponseDiff,
    SentSecret,
    StrippedField,
)
from fastapi_diagnostics.rules.responses import (
    invalid_response,
    misspelt_response_field,
    sensitive_response_field,
    stripped_relationship,
)
from tests.builders import a_location, a_query, a_record

ENDPOINT = a_location(file="app/routes.py", line=10, function="author", code="")


def a_diff(field: StrippedField, **record: Any) -> RequestRecord:
    diff = ResponseDiff(endpoint=ENDPOINT, model="AuthorOut", fields=(field,))
    return a_record(response_diffs=(diff,), **record)


def a_relationship(**changes: Any) -> StrippedField:
    defaults: dict[str, Any] = {
        "path": "books",
        "source": "orm",
        "owner": "Author",
        "model": "AuthorOut",
        "relationship": True,
        "attribute": "Author.books",
        "model_bases": "BaseModel",
    }
    return StrippedField(**defaults | changes)


def a_key(path: str, near: str | None, **changes: Any) -> StrippedField:
    defaults: dict[str, Any] = {"source": "dict", "owner": "dict", "model": "AuthorOut"}
    return StrippedField(path=path, near=near, **defaults | changes)


EAGER = a_query(kind="eager", attribute="Author.books", rows=8, duration_ms=2.5)


def test_a_relationship_loaded_for_nothing_is_a_warning_with_its_cost() -> None:
    (finding,) = stripped_relationship.check(a_diff(a_relationship(), queries=(EAGER,)))

    assert (finding.severity, finding.confidence) == ("warning", "likely")
    assert finding.location == ENDPOINT
    assert "2.5 ms" in finding.message
    assert finding.evidence["paths"] == ["books"]
    assert (finding.evidence["statements"], finding.evidence["rows"]) == (1, 8)


@pytest.mark.parametrize(
    ("field", "queries"),
    [
        (a_relationship(read=True), (EAGER,)),
        (a_relationship(), ()),
        (a_relationship(), (a_query(kind="lazy", attribute="Author.books"),)),
        (a_relationship(), (a_query(kind="eager", attribute="Shop.books"),)),
    ],
    ids=["read", "joined", "lazy", "of another class"],
)
def test_a_relationship_that_may_have_its_use_is_a_note(field, queries) -> None:
    (finding,) = stripped_relationship.check(a_diff(field, queries=queries))

    assert finding.severity == "info"


def test_a_table_that_is_its_own_model_is_told_why() -> None:
    field = a_relationship(model="Author", owner="Author")

    (finding,) = stripped_relationship.check(a_diff(field, queries=(EAGER,)))

    assert "columns only" in finding.message
    assert finding.fix is not None
    assert "AuthorPublic" in finding.fix.code


def test_columns_and_secrets_are_no_relationships() -> None:
    record = a_diff(a_relationship(relationship=False))
    secret = a_diff(a_relationship(secret=True))

    assert list(stripped_relationship.check(record)) == []
    assert list(stripped_relationship.check(secret)) == []


@pytest.mark.parametrize(
    ("path", "near", "confidence"),
    [("items[].emial", "email", "likely"), ("userName", "user_name", "proven")],
)
def test_a_misspelt_key_names_both(path, near, confidence) -> None:
    (finding,) = misspelt_response_field.check(a_diff(a_key(path, near, written_in=ENDPOINT)))

    assert finding.severity == "warning"
    assert finding.confidence == confidence
    assert finding.evidence["paths"] == [path]
    assert finding.evidence["declared_as"] == near
    assert finding.anchors == (path.rpartition(".")[2],)
    assert f"`{near}`" in finding.message


def test_a_key_without_a_close_one_is_not_misspelt() -> None:
    assert list(misspelt_response_field.check(a_diff(a_key("margin", None)))) == []


def a_sent(*paths: str, hashed: bool = False, method: str = "GET", **rest: Any) -> RequestRecord:
    secrets = tuple(
        SentSecret(path=path, hashed=hashed, endpoint=ENDPOINT, model="Account") for path in paths
    )
    return a_record(sent_secrets=secrets, method=method, **rest)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("password", "POST"),
        ("items[].hashed_password", "GET"),
        ("passwordHash", "GET"),
        ("user.client_secret", "GET"),
        ("private_key", "GET"),
        ("card.cvv", "POST"),
        ("reset_token", "POST"),
    ],
)
def test_what_should_stay_is_reported(path, method) -> None:
    (finding,) = sensitive_response_field.check(a_sent(path, method=method))

    assert finding.severity == "warning"
    assert finding.evidence["paths"] == [path]
    assert finding.location == ENDPOINT


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("access_token", "POST"),
        ("refresh_token", "POST"),
        ("token", "GET"),
        ("csrf_token", "GET"),
        ("next_page_token", "GET"),
        ("api_key", "POST"),
        ("client_secret", "POST"),
        ("temporary_password", "POST"),
        ("secret_name", "GET"),
        ("password_hint", "GET"),
        ("session_id", "GET"),
    ],
)
def test_what_answers_are_made_of_is_not(path, method) -> None:
    assert list(sensitive_response_field.check(a_sent(path, method=method))) == []


def test_a_hash_is_certain_and_all_paths_are_one_finding() -> None:
    (finding,) = sensitive_response_field.check(
        a_sent("password_hash", "old.password_hash", hashed=True)
    )

    assert finding.confidence == "proven"
    assert finding.evidence["paths"] == ["password_hash", "old.password_hash"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("password", "out of Account"),
        ("[].password", "out of Account"),
        ("[].data.w.password", "out of what `data.w` is declared as"),
        ("users[].password", "out of what `users[]` is declared as"),
    ],
)
def test_the_field_is_taken_out_of_what_declares_it(path, words) -> None:
    (finding,) = sensitive_response_field.check(a_sent(path))

    assert words in finding.fix.summary


def test_an_answer_without_a_model_is_not_told_to_change_one() -> None:
    secret = SentSecret(path="password", hashed=False, endpoint=ENDPOINT, model="dict[str, Any]")

    (finding,) = sensitive_response_field.check(a_record(sent_secrets=(secret,)))

    assert "through its response model" not in finding.message
    assert finding.fix is not None
    assert "response model without `password`" in finding.fix.summary


def an_invalid(*errors: RejectionError, status: int = 500) -> RequestRecord:
    invalid = InvalidResponse(errors=errors, model="BookOut", endpoint=ENDPOINT, exception=2)
    return a_record(invalid_responses=(invalid,), status=status)


def an_error(*loc: str, kind: str = "string_type", came: str = "int", **rest: Any):
    return RejectionError(
        loc=loc, type=kind, message="Input should be a valid string", came=came, **rest
    )


@pytest.mark.parametrize(
    ("error", "says", "fix"),
    [
        (an_error(came="NoneType", kind="model_type"), "it returned None", "404"),
        (an_error("title", came="NoneType"), "title is None", "be null"),
        (an_error("title", came="coroutine"), "title is a value of type coroutine", "Put `await`"),
        (an_error("items", "3", "title", input="5"), "items[].title is a value of type int", ""),
        (
            an_error("title", kind="missing", came="dict", keys=("titel",)),
            "titel was returned",
            "instead of titel",
        ),
        (an_error("title", kind="missing", came="dict"), "title is missing", "default"),
    ],
)
def test_an_invalid_response_says_what_came_and_what_helps(error, says, fix) -> None:
    (finding,) = invalid_response.check(an_invalid(error))

    assert finding.severity == "error"
    assert finding.subject == "exceptions[2]"
    assert says in finding.message
    assert finding.fix is not None
    assert fix in finding.fix.summary


def test_positions_do_not_tell_two_failures_apart() -> None:
    (first,) = invalid_response.check(an_invalid(an_error("items", "1", "title")))
    (second,) = invalid_response.check(an_invalid(an_error("items", "7", "title")))

    assert first.cause == second.cause


def test_an_invalid_response_that_was_answered_below_500_is_silent() -> None:
    assert list(invalid_response.check(an_invalid(an_error("title"), status=404))) == []
