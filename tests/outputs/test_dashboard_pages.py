import httpx
import msgspec
import pytest

from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.finding import Fix
from fastapi_diagnostics.outputs.dashboard.routes import PAGES as DASHBOARD
from fastapi_diagnostics.store.protocol import FindingQuery
from tests.builders import a_finding, a_location, a_query, a_report
from tests.outputs.backends import PREFIX, FakeBackend, application
from tests.outputs.examples import example_reports, many_reports
from tests.outputs.pages import PAGES, links, parsed, words

pytestmark = pytest.mark.usefixtures("sample_code")

FIRST_HTML_LIMIT = 60 * 1024


@pytest.fixture
def filled(backend: FakeBackend) -> FakeBackend:
    backend.store.save(example_reports())
    return backend


def finding_paths(backend: FakeBackend) -> dict[str, str]:
    groups = backend.store.findings(FindingQuery(limit=500)).items
    return {group.rule: f"findings/{group.fingerprint}" for group in groups}


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("path", PAGES)
async def test_every_page_opens_and_has_landmarks(client, path):
    answer = await client.get(path)

    tree = parsed(answer.text)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert tree.find(".//main") is not None
    assert len(tree.findall(".//h1")) == 1
    assert tree.find("head/title").text.endswith("Diagnostics")


async def test_every_finding_opens(client, filled):
    for path in finding_paths(filled).values():
        answer = await client.get(path)

        assert answer.status_code == 200


@pytest.mark.parametrize("prefix", ["/_diagnostics", "/dev/watch"])
@pytest.mark.parametrize("root_path", ["", "/api", "/a/b"])
async def test_every_link_lies_below_the_prefix_and_opens(prefix, root_path):
    backend = FakeBackend(prefix=prefix)
    backend.store.save(example_reports())
    transport = httpx.ASGITransport(app=application(backend, prefix), root_path=root_path)
    base = f"{root_path}{prefix}"
    seen, waiting = set(), {f"{base}/"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        while waiting:
            path = waiting.pop()
            seen.add(path)
            answer = await client.get(path)
            assert answer.status_code in ({404} if path.endswith("/api/") else {200}), path
            if answer.headers["content-type"].startswith("text/html"):
                found = {link.partition("#")[0] for link in links(answer.text)} - {""}
                assert all(link.startswith(f"{base}/") for link in found), found
                waiting |= {link for link in found if "/requests/01KB5E0V" not in link} - seen
                waiting -= {link for link in waiting if "01KB5E0N9" in link}
                waiting -= {link for link in waiting if link.endswith("/rules/LOOP102")}
                waiting -= {link for link in waiting if "/rules/" in link and not _known(link)}

    assert len(seen) > 20


def _known(link: str) -> bool:
    return link.endswith(("SQL101", "LOOP101", "APP103"))


@pytest.mark.parametrize(
    "page", [page for page in DASHBOARD if page.label], ids=lambda p: p.section
)
async def test_a_row_of_the_table_is_all_that_the_navigation_needs(client, page):
    tree = parsed((await client.get(page.path.lstrip("/"))).text)

    [current] = tree.findall(".//nav[@id='nav']/a[@aria-current='page']")
    keys = [key.text for key in tree.findall(".//dialog//kbd")]
    assert (current.text, current.attrib["data-go"]) == (page.label, page.key)
    assert page.key in keys


@pytest.mark.usefixtures("filled")
async def test_home_shows_the_worst_first_and_notes_behind_a_link(client):
    answer = await client.get("")

    found = [
        node.text for node in parsed(answer.text).findall(".//ol[@id='rows']//span[@class='rule']")
    ]
    text = words(answer.text)
    assert found == ["SQL101", "TASK101", "LOOP101", "REQ101", "RES103"]
    assert "1 note" in text
    assert "5 findings" in text


@pytest.mark.usefixtures("filled")
async def test_home_tells_place_route_and_cost(client):
    text = words((await client.get("")).text)

    assert "app/ authors.py:11" in text
    assert "POST /authors/{author_id}/report" in text
    assert "\u00d720" in text
    assert "412 ms" in text


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("query", "rules"),
    [
        ("family=LOOP", {"LOOP101"}),
        ("rule=SQL101", {"SQL101"}),
        ("rule=n-plus-one-relationship", {"SQL101"}),
        ("route=POST%20/users", {"REQ101"}),
        ("q=bcrypt", {"LOOP101"}),
        ("notes=1", {"SQL107"}),
    ],
)
async def test_filters_of_home_are_in_the_url(client, query, rules):
    tree = parsed((await client.get(f"?{query}")).text)

    found = {node.text for node in tree.findall(".//ol[@id='rows']//span[@class='rule']")}
    assert found == rules


@pytest.mark.usefixtures("filled")
async def test_filters_that_fit_nothing_say_so(client):
    text = words((await client.get("?q=nowhere")).text)

    assert "Nothing here fits these filters." in text
    assert "Nothing found in" not in text


async def test_silence_names_what_was_looked_at(client, backend):
    backend.store.save([a_report(queries=(a_query(), a_query(index=1)))])

    text = words((await client.get("")).text)

    assert "Nothing found in 1 request and 2 queries." in text
    assert "How to get a first finding" in text


async def test_no_request_is_not_mistaken_for_health(client):
    text = words((await client.get("")).text)

    assert "No request recorded yet." in text
    assert "Nothing found" not in text


async def test_a_hook_that_is_off_is_named_on_every_page(client, backend):
    backend.hooks[0] = {"name": "SQL", "on": False, "why": "SQLAlchemy is not imported"}
    backend.store.save([a_report()])

    for path in ("", "requests", "rules"):
        text = words((await client.get(path)).text)
        assert "SQL not in use" in text
        assert "0 queries" not in text
    assert "SQLAlchemy is not imported" in words((await client.get("status")).text)
    request = words((await client.get("requests/r1")).text)
    assert "SQL is not watched: SQLAlchemy is not imported." in request


async def test_a_finding_reads_sentence_where_fix_proof_history(client, filled):
    text = (await client.get(finding_paths(filled)["SQL101"])).text

    spoken = words(text)
    order = ["was loaded 20 times", "Where", "author.books", "Fix", "selectinload", "Proof",
             "20 loads for 20 distinct parents", "History", "01KB5E0N1"]  # fmt: skip
    places = [spoken.index(part) for part in order]
    assert places == sorted(places)


async def test_the_guilty_line_is_marked(client, filled):
    tree = parsed((await client.get(finding_paths(filled)["SQL101"])).text)

    [line] = tree.findall(".//span[@class='line guilty']")
    assert (
        "".join(line.itertext()).strip()
        == "11        titles = [book.title for book in author.books]"
    )


async def test_proof_of_a_block_links_its_victims(client, filled):
    text = (await client.get(finding_paths(filled)["LOOP101"])).text

    assert f"{PREFIX}/requests/01KB5E0V1" in links(text)
    assert "380 ms" in words(text)


async def test_a_finding_without_a_place_says_so(client, backend):
    backend.store.save([a_report(a_finding(location=None))])

    text = words((await client.get("findings/f1")).text)

    assert "No line of yours was running" in text


async def test_a_fix_for_a_part_of_a_line_says_so(client, backend):
    fix = Fix(summary="Wait.", code="await f()", location=a_location(), replaces="f()")
    backend.store.save([a_report(a_finding(fix=fix))])

    text = words((await client.get("findings/f1")).text)

    assert "In place of the call at" in text


async def test_imports_that_a_fix_needs_stand_below_it(client, backend):
    fix = Fix(summary="Wait.", code="await asyncio.sleep(1)", imports=("import asyncio",))
    backend.store.save([a_report(a_finding(fix=fix))])

    text = words((await client.get("findings/f1")).text)

    assert "With this among the imports of the file: import asyncio" in text


async def test_a_fix_that_needs_no_import_says_nothing_of_imports(client, backend):
    fix = Fix(summary="Wait.", code="await f()", location=a_location())
    backend.store.save([a_report(a_finding(fix=fix))])

    text = words((await client.get("findings/f1")).text)

    assert "among the imports" not in text


async def test_evidence_of_any_shape_is_printed(client, backend):
    evidence = {
        "count": 3, "nested": {"deep": {"deeper": [1, {"x": None}]}}, "nothing": None,
        "list": [1, "two", None], "table": [{"a": 1, "b": {"c": 2}}, {"z": True}],
        "unknown_ms": 12.5, "size_bytes": 4096, "text": "long " * 50,
    }  # fmt: skip
    backend.store.save([a_report(a_finding(evidence=evidence))])

    answer = await client.get("findings/f1")

    assert answer.status_code == 200
    assert "12 ms" in words(answer.text)
    assert "4 KiB" in words(answer.text)


@pytest.mark.parametrize(
    ("chain", "count", "shown"),
    [(["Author.books"], 3, False), (["Author.books", "Book.tags"], 9, True)],
)
async def test_proof_says_of_a_chain_what_is_not_said_already(client, backend, chain, count, shown):
    evidence = {"count": 3, "chain": chain, "chain_count": count, "queries": [4711]}
    backend.store.save([a_report(a_finding(evidence=evidence))])

    text = words((await client.get("findings/f1")).text)

    assert ("Queries of all of them" in text) is shown
    assert ("one below the other" in text) is shown
    assert "4711" not in text


async def test_editor_links_need_the_setting(client, filled):
    path = finding_paths(filled)["SQL101"]

    before = links((await client.get(path)).text)
    filled.editor = "vscode"
    after = links((await client.get(path)).text)

    assert not any(link.startswith("vscode:") for link in before)
    assert any(
        link.startswith("vscode://file/") and link.endswith("authors.py:11") for link in after
    )


async def test_the_editor_sees_its_own_folders(client, filled, sample_code):
    filled.editor = "vscode"
    filled.editor_path_map = ((str(sample_code), "/home/me/shop"),)

    found = links((await client.get(finding_paths(filled)["SQL101"])).text)

    assert "vscode://file//home/me/shop/app/authors.py:11" in found


@pytest.mark.parametrize("editor", ["javascript:alert('{file}')", "data:{file}", "nonsense"])
async def test_an_editor_that_is_no_editor_gives_no_link(client, filled, editor):
    filled.editor = editor

    found = links((await client.get(finding_paths(filled)["SQL101"])).text)

    assert all(link.startswith((PREFIX, "#")) for link in found)


@pytest.mark.usefixtures("filled")
async def test_a_request_tells_what_happened_after_the_response(client):
    text = words((await client.get("requests/01KB5E0N2")).text)

    assert "send_receipt" in text
    assert "never ran" in text
    assert "an earlier task failed" in text
    assert "Protection at work" in text
    assert "author.password_hash" in text


@pytest.mark.usefixtures("filled")
async def test_repeated_queries_are_one_row(client):
    tree = parsed((await client.get("requests/01KB5E0N1")).text)

    rows = tree.findall(".//ol[@id='query-rows']/li")
    assert len(rows) == 3
    assert "\u00d720" in "".join(rows[1].itertext())


@pytest.mark.usefixtures("filled")
async def test_filters_of_requests_are_in_the_url_and_in_the_form(client):
    tree = parsed((await client.get("requests?status=422&min_ms=1")).text)

    assert len(tree.findall(".//tbody[@id='rows']/tr")) == 1
    assert tree.find(".//input[@name='status']").attrib["value"] == "422"
    assert tree.find(".//input[@name='min_ms']").attrib["value"] == "1"


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "path",
    ["?state=closed", "?page=0", "?page=x", "?family=ABC", "requests?status=x",
     "requests?cursor=x", "?state=open&state=open", "requests/01KB5E0N1?queries=some"],
)  # fmt: skip
async def test_an_address_that_asks_for_nonsense_is_422_with_a_page(client, path):
    answer = await client.get(path)

    assert answer.status_code == 422
    assert parsed(answer.text).find(".//h1") is not None


@pytest.mark.parametrize(
    "path",
    ["nothing", "findings/none", "requests/none", "rules/NONE1", "static/none.js",
     "static/..%2f..%2fpyproject.toml", "static/%2fetc%2fpasswd", "requests/%00",
     "rules/%F0%9F%92%A3"],
)  # fmt: skip
async def test_what_is_not_there_is_404_with_a_page(client, path):
    answer = await client.get(path)

    assert answer.status_code == 404
    assert "Not here" in words(answer.text)


async def test_other_methods_are_405(client):
    answer = await client.post("requests")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


async def test_a_page_that_fails_is_counted_and_contained(client, backend, monkeypatch):
    FAULTS.clear()

    def failing() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(backend, "rules", failing)

    answer = await client.get("rules")

    assert answer.status_code == 500
    assert "This page failed" in words(answer.text)
    assert FAULTS.count("dashboard rules.html") == 1
    FAULTS.clear()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "?page=2",
        "?notes=1",
        "requests",
        "requests/01KB5HUGE",
        "queries",
        "loop?minutes=1440",
        "status",
    ],
)
async def test_pages_stay_small_with_much_data(client, backend, path):
    backend.store.save(many_reports())

    answer = await client.get(path)

    assert answer.status_code == 200
    assert len(answer.content) < FIRST_HTML_LIMIT


async def test_pages_of_home_follow_one_another(client, backend):
    backend.store.save(many_reports(groups=90, queries=1))

    first = parsed((await client.get("")).text)
    second = parsed((await client.get("?page=2")).text)

    titles = [node.attrib["href"] for page in (first, second)
              for node in page.findall(".//a[@class='row-title']")]  # fmt: skip
    assert len(titles) == len(set(titles)) == 60


async def test_a_store_that_fell_back_to_memory_is_told_on_every_page(client, backend, monkeypatch):
    status = msgspec.structs.replace(backend.store.status(), problem="the disk is full")
    monkeypatch.setattr(backend.store, "status", lambda: status)

    told = words((await client.get("requests")).text)

    assert "Findings are kept in memory only: the disk is full" in told


async def test_a_store_that_was_replaced_is_not_called_memory(client, backend, monkeypatch):
    told = "The store was damaged; it was set aside."
    status = msgspec.structs.replace(backend.store.status(), kind="sqlite", problem=told)
    monkeypatch.setattr(backend.store, "status", lambda: status)

    page = words((await client.get("requests")).text)

    assert f"About the store: {told}" in page
    assert "memory only" not in page


async def test_without_sql_the_page_counts_no_queries(client, backend):
    backend.hooks[0] |= {"on": False, "why": "SQLAlchemy is not imported"}
    backend.store.save([a_report()])

    assert "Nothing found in 1 request, SQL not watched." in words((await client.get("")).text)


async def test_a_process_id_is_printed_as_it_is_typed(client):
    text = words((await client.get("status")).text)

    assert "Process id 4711" in text


async def test_a_hook_that_failed_is_an_alarm(client, backend):
    backend.hooks[1] = {"name": "event loop", "on": False, "why": "call_soon cannot be replaced"}

    text = words((await client.get("")).text)

    assert "Event loop off" in text
    assert "Why off?" in text
