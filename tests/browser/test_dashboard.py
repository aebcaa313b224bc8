import pytest

from fastapi_diagnostics.store.protocol import FindingQuery, RequestQuery
from tests.browser.playwright_api import playwright_api
from tests.builders import a_finding, a_report
from tests.outputs.backends import FakeBackend
from tests.outputs.examples import example_reports, many_reports
from tests.outputs.hostile import PAYLOADS, hostile
from tests.outputs.pages import PAGES

expect = playwright_api().expect
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def filled(backend: FakeBackend) -> FakeBackend:
    backend.store.save(example_reports())
    return backend


def finding_path(backend: FakeBackend, rule: str) -> str:
    [group] = backend.store.findings(FindingQuery(rule=rule)).items
    return f"findings/{group.fingerprint}"


def overflow(page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


@pytest.mark.parametrize("size", [None, PHONE], ids=["desktop", "phone"])
def test_no_page_complains_or_overflows(page, site, filled, size):
    if size:
        page.set_viewport_size(size)
    findings = filled.store.findings(FindingQuery()).items

    for path in (*PAGES, *(f"findings/{group.fingerprint}" for group in findings)):
        page.goto(site + path)
        expect(page.locator("main")).to_be_visible()
        assert overflow(page) <= 0, path


def test_much_data_neither_complains_nor_overflows(page, site, backend):
    backend.store.save(many_reports())
    page.set_viewport_size(PHONE)

    for path in (
        *("", "requests", "requests/01KB5HUGE", "queries", "loop?minutes=1440"),
        *("validation", "validation?route=GET+/tenants/{id}/r1", "responses"),
        "responses?route=GET+/tenants/{id}/r1",
    ):
        page.goto(site + path)
        assert overflow(page) <= 0, path


def test_a_phone_shows_whole_labels_and_breaks_no_heading_of_a_table(page, site, filled):
    page.set_viewport_size(PHONE)
    findings = filled.store.findings(FindingQuery()).items
    requests = filled.store.requests(RequestQuery()).items

    for path in (
        *(f"findings/{group.fingerprint}" for group in findings),
        *(f"requests/{one.id}" for one in requests),
    ):
        page.goto(site + path)
        labels = page.locator(".tick-label:visible").evaluate_all(
            "labels => labels.map(one => one.getBoundingClientRect().right)"
        )
        broken = page.locator("th:visible").evaluate_all(
            "cells => cells.filter(one => one.scrollHeight > 44 || one.scrollWidth > "
            "one.clientWidth + 1).map(one => one.textContent)"
        )
        assert max(labels, default=0) <= PHONE["width"], path
        assert broken == [], path


@pytest.mark.parametrize("width", [390, 700, 900, 1024, 1280])
def test_the_navigation_breaks_no_word_at_any_width(page, site, width):
    page.set_viewport_size({"width": width, "height": 720})

    page.goto(site)

    heights = page.locator("#nav a").evaluate_all("links => links.map(a => a.scrollHeight)")
    assert max(heights) <= 48
    assert overflow(page) <= 0


@pytest.mark.parametrize("sql", [True, False], ids=["all", "no-sql"])
def test_the_strip_of_hooks_is_one_line(page, site, backend, sql):
    names = (
        *("dependencies", "exceptions", "response fields", "background tasks", "threadpool"),
        *("event loop", "tasks", "coroutines never awaited", "state of dependencies"),
        *("pydantic 1 methods", "SQL"),
    )
    backend.hooks = [{"name": name, "on": True, "why": ""} for name in names]
    if not sql:
        backend.hooks[-1] |= {"on": False, "why": "SQLAlchemy is not imported"}

    page.goto(site)

    assert page.locator(".hooks li").count() == len(names)
    assert page.locator(".hooks").bounding_box()["height"] < 24
    expect(page.locator(".hooks li", has_text="Coroutines")).to_have_attribute(
        "title", "Coroutines never awaited"
    )


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("scripts", [True, False], ids=["with", "without-javascript"])
def test_a_refused_field_leads_to_its_finding_and_to_an_example(browser, site, scripts):
    context = browser.new_context(java_script_enabled=scripts)
    page = context.new_page()

    page.goto(site + "validation")
    expect(page.get_by_text("Send user_name instead of username.")).to_be_visible()
    page.get_by_role("link", name="example request").click()
    expect(page.get_by_role("heading", name="What validation refused")).to_be_visible()
    page.goto(site + "validation")
    page.get_by_role("link", name="REQ101").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("was refused")
    context.close()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("scripts", [True, False], ids=["with", "without-javascript"])
def test_a_removed_field_leads_to_its_finding_and_opens_what_was_sent(browser, site, scripts):
    context = browser.new_context(java_script_enabled=scripts)
    page = context.new_page()

    page.goto(site + "responses")
    page.get_by_text("3 declared fields").click()
    expect(page.get_by_text("links[].title")).to_be_visible()
    page.get_by_role("link", name="RES103").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("emial")
    context.close()


def test_hostile_data_runs_nothing(page, site, backend):
    backend.store.save(
        [hostile(report, payload) for payload in PAYLOADS for report in example_reports()]
    )
    findings = backend.store.findings(FindingQuery()).items

    for path in (*PAGES, *(f"findings/{group.fingerprint}" for group in findings)):
        page.goto(site + path)
        assert page.evaluate("window.__pwned === undefined")
        assert page.locator("[data-pwned]").count() == 0
        assert overflow(page) <= 0, path


@pytest.mark.usefixtures("filled")
def test_a_new_finding_appears_as_a_pill_and_the_list_waits(page, site, backend):
    page.goto(site)
    rows = page.locator("#rows > li")
    expect(rows).to_have_count(5)

    backend.store.save([a_report(a_finding(fingerprint="v1:new"), id="new")])
    pill = page.get_by_role("button", name="1 new finding")
    expect(pill).to_be_visible()
    expect(rows).to_have_count(5)
    pill.click()

    expect(rows).to_have_count(6)
    expect(pill).to_have_count(0)


@pytest.mark.usefixtures("filled")
def test_new_requests_appear_as_a_pill_of_their_list(page, site, backend):
    page.goto(site + "requests")
    before = page.locator("#rows > tr").count()

    backend.store.save([a_report(id="n1"), a_report(id="n2")])
    page.get_by_role("button", name="2 new requests").click()

    expect(page.locator("#rows > tr")).to_have_count(before + 2)


def test_the_pill_of_another_page_leads_to_the_findings(page, site, backend):
    page.goto(site + "status")

    backend.store.save([a_report(a_finding())])
    page.get_by_role("button", name="1 new finding").click()

    expect(page).to_have_url(site)


def test_more_rows_are_added_below(page, site, backend):
    backend.store.save(many_reports(groups=100, queries=1))
    page.goto(site)
    expect(page.locator("#rows > li")).to_have_count(40)

    page.get_by_role("link", name="Next page").click()

    expect(page.locator("#rows > li")).to_have_count(67)
    expect(page).to_have_url(site)
    expect(page.get_by_role("link", name="Next page")).to_have_count(0)


@pytest.mark.usefixtures("filled")
def test_every_page_reads_without_javascript(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()

    page.goto(site)
    page.get_by_role("link", name="Author.books was loaded").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("was loaded 20 times")
    expect(page.get_by_role("button")).to_have_count(0)
    expect(page.get_by_text("Resolve and ignore need JavaScript")).to_be_visible()
    page.get_by_role("link", name="01KB5E0N1").click()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    page.goto(site + "requests")
    page.get_by_label("Status").fill("422")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#rows > tr")).to_have_count(1)
    context.close()


@pytest.mark.usefixtures("filled")
def test_pages_of_many_rows_follow_without_javascript(browser, site, backend):
    backend.store.save(many_reports(groups=90, queries=1))
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()

    page.goto(site)
    page.get_by_role("link", name="Next page").click()

    expect(page).to_have_url(f"{site}?page=2")
    context.close()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("scripts", [True, False], ids=["with", "without-javascript"])
def test_a_bar_of_the_loop_leads_to_its_block_and_on_to_a_victim(browser, site, scripts):
    context = browser.new_context(java_script_enabled=scripts)
    page = context.new_page()

    page.goto(site + "loop")
    page.get_by_role("link", name="bcrypt.hashpw 412 ms").click()
    expect(page.get_by_role("heading", name="bcrypt.hashpw held the loop")).to_be_in_viewport()
    expect(page.get_by_role("link", name="bcrypt.hashpw 412 ms")).to_be_in_viewport()
    page.get_by_role("link", name="01KB5E0N1").click()

    expect(page.get_by_role("heading", name="GET /authors/")).to_be_visible()
    context.close()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("scripts", [True, False], ids=["with", "without-javascript"])
def test_statements_are_sorted_opened_and_lead_to_their_finding(browser, site, scripts):
    context = browser.new_context(java_script_enabled=scripts)
    page = context.new_page()

    page.goto(site + "queries")
    page.get_by_role("link", name="Runs", exact=True).click()
    expect(page).to_have_url(site + "queries?sort=runs")
    row = page.locator("#rows > li", has_text="book.author_id")
    row.locator("summary").click()
    expect(row.locator("pre")).to_contain_text("WHERE book.author_id = ?")
    row.get_by_role("link", name="SQL101").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("was loaded 20 times")
    context.close()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("size", [None, PHONE], ids=["desktop", "phone"])
def test_the_arrow_of_a_request_holds_together_when_a_row_is_opened(page, site, size):
    if size:
        page.set_viewport_size(size)
    page.goto(site + "requests/01KB5E0N1")

    page.locator("#q1 summary").click()

    rows = [page.locator(f"#q{n} .edges").bounding_box() for n in (1, 2)]
    assert abs(rows[0]["y"] + rows[0]["height"] - rows[1]["y"]) <= 2


def test_resolving_moves_a_finding(page, site, filled):
    page.goto(site + finding_path(filled, "SQL101"))

    page.get_by_role("button", name="Resolve").click()

    expect(page.get_by_role("button", name="Open again")).to_be_visible()
    page.goto(f"{site}?state=resolved")
    expect(page.locator("#rows > li")).to_have_count(1)


def test_ignoring_keeps_the_reason(page, site, filled):
    page.goto(site + finding_path(filled, "LOOP101"))

    page.locator("summary", has_text="Ignore").click()
    page.get_by_label("Reason").fill("a nightly report")
    page.get_by_role("button", name="Ignore it").click()

    expect(page.get_by_role("complementary")).to_contain_text("ignored: a nightly report")


def test_the_fix_is_copied(page, site, filled):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(site + finding_path(filled, "SQL101"))

    page.get_by_role("button", name="Copy").click()

    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "select(Author).options(selectinload(Author.books)).limit(limit)"


@pytest.mark.usefixtures("filled")
def test_the_theme_is_kept(page, site):
    page.goto(site)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme").click()
    page.goto(site + "requests")

    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    expect(page.get_by_role("button", name="Theme")).to_contain_text("Dark")


@pytest.mark.usefixtures("filled")
def test_the_system_decides_until_someone_does(page, site):
    page.goto(site)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.emulate_media(color_scheme="dark")

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


@pytest.mark.usefixtures("filled")
def test_the_keyboard_walks_and_opens(page, site):
    page.goto(site)
    expect(page.locator("#rows > li")).to_have_count(5)

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("was loaded 20 times")
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page).to_have_url(site + "requests")
    expect(page.get_by_label("Route")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Route")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()


@pytest.mark.usefixtures("filled")
def test_clearing_asks_twice(page, site, backend):
    page.goto(site + "status")

    page.get_by_role("button", name="Clear the store").click()
    assert backend.store.status().totals.requests > 0
    page.get_by_role("button", name="Really forget everything").click()

    expect(page.get_by_text("0 requests, 0 queries")).to_be_visible()


def test_sentence_place_and_fix_are_above_the_fold(page, site, filled):
    page.goto(site + finding_path(filled, "SQL101"))

    bottom = page.locator("#fix-code").bounding_box()
    assert bottom["y"] + bottom["height"] < 720
