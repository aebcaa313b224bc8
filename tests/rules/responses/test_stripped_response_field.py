"""RES101 over records."""

from typing import Any

from fastapi_diagnostics.record import RequestRecord, ResponseDiff, StrippedField
from fastapi_diagnostics.rules.responses.stripped_response_field import check
from tests.builders import a_location, a_record

ENDPOINT = a_location(file="app/routes.py", line=10, function="margins", code="")
SERVICE = a_location(file="app/service.py", line=30, function="rows", code="")


def a_field(path: str, **changes: Any) -> StrippedField:
    defaults: dict[str, Any] = {
        "source": "dict",
        "owner": "dict",
        "model": "BookOut",
        "type_name": "float",
        "model_module": "app.schemas",
        "model_bases": "BaseModel",
        "written_in": ENDPOINT,
    }
    return StrippedField(path=path, **defaults | changes)


def a_diff(*fields: StrippedField) -> RequestRecord:
    diff = ResponseDiff(endpoint=ENDPOINT, model="list[BookOut]", fields=fields)
    return a_record(response_diffs=(diff,))


def test_keys_that_the_endpoint_wrote_are_one_warning() -> None:
    record = a_diff(a_field("[].margin"), a_field("[].author.email", model="AuthorOut"))

    (finding,) = check(record)

    assert finding.severity == "warning"
    assert finding.location == ENDPOINT
    assert finding.anchors == ("margin", "email")
    assert finding.evidence["paths"] == ["[].margin", "[].author.email"]
    for word in ("margins()", "`[].margin`", "BookOut", "AuthorOut", "never receive"):
        assert word in finding.message
    assert finding.fix is not None
    assert finding.fix.code == "class BookOut(BaseModel):\n    ...\n    margin: float"


def test_a_field_that_was_lost_at_several_depths_is_declared_once() -> None:
    record = a_diff(
        a_field("parent_id", type_name=""),
        a_field("replies[].parent_id", type_name="int"),
        a_field("replies[].replies[].parent_id", type_name="int"),
    )

    (finding,) = check(record)

    assert finding.fix is not None
    assert finding.fix.code == "class BookOut(BaseModel):\n    ...\n    parent_id: int | None"


def test_a_key_that_a_called_function_wrote_is_placed_there() -> None:
    (finding,) = check(a_diff(a_field("[].margin", written_in=SERVICE)))

    assert finding.severity == "warning"
    assert finding.location == SERVICE
    assert "written in rows()" in finding.message
    assert finding.anchors == ("margin",)


def test_what_objects_or_foreign_dicts_hold_is_one_note() -> None:
    (finding,) = check(
        a_diff(
            a_field("[].isbn", source="orm", owner="Book", written_in=None),
            a_field("[].stock", source="orm", owner="Book", written_in=None),
            a_field("[].other", written_in=None),
        )
    )

    assert finding.severity == "info"
    assert finding.location == ENDPOINT
    assert finding.anchors == ()
    assert "a Book, a dict with" in finding.message


def test_keys_and_columns_of_one_answer_are_told_apart() -> None:
    findings = list(
        check(a_diff(a_field("margin"), a_field("isbn", source="orm", owner="B", written_in=None)))
    )

    assert [finding.severity for finding in findings] == ["warning", "info"]
    assert len({finding.cause for finding in findings}) == 2


def test_a_close_name_is_left_to_its_own_rule() -> None:
    assert list(check(a_diff(a_field("userName", near="user_name")))) == []


def test_a_derived_class_is_told_as_a_way_to_hold_back() -> None:
    (finding,) = check(
        a_diff(a_field("note", source="object", owner="Db", written_in=None, subclass=True))
    )

    assert finding.severity == "info"
    assert "on purpose" in finding.message


def test_secrets_and_relationships_are_no_findings() -> None:
    record = a_diff(
        a_field("hashed_password", secret=True),
        a_field("books", source="orm", relationship=True, written_in=None),
    )

    assert list(check(record)) == []
