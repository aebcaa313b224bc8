"""What the page of the application tells."""

import msgspec
import pytest

from fastapi_diagnostics.app_record import AppRecord, DependencyFact, ThreadClass
from fastapi_diagnostics.store.protocol import Report
from tests.builders import a_finding, a_location, a_record
from tests.outputs.backends import a_rule
from tests.outputs.pages import links, parsed, words
from tests.rules.app.facts import GUARD, a_route, an_app


def rows(answer) -> list[str]:
    return [" ".join(node.itertext()) for node in parsed(answer.text).findall(".//{*}tbody/{*}tr")]


def a_standing(**changes):
    finding = a_finding(
        rule="APP107", name="duplicate-route", title="Two routes", request_id=None, route=""
    )
    return msgspec.structs.replace(finding, **changes)


def keep(backend, *findings) -> None:
    """Store findings as an audit does, and name the rule that made them."""
    record = a_record(id="p1", kind="process", name="application", method="", path="", route="")
    backend.store.save([Report(record=record, findings=findings)])
    rule = a_rule(code="APP107", name="duplicate-route", family="app", subjects=("application",))
    backend.all_rules = (*backend.all_rules, rule)


APP = an_app(
    a_route("GET /openapi.json", name="openapi", location=None),
    a_route("GET /invoices", name="invoices", guarded=True, response_model="list[Invoice]"),
    a_route("GET|POST /health", name="health", answers_itself=True),
    a_route(
        "GET /me",
        name="me",
        dependencies=(
            msgspec.structs.replace(GUARD, name="require_admin", scopes=("admin",)),
            msgspec.structs.replace(GUARD, depth=1),
            DependencyFact(name="get_db", depth=2, threadpool=True),
        ),
    ),
    a_route("GET ", kind="mount", methods=(), name="StaticFiles", location=None),
    title="Shop",
)


async def test_before_anything_is_known_it_says_when_it_will_be(client) -> None:
    told = words((await client.get("application")).text)

    assert "Nothing is known of the application yet." in told
    assert "with its first request" in told


async def test_each_route_has_its_method_place_guards_answer_and_chain(client, backend) -> None:
    backend.app_record = APP

    answer = await client.get("application")
    told = [" ".join(row.split()) for row in rows(answer)]

    assert "Shop has 5 routes, and nothing to say against it." in words(answer.text)
    assert "GET /invoices invoices app/ invoices.py:12 require_user list[Invoice]" in told[1]
    assert "GET, POST /health health app/ invoices.py:12 none a response" in told[2]
    assert "require_admin scopes admin" in told[3]
    assert "└ require_user guard" in told[3]
    assert "└ get_db in a thread" in told[3]
    assert told[4].startswith("mount / StaticFiles")


async def test_what_a_library_declares_is_not_called_unguarded(client, backend) -> None:
    backend.app_record = APP

    answer = await client.get("application?show=open")

    assert [row.split()[:3] for row in rows(answer)] == [["GET,", "POST", "/health"]]


@pytest.mark.parametrize(
    ("query", "count"),
    [("?show=guarded", 2), ("?q=INVOICE", 1), ("?q=nothing", 0), ("?show=guarded&q=me", 1)],
)
async def test_routes_can_be_narrowed_down(client, backend, query, count) -> None:
    backend.app_record = APP

    answer = await client.get(f"application{query}")

    assert len(rows(answer)) == count
    assert "Clear filters" in words(answer.text)


async def test_what_was_found_stands_above_and_at_its_route(client, backend) -> None:
    backend.app_record = APP
    keep(
        backend,
        a_standing(fingerprint="f7", evidence={"routes": ["GET /invoices"]}),
        a_standing(fingerprint="f8", location=a_location(file="app/invoices.py", function="me")),
    )

    answer = await client.get("application")

    assert "and 2 things to look at" in words(answer.text)
    assert [row.count("APP107") for row in rows(answer)] == [0, 1, 0, 1, 0]
    assert any("f7" in href for href in links(answer.text))


async def test_findings_of_requests_are_not_shown_here(client, backend) -> None:
    backend.app_record = APP
    keep(backend, a_standing(rule="SQL101"))

    assert "nothing to say against it" in words((await client.get("application")).text)


async def test_a_finding_of_no_request_does_not_say_that_it_was_in_one(client, backend) -> None:
    keep(backend, a_standing(fingerprint="f7"))

    told = words((await client.get("findings/f7")).text)

    assert "Found in no request, once" in told


async def test_middleware_that_may_check_who_asks_is_told(client, backend) -> None:
    backend.app_record = an_app(a_route("GET /x"), guarding_middleware=("AuthMiddleware",))

    told = words((await client.get("application")).text)

    assert "AuthMiddleware may check who asks" in told


async def test_many_routes_are_turned_over_page_by_page(client, backend) -> None:
    backend.app_record = an_app(*(a_route(f"GET /r{number}") for number in range(120)))

    first = await client.get("application")
    last = await client.get("application?page=3")

    assert (len(rows(first)), len(rows(last))) == (50, 20)
    assert len(first.content) < 60_000
    assert "101 to 120 of 120 routes" in words(last.text)


async def test_class_dependencies_tell_what_their_thread_is_for(client, backend) -> None:
    backend.app_record = an_app(
        a_route("GET /x"),
        thread_classes=(
            ThreadClass(name="Export", location=a_location(), routes=1),
            ThreadClass(name="Paging", location=a_location(), routes=12, only_stores=True),
        ),
    )

    told = words((await client.get("application")).text)

    assert "makes every class that is a dependency in one of its worker threads" in told
    assert "Paging app/ services.py:12 for nothing: making one only sets attributes 12" in told
    assert "Export app/ services.py:12 unless making one waits for something, for nothing" in told
    assert told.index("Paging") < told.index("Export")


async def test_without_class_dependencies_nothing_is_said_of_threads(client, backend) -> None:
    backend.app_record = APP

    assert "worker threads" not in words((await client.get("application")).text)


async def test_many_class_dependencies_are_counted(client, backend) -> None:
    many = [ThreadClass(name=f"C{n}", location=a_location(), routes=1) for n in range(20)]
    backend.app_record = an_app(a_route("GET /x"), thread_classes=tuple(many))

    assert "8 more such classes" in words((await client.get("application")).text)


async def test_names_cannot_break_out_of_the_page(client, backend) -> None:
    evil = "<script>alert(1)</script>"
    backend.app_record = AppRecord(
        title=evil,
        routes=(a_route(f"GET /{evil}", name=evil, response_model=evil),),
        guarding_middleware=(evil,),
        thread_classes=(ThreadClass(name=evil, location=a_location(), routes=1),),
    )

    answer = await client.get("application")

    assert answer.status_code == 200
    assert evil not in answer.text
