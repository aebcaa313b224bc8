"""APP105: a route that is open while its siblings are not."""

import pytest

from fastapi_diagnostics.app_record import DependencyFact
from fastapi_diagnostics.rules.app.unguarded_route import check
from tests.builders import a_location
from tests.rules.app.facts import a_route, an_app

GUARDED = (
    a_route("GET /invoices", guarded=True),
    a_route("GET /invoices/{id}", guarded=True),
    a_route("POST /invoices", guarded=True),
)


def found(*routes, **changes):
    return list(check(an_app(*routes, **changes)))


def test_an_open_route_among_guarded_ones_is_found() -> None:
    [finding] = found(*GUARDED, a_route("DELETE /invoices/{id}", name="delete_invoice"))

    assert finding.location.function == "delete_invoice"
    assert (finding.severity, finding.confidence) == ("info", "likely")
    assert "3 routes beside it do" in finding.message
    assert finding.fix.code == "dependencies=[Depends(require_user)]"


def test_versions_and_api_prefixes_do_not_hide_the_resource() -> None:
    routes = [a_route(f"GET /api/v1/invoices/{n}", guarded=True) for n in range(3)]

    [finding] = found(*routes, a_route("GET /api/v1/invoices/export", name="export"))

    assert finding.location.function == "export"


def test_a_scheme_has_no_name_to_write_into_the_fix() -> None:
    scheme = DependencyFact(name="HTTPBearer", guarding="guard")
    routes = [a_route(f"GET /invoices/{n}", dependencies=(scheme,)) for n in range(3)]

    [finding] = found(*routes, a_route("GET /invoices/export"))

    assert finding.fix.code == ""


OPTIONAL = DependencyFact(name="optional_user", guarding="optional")


@pytest.mark.parametrize(
    "route",
    [
        a_route("POST /invoices/login"),
        a_route("GET /invoices/health"),
        a_route("POST /invoices/webhook"),
        a_route("GET /invoices/x", name="public_invoice"),
        a_route("GET /invoices/x", dependencies=(OPTIONAL,)),
        a_route("GET /invoices/x", looks_itself=True),
        a_route("GET /orders"),
        a_route("GET /invoices/x", location=a_location(file="app/other.py")),
        a_route("GET /invoices/x", location=None),
        a_route("GET /invoices/x", kind="websocket"),
        a_route("GET /invoices/x", guarded=True),
    ],
    ids=[
        *("login", "health", "webhook", "public by name", "optional", "looks itself"),
        *("other resource", "other module", "library", "websocket", "guarded"),
    ],
)
def test_routes_that_may_be_open_are_in_order(route) -> None:
    assert found(*GUARDED, route) == []


def test_free_reading_beside_guarded_writing_is_in_order() -> None:
    assert (
        found(
            a_route("POST /books", guarded=True),
            a_route("PUT /books/{id}", guarded=True),
            a_route("DELETE /books/{id}", guarded=True),
            a_route("GET /books"),
            a_route("GET /books/{id}"),
        )
        == []
    )


def test_half_of_them_open_may_be_meant() -> None:
    assert found(*GUARDED[:2], a_route("GET /invoices/a"), a_route("GET /invoices/b")) == []


def test_one_guarded_sibling_is_no_custom() -> None:
    assert found(GUARDED[0], a_route("DELETE /invoices/{id}")) == []


def test_behind_a_middleware_for_authentication_nothing_is_judged() -> None:
    routes = (*GUARDED, a_route("DELETE /invoices/{id}"))

    assert found(*routes, guarding_middleware=("AuthenticationMiddleware",)) == []
