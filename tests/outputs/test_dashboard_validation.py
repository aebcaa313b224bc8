"""What the page of refused requests tells."""

import msgspec
import pytest

from fastapi_diagnostics.record import ExpectedField, Location, Rejection, RejectionError
from fastapi_diagnostics.rules.requests import rejected_request
from fastapi_diagnostics.store.protocol import Report
from tests.builders import a_location, a_record, a_report
from tests.outputs.examples import many_reports
from tests.outputs.pages import links, parsed, words

QUANTITY = ExpectedField(
    path=("body", "items", "quantity"),
    name="quantity",
    type="int",
    required=True,
    constraints=(">= 1",),
)
NAME = ExpectedField(path=("body", "user_name"), name="user_name", type="str", required=True)


def an_error(*loc: str, **changes) -> RejectionError:
    defaults = {"type": "int_parsing", "message": "Input should be a valid integer"}
    return RejectionError(loc=loc, **defaults | changes)


def missing(*loc: str, keys: tuple[str, ...] = ()) -> RejectionError:
    return an_error(*loc, type="missing", message="Field required", keys=keys)


def refused(*errors: RejectionError, id: str = "r1", **changes) -> Report:  # noqa: A002 - as stored
    """Store a refusal together with what REQ101 says of it."""
    about = {"content_type": "application/json", "expects": "json", "body_kind": "json"}
    facts = {"fields": (QUANTITY, NAME), "endpoint": a_location(file="app/orders.py", line=9)}
    given = {key: changes.pop(key) for key in tuple(changes) if key in Rejection.__struct_fields__}
    rejection = Rejection(errors=errors, **about | facts | given)
    fields = {"method": "POST", "path": "/orders", "route": "POST /orders", "status": 422}
    record = a_record(id=id, rejections=(rejection,), **fields | changes)
    findings = [
        msgspec.structs.replace(
            finding,
            request_id=id,
            route=record.route,
            fingerprint=f"v1:{id}",
            evidence=msgspec.to_builtins(finding.evidence),
        )
        for finding in rejected_request.check(record)
    ]
    return Report(record=record, findings=tuple(findings))


def fields_of(answer):
    rows = parsed(answer.text).findall(".//ul[@class='refusals']/li")
    return [" ".join(" ".join(row.itertext()).split()) for row in rows]


async def test_without_requests_it_teaches_what_will_stand_here(client):
    told = words((await client.get("validation")).text)

    assert "No request recorded yet." in told
    assert "What will stand here" in told


async def test_where_nothing_was_refused_it_says_in_how_many_requests(client, backend):
    backend.store.save([a_report(id="a"), a_report(id="b")])

    told = words((await client.get("validation")).text)

    assert "Nothing was refused in 2 requests." in told
    assert "What will stand here" in told


async def test_where_nobody_watches_it_does_not_say_that_nothing_was_refused(client, backend):
    backend.hooks = [{"name": "exceptions", "on": False, "why": "this Starlette has no hook"}]

    told = words((await client.get("validation")).text)

    assert "Refused requests are not watched. This Starlette has no hook." in told


async def test_a_field_tells_what_was_expected_what_came_and_the_hint(client, backend):
    backend.store.save([refused(missing("body", "user_name", keys=("userName", "mail")))])

    answer = await client.get("validation")

    [row] = fields_of(answer)
    assert row.startswith("body.user_name expects str Missing; what came instead: userName, mail")
    assert "The body has userName, which is close to user_name." in row
    assert "REQ101 example request once" in row
    assert any(href.endswith("/requests/r1") for href in links(answer.text))
    assert any("findings/v1:r1" in href for href in links(answer.text))


async def test_refusals_of_one_field_are_one_row_whatever_the_position_in_a_list(client, backend):
    backend.store.save(
        [
            refused(
                an_error("body", "items", "0", "quantity", input="'two'"),
                an_error("body", "items", "3", "quantity", input="'two'"),
                id="a",
            ),
            refused(an_error("body", "items", "1", "quantity", input="'x'"), id="b"),
        ]
    )

    answer = await client.get("validation")

    [row] = fields_of(answer)
    assert row.startswith("body.items[].quantity expects int, >= 1 Input should be")
    assert "came: 'two' 'x'" in row
    assert "\u00d73" in row
    assert "Validation refused 2 requests at 1 route." in words(answer.text)


async def test_a_hint_about_one_field_does_not_stand_at_another(client, backend):
    backend.store.save(
        [
            refused(
                missing("body", "user_name", keys=("userName",)),
                an_error("body", "items", "0", "quantity", input="'two'"),
            )
        ]
    )

    name, quantity = fields_of(await client.get("validation"))

    assert "close to user_name" in name
    assert "close to" not in quantity


async def test_a_hint_about_the_whole_request_stands_at_each_field(client, backend):
    form = {"content_type": "application/x-www-form-urlencoded", "body_kind": "form"}
    backend.store.save([refused(an_error("body", type="model_attributes_type"), **form)])

    [row] = fields_of(await client.get("validation"))

    assert "A form (application/x-www-form-urlencoded) was sent where JSON is expected" in row


async def test_ways_of_being_wrong_are_told_apart(client, backend):
    shadowed: tuple[tuple[str, Location | None], ...] = (("GET /books/new", None),)
    backend.store.save(
        [
            refused(missing("body", "user_name"), id="a"),
            refused(missing("body", "user_name"), id="b"),
            refused(missing("body", "user_name", keys=("userName",)), id="c"),
            refused(missing("body", "user_name"), id="d", shadowed_routes=shadowed),
        ]
    )

    [row] = fields_of(await client.get("validation"))

    assert row.count("example request") == 3
    assert "Missing \u00d72" in row
    assert row.index("\u00d72") < row.index("userName")


async def test_broken_json_is_one_row_wherever_it_broke(client, backend):
    broken = {"type": "json_invalid", "message": "JSON decode error"}
    backend.store.save(
        [
            refused(an_error("body", str(position), **broken), id=f"r{position}", body_kind="text")
            for position in (1, 7)
        ]
    )

    [row] = fields_of(await client.get("validation"))

    assert row.startswith("body expects JSON JSON decode error")
    assert "\u00d72" in row


async def test_a_finding_that_is_no_longer_kept_leaves_the_facts(client, backend):
    report = refused(missing("body", "user_name", keys=("userName",)))
    backend.store.save([msgspec.structs.replace(report, findings=())])

    [row] = fields_of(await client.get("validation"))

    assert "Missing; what came instead: userName" in row
    assert "REQ101" not in row


async def test_routes_are_ordered_by_refusals_or_by_the_latest(client, backend):
    backend.store.save(
        [
            refused(missing("body", "a"), id="a1", started_at="2026-11-22T10:00:00.000000Z"),
            refused(missing("body", "a"), id="a2", started_at="2026-11-22T10:00:01.000000Z"),
            refused(
                missing("query", "b"),
                id="b",
                route="GET /b",
                started_at="2026-11-22T11:00:00.000000Z",
            ),
        ]
    )

    async def headings(path: str) -> list[str]:
        page = parsed((await client.get(path)).text)
        return ["".join(node.itertext()) for node in page.findall(".//li/header/h2")]

    assert await headings("validation") == ["POST /orders", "GET /b"]
    assert await headings("validation?sort=latest") == ["GET /b", "POST /orders"]
    assert await headings("validation?q=query.b") == ["GET /b"]
    assert await headings("validation?route=GET+/b") == ["GET /b"]
    assert await headings("validation?route=GET+/nothing") == []


async def test_much_data_is_bounded_and_says_what_is_left_out(client, backend):
    backend.store.save(many_reports(groups=100, queries=1))

    answer = await client.get("validation")

    assert "1 to 8 of 23 routes" in words(answer.text)
    assert "6 more fields" in words(answer.text)
    assert len(answer.content) < 120_000
    one = await client.get("validation?route=GET+/tenants/{id}/r1")
    assert len(fields_of(one)) == 12


@pytest.mark.parametrize("query", ["sort=size", "page=0", "page=x"])
async def test_what_there_is_not_is_refused(client, query):
    assert (await client.get(f"validation?{query}")).status_code == 422
