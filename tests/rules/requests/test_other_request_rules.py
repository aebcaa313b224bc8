"""REQ102, REQ103 and EXC102 over records."""

import pytest

from fastapi_diagnostics.record import ExceptionFact, Rejection, RejectionError, SlashRedirect
from fastapi_diagnostics.rules.requests import (
    failed_exception_handler,
    redirected_with_body,
    shadowed_route,
    unhandled_exception,
)
from tests.builders import a_location, a_record

HERE = a_location(file="app/users.py", line=5, function="get_user", code="")
MEANT = a_location(file="app/users.py", line=12, function="get_me", code="")
SHADOWED = (("GET /users/me", MEANT),)
ERROR = RejectionError(loc=("path", "user_id"), type="int_parsing", message="no number")


def test_a_refused_request_names_the_route_that_was_meant() -> None:
    rejection = Rejection(errors=(ERROR,), endpoint=HERE, shadowed_routes=SHADOWED)
    record = a_record(
        route="GET /users/{user_id}",
        status=422,
        rejections=(rejection,),
        shadowed_routes=SHADOWED,
        endpoint=HERE,
    )

    (finding,) = shadowed_route.check(record)

    assert finding.location == HERE
    assert finding.subject == "rejections[0]"
    assert "GET /users/me" in finding.message
    assert finding.fix is not None
    assert finding.fix.location == MEANT


def test_a_404_of_the_wrong_endpoint_is_found_without_a_refusal() -> None:
    record = a_record(status=404, shadowed_routes=SHADOWED, endpoint=HERE)

    (finding,) = shadowed_route.check(record)

    assert "answered 404" in finding.message


def test_a_refusal_that_shadows_nothing_is_silent() -> None:
    record = a_record(rejections=(Rejection(errors=(ERROR,), endpoint=HERE),), status=422)

    assert list(shadowed_route.check(record)) == []


@pytest.mark.parametrize(
    ("redirect", "severity"),
    [
        ({"body": True}, "warning"),
        ({"authorization": True}, "info"),
        ({"authorization": True, "leaves_https": True}, "warning"),
        ({}, None),
        ({"leaves_https": True}, None),
    ],
)
def test_a_redirect_matters_where_something_may_be_lost(redirect, severity) -> None:
    fact = SlashRedirect(to="/items/", route="POST /items/", endpoint=HERE, **redirect)

    found = list(redirected_with_body.check(a_record(slash_redirect=fact, status=307)))

    assert [finding.severity for finding in found] == ([severity] if severity else [])


def a_handler_failure(**changes) -> ExceptionFact:
    defaults = {
        "type": "AttributeError",
        "message": "no title.",
        "phase": "endpoint",
        "location": HERE,
        "causes": ("app.OutOfStock: momo",),
        "raised_by_handler": True,
        "raised_in": MEANT,
    }
    return ExceptionFact(**defaults | changes)


def test_a_failing_handler_is_named_with_what_it_handled() -> None:
    (finding,) = failed_exception_handler.check(
        a_record(status=500, exceptions=(a_handler_failure(),))
    )

    assert finding.location == HERE
    assert "get_me()" in finding.message
    assert "app.OutOfStock: momo." in finding.message
    assert finding.subject == "exceptions[0]"


@pytest.mark.parametrize(
    ("fact", "status"),
    [
        (a_handler_failure(raised_by_handler=False), 500),
        (a_handler_failure(status=410), 410),
        (a_handler_failure(status=503), 503),
        (a_handler_failure(), 409),
        (a_handler_failure(location=None, raised_in=None), 500),
    ],
    ids=["endpoint", "turned into 410", "turned into 503", "handled again", "FastAPI's own"],
)
def test_a_handler_that_did_its_work_is_silent(fact, status) -> None:
    record = a_record(status=status, exceptions=(fact,))

    assert list(failed_exception_handler.check(record)) == []


def test_what_fastapi_cannot_quote_is_no_server_error_of_the_endpoint() -> None:
    fact = a_handler_failure(location=None, raised_in=None)
    refused = Rejection(errors=(ERROR,), endpoint=HERE)

    with_refusal = a_record(status=500, exceptions=(fact,), rejections=(refused,))
    without = a_record(status=500, exceptions=(fact,))

    assert list(unhandled_exception.check(with_refusal)) == []
    assert len(list(unhandled_exception.check(without))) == 1


def test_a_validation_error_of_the_users_own_code_is_told_from_the_requests() -> None:
    fact = ExceptionFact(
        type="pydantic_core._pydantic_core.ValidationError",
        message="1 validation error: title: Field required",
        phase="endpoint",
        location=HERE,
    )

    (finding,) = unhandled_exception.check(a_record(status=500, exceptions=(fact,)))

    assert finding.location == HERE
    assert "your own code" in finding.message
    assert finding.fix is not None
    assert "422" in finding.fix.summary


def test_failures_are_grouped_by_place_and_not_by_message() -> None:
    def cause(message: str) -> tuple:
        fact = ExceptionFact(type="KeyError", message=message, phase="endpoint", location=HERE)
        (finding,) = unhandled_exception.check(a_record(status=500, exceptions=(fact,)))
        return finding.cause, finding.location

    assert cause("'faust'") == cause("'momo'")
