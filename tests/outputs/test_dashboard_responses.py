"""What the page of responses tells of what was returned and what was sent."""

import msgspec
import pytest

from fastapi_diagnostics.record import (
    ComparedResponse,
    Query,
    ResponseDiff,
    SentSecret,
    StrippedField,
)
from fastapi_diagnostics.rules.responses import (
    misspelt_response_field,
    sensitive_response_field,
    stripped_relationship,
    stripped_response_field,
)
from fastapi_diagnostics.store.protocol import Report
from tests.builders import a_location, a_query, a_record, a_report
from tests.outputs.examples import many_reports
from tests.outputs.pages import links, parsed, words

RULES = (
    misspelt_response_field,
    sensitive_response_field,
    stripped_relationship,
    stripped_response_field,
)
HERE = a_location(file="app/books.py", line=7, function="list_books")


def a_field(path: str, **changes) -> StrippedField:
    defaults = {"source": "dict", "owner": "dict", "model": "BookOut", "type_name": "str"}
    return StrippedField(path=path, **defaults | changes)


def answered(
    *fields: StrippedField,
    id: str = "r1",  # noqa: A002 - as stored
    sent: tuple[str, ...] = ("items[].title",),
    secrets: tuple[str, ...] = (),
    queries: tuple[Query, ...] = (),
    **changes,
) -> Report:
    """Store a response together with what the rules say of it."""
    about = {"returned": "dict", "model": "Page[BookOut]", "compared": True}
    given = {key: changes.pop(key) for key in ("returned", "model", "compared") if key in changes}
    compared = ComparedResponse(endpoint=HERE, sent=sent, **about | given)
    diff = ResponseDiff(endpoint=HERE, model="Page[BookOut]", fields=fields)
    record = a_record(
        id=id,
        queries=queries,
        compared_responses=(compared,),
        response_diffs=(diff,) if fields else (),
        sent_secrets=tuple(SentSecret(path=path, hashed=True, endpoint=HERE) for path in secrets),
        **changes,
    )
    findings = [
        msgspec.structs.replace(
            finding,
            request_id=id,
            route=record.route,
            fingerprint=f"v1:{finding.rule}:{id}:{number}",
            evidence=msgspec.to_builtins(finding.evidence),
        )
        for rule in RULES
        for number, finding in enumerate(rule.check(record))
    ]
    return Report(record=record, findings=tuple(findings))


def blocks(answer) -> list[str]:
    items = parsed(answer.text).findall(".//ol[@id='rows']/li")
    return [" ".join(" ".join(item.itertext()).split()) for item in items]


def removed(answer) -> list[str]:
    items = parsed(answer.text).findall(".//ul[@class='removed']/li")
    return [" ".join(" ".join(item.itertext()).split()) for item in items]


WRITTEN = a_field("items[].margin", written_in=HERE)


async def test_without_requests_it_teaches_what_will_stand_here(client):
    told = words((await client.get("responses")).text)

    assert "No request recorded yet." in told
    assert "What will stand here" in told


async def test_where_nothing_was_returned_it_says_in_how_many_requests(client, backend):
    backend.store.save([a_report()])

    told = words((await client.get("responses")).text)

    assert "Nothing to compare in 1 request." in told
    assert "What will stand here" in told


async def test_where_nobody_watches_it_does_not_say_that_nothing_was_removed(client, backend):
    backend.hooks = [{"name": "response fields", "on": False, "why": "no serialize_response"}]

    told = words((await client.get("responses")).text)

    assert "Responses are not watched. No serialize_response." in told


async def test_a_route_tells_what_was_returned_declared_and_sent(client, backend):
    backend.store.save([answered(sent=("items", "items[].title"))])

    answer = await client.get("responses")

    [block] = blocks(answer)
    assert block.startswith("GET /books app/ books.py:7 1 response, the latest")
    assert "Returned dict Response model Page[BookOut] Sent 2 declared fields" in block
    assert "items[].title" in block
    assert removed(answer) == []
    assert "No response lost a field at 1 route." in words(answer.text)


async def test_a_key_that_the_endpoint_wrote_is_likely_a_mistake(client, backend):
    backend.store.save([answered(WRITTEN)])

    answer = await client.get("responses")

    [row] = removed(answer)
    assert row.startswith("items[].margin dict: str Likely a mistake")
    assert "wrote the key" in row
    assert "RES101 example request" in row
    assert "in 1 of 1 responses" in row
    assert any("findings/v1:RES101" in href for href in links(answer.text))


async def test_it_is_told_in_how_many_of_how_many_responses(client, backend):
    backend.store.save(
        [
            answered(WRITTEN, id="a", sent=("items[].title", "total")),
            answered(id="b"),
            answered(WRITTEN, id="c"),
            answered(id="d", compared=False, sent=()),
        ]
    )

    answer = await client.get("responses")

    assert "in 2 of 3 responses" in removed(answer)[0]
    assert "total in 1" in blocks(answer)[0]
    assert "4 responses, the latest" in blocks(answer)[0]


async def test_columns_that_stay_behind_are_one_row_and_likely_intended(client, backend):
    columns = [a_field(f"items[].{name}", source="orm", owner="Book") for name in ("cost", "isbn")]
    backend.store.save([answered(*columns)])

    [row] = removed(await client.get("responses"))

    assert row.startswith("items[].cost Book: str items[].isbn Book: str Likely intended")


async def test_a_subclass_that_was_returned_is_given_as_the_reason(client, backend):
    field = a_field("note", source="object", owner="BookDB", subclass=True)
    backend.store.save([answered(field)])

    [row] = removed(await client.get("responses"))

    assert "Likely intended" in row
    assert "derived from the response model" in row


async def test_a_secret_that_was_removed_is_protection(client, backend):
    backend.store.save([answered(a_field("password_hash", secret=True))])

    [row] = removed(await client.get("responses"))

    assert "Protected Its name looks like a secret" in row
    assert "RES" not in row


async def test_a_name_close_to_an_empty_field_is_a_mistake(client, backend):
    backend.store.save([answered(a_field("emial", near="email"))])

    [row] = removed(await client.get("responses"))

    assert "Likely a mistake Close to email , which went out empty" in row
    assert "RES103" in row


@pytest.mark.parametrize(("read", "verdict"), [(False, "Likely a mistake"), (True, "intended")])
async def test_a_relationship_is_told_with_what_loading_it_cost(client, backend, read, verdict):
    field = a_field(
        "items[].author", source="orm", relationship=True, attribute="Book.author", read=read
    )
    load = a_query(kind="eager", attribute="Book.author", duration_ms=4.0)
    backend.store.save([answered(field, queries=(load,))])

    [row] = removed(await client.get("responses"))

    assert verdict in row
    assert "Loaded by 1 statement in 4.0 ms" in row


async def test_a_secret_that_was_sent_is_shown_apart(client, backend):
    backend.store.save([answered(secrets=("items[].password_hash",))])

    answer = await client.get("responses")

    assert "Looks secret, and was sent items[].password_hash Sent" in blocks(answer)[0]
    assert "RES104" in removed(answer)[0]


async def test_a_field_of_which_no_finding_is_kept_is_not_judged(client, backend):
    report = answered(WRITTEN)
    backend.store.save([msgspec.structs.replace(report, findings=())])

    [row] = removed(await client.get("responses"))

    assert "Not judged" in row


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("", "It has no response model: all that it returns goes out."),
        ("Open", "This model does not tell what it lets through"),
    ],
)
async def test_what_cannot_be_compared_says_why(client, backend, model, told):
    backend.store.save([answered(model=model, compared=False, sent=())])

    [block] = blocks(await client.get("responses"))

    assert told in block


async def test_routes_with_mistakes_come_first_and_can_be_chosen(client, backend):
    intended = a_field("cost", source="orm", owner="Book")
    backend.store.save(
        [
            answered(id="a", route="GET /a"),
            answered(intended, id="b", route="GET /b"),
            answered(WRITTEN, id="c", route="GET /c"),
        ]
    )

    async def routes(path: str) -> list[str]:
        return [" ".join(block.split()[:2]) for block in blocks(await client.get(path))]

    assert await routes("responses") == ["GET /c", "GET /b", "GET /a"]
    assert await routes("responses?show=mistakes") == ["GET /c"]
    assert await routes("responses?show=removed") == ["GET /c", "GET /b"]
    assert await routes("responses?route=GET+/b") == ["GET /b"]
    assert await routes("responses?q=MARGIN") == ["GET /c"]
    assert "No route fits these filters." in words((await client.get("responses?q=zzz")).text)


async def test_much_data_is_bounded_and_says_what_is_left_out(client, backend):
    backend.store.save(many_reports(groups=100, queries=1))

    answer = await client.get("responses")

    assert "1 to 10 of 23 routes" in words(answer.text)
    assert len(answer.content) < 150_000


@pytest.mark.parametrize("query", ["show=some", "page=0"])
async def test_what_there_is_not_is_refused(client, query):
    assert (await client.get(f"responses?{query}")).status_code == 422
