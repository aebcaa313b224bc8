"""APP106, APP107 and REQ102 at startup: what routes say of one another."""

import pytest

from fastapi_diagnostics.rules.app import duplicate_route, missing_response_model
from fastapi_diagnostics.rules.catalogue import chosen_rules
from fastapi_diagnostics.rules.requests import shadowed_route
from tests.rules.app.facts import a_route, an_app, overlapping


def test_the_second_of_two_equal_routes_is_found() -> None:
    app = an_app(
        a_route("GET /books", name="books"),
        a_route("GET /books", name="again", overlaps=overlapping(0, same_path=True)),
    )

    [finding] = duplicate_route.check(app)

    assert finding.location.function == "again"
    assert finding.severity == "warning"
    assert "is never reached: books (app/invoices.py) has the same path" in finding.message


def test_a_router_included_twice_is_a_note() -> None:
    app = an_app(
        a_route("GET /books"),
        a_route("GET /books", overlaps=overlapping(0, same_path=True)),
    )

    [finding] = duplicate_route.check(app)

    assert finding.severity == "info"
    assert "included twice" in finding.message


def test_only_the_methods_that_both_have_are_named() -> None:
    app = an_app(
        a_route("GET /books", name="books"),
        a_route("GET|POST /books", name="both", overlaps=overlapping(0, "GET", same_path=True)),
    )

    [finding] = duplicate_route.check(app)

    assert finding.message.startswith("GET /books of both")


def test_routes_with_one_operation_id_are_found_once() -> None:
    app = an_app(
        a_route("GET /a", operation_id="list"),
        a_route("GET /b", operation_id="list", name="b"),
        a_route("GET /c", operation_id="list", name="c"),
    )

    [finding] = duplicate_route.check(app)

    assert finding.location.function == "b"
    assert "was made for GET /a, GET /b and GET /c" in finding.message


def test_an_id_that_somebody_wrote_is_to_be_changed_there() -> None:
    app = an_app(
        a_route("GET /a", operation_id="list", explicit_id=True),
        a_route("GET /b", operation_id="list", explicit_id=True),
    )

    [finding] = duplicate_route.check(app)

    assert "is written at" in finding.message
    assert finding.fix.summary == "Give each operation its own id."


@pytest.mark.parametrize(
    "routes",
    [
        (a_route("GET /a"), a_route("POST /a")),
        (a_route("GET /a", operation_id=""), a_route("GET /b", operation_id="")),
        (a_route("GET /docs"), a_route("GET /docs", location=None, overlaps=overlapping(0))),
    ],
    ids=["other method", "not in the schema", "a library's own behind"],
)
def test_routes_that_differ_are_in_order(routes) -> None:
    assert list(duplicate_route.check(an_app(*routes))) == []


def test_a_shadowed_route_is_told_at_the_one_that_takes_its_url() -> None:
    app = an_app(
        a_route("GET /users/{user_id}", name="get_user"),
        a_route("GET /users/me", name="me", overlaps=overlapping(0)),
    )

    [finding] = shadowed_route.check(app)

    assert finding.location.function == "get_user"
    assert finding.fix.location.function == "me"
    assert finding.cause == "GET /users/me"
    assert finding.severity == "warning"
    assert "GET /users/me is never reached: GET /users/{user_id}" in finding.message


def test_a_mount_that_takes_everything_is_one_finding_at_the_first_route_behind_it() -> None:
    behind = [a_route(f"GET /r{n}", name=f"r{n}", overlaps=overlapping(0)) for n in range(8)]
    mount = a_route("GET ", kind="mount", methods=(), location=None)

    [finding] = shadowed_route.check(an_app(mount, *behind))

    assert finding.location.function == "r0"
    assert "GET /r0 and 7 more routes are never reached: mount / is declared" in finding.message
    assert len(finding.evidence["shadowed"]) == 8


def test_equal_paths_are_not_called_shadowed() -> None:
    app = an_app(
        a_route("GET /books"),
        a_route("GET /books", overlaps=overlapping(0, same_path=True)),
    )

    assert list(shadowed_route.check(app)) == []


def test_a_route_without_any_declaration_of_its_answer_is_found() -> None:
    [finding] = missing_response_model.check(an_app(a_route("GET /books", name="books")))

    assert finding.severity == "info"
    assert finding.message.startswith("GET /books has neither")


@pytest.mark.parametrize(
    "changes",
    [
        {"response_model": "Book"},
        {"answers_itself": True},
        {"operation_id": ""},
        {"kind": "websocket", "operation_id": ""},
    ],
    ids=["declared", "a response object", "not in the schema", "websocket"],
)
def test_routes_without_need_of_a_response_model_are_in_order(changes) -> None:
    assert list(missing_response_model.check(an_app(a_route("GET /books", **changes)))) == []


def test_the_response_model_is_asked_for_only_if_selected() -> None:
    def codes(*select: str) -> set[str]:
        return {loaded.rule.code for loaded in chosen_rules(select, ())}

    assert "APP106" not in codes()
    assert "APP106" in codes("APP106")
