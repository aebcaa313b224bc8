"""APP101: handlers that the router's own 404 and 405 pass by."""

import pytest

from fastapi_diagnostics.record import BypassedHandler
from fastapi_diagnostics.rules.app.router_http_exception_unhandled import (
    OURS,
    STARLETTES,
    check,
)
from tests.builders import a_location, a_record
from tests.rules.app.facts import a_handler, an_app

DEFAULT = a_handler(STARLETTES, name="http_exception_handler", builtin=True, location=None)


def found(*handlers):
    return list(check(an_app(handlers=handlers)))


def test_a_handler_for_the_subclass_only_is_found_where_it_is_defined() -> None:
    [finding] = found(DEFAULT, a_handler(OURS))

    assert finding.location == a_location(file="app/errors.py", function="as_problem")
    assert "404 for an unknown path and 405 for a wrong method" in finding.message
    assert "@app.exception_handler(StarletteHTTPException)" in finding.fix.code


def test_an_application_mounted_below_is_named() -> None:
    [finding] = found(a_handler(OURS, application="/admin"))

    assert "of the application at /admin" in finding.message


@pytest.mark.parametrize(
    "handlers",
    [
        (DEFAULT,),
        (a_handler(STARLETTES),),
        (a_handler(OURS), a_handler(STARLETTES)),
        (DEFAULT, a_handler(OURS), a_handler("404"), a_handler("405")),
        (DEFAULT, a_handler("app.errors.AppError")),
        (DEFAULT, a_handler(OURS, builtin=True)),
    ],
    ids=["none", "starlette's", "both", "by status", "own exception", "the framework's own"],
)
def test_handlers_that_leave_nothing_out_are_in_order(handlers) -> None:
    assert found(*handlers) == []


def test_with_a_handler_for_404_only_405_is_left() -> None:
    [finding] = found(DEFAULT, a_handler(OURS), a_handler("404"))

    assert "405 for a wrong method are" in finding.message
    assert "404" not in finding.message


def test_a_handler_of_another_application_does_not_help() -> None:
    [finding] = found(a_handler(OURS), a_handler(STARLETTES, application="/admin"))

    assert finding.location.file == "app/errors.py"


def test_the_request_that_it_bit_is_told_with_the_same_cause() -> None:
    handler = BypassedHandler(
        name="as_problem", location=a_location(file="app/errors.py", function="as_problem")
    )
    record = a_record(path="/nowhere", status=404, bypassed_handlers=(handler,))

    [bitten] = check(record)
    [standing] = found(DEFAULT, a_handler(OURS))

    assert "GET /nowhere was answered with 404" in bitten.message
    assert (bitten.location, bitten.cause) == (standing.location, standing.cause)
