"""What the pages tell of statements: of one request, and of all."""

import pytest

from fastapi_diagnostics.outputs.dashboard import scans, tallies
from fastapi_diagnostics.outputs.dashboard.lineage import gutters
from fastapi_diagnostics.record import Cleared, DependencyRun, TimeSplit
from tests.builders import a_finding, a_location, a_query, a_report
from tests.outputs.examples import example_reports
from tests.outputs.pages import links, parsed, words


def an_n_plus_one(**changes):
    """Three parents and a query for each, and a batch that was cleared."""
    queries = (
        a_query(sql="SELECT parent", duration_ms=2.0),
        *(
            a_query(index=n, sql="SELECT child WHERE id = ?", values=(str(n),), parent_query=0,
                    started_ms=2.0 + n, duration_ms=1.0)
            for n in (1, 2, 3)
        ),
        a_query(index=4, sql="SELECT batch WHERE id IN (?)", started_ms=7.0, duration_ms=0.5),
    )  # fmt: skip
    cleared = (Cleared(what="eager batch", reason="one for all parents", queries=(4,)),)
    finding = a_finding(evidence={"sql": "SELECT child WHERE id = ?", "count": 3})
    return a_report(finding, **{"queries": queries, "cleared": cleared} | changes)


def rows_of(answer, name):
    return parsed(answer.text).findall(f".//ol[@id='{name}']/li")


def text_of(node):
    return " ".join(" ".join(node.itertext()).split())


async def test_a_request_draws_an_arrow_from_the_parents_to_the_loads(client, backend):
    backend.store.save([an_n_plus_one()])

    parent, child, batch = rows_of(await client.get("requests/r1"), "query-rows")

    assert parent.findall(".//{*}svg[@class='edges']/{*}circle")
    assert child.findall(".//{*}svg[@class='edges']/{*}path")
    assert not batch.findall(".//{*}svg[@class='edges']/{*}line")
    assert "parents from query 1" in text_of(child)
    assert child.find(".//a[@href='#q1']") is not None


async def test_without_parents_there_is_no_gutter(client, backend):
    backend.store.save([a_report(queries=(a_query(), a_query(index=1, sql="SELECT 2")))])

    rows = rows_of(await client.get("requests/r1"), "query-rows")

    assert all(row.find(".//{*}svg[@class='edges']") is None for row in rows)


async def test_a_row_tells_runs_rows_values_time_and_verdict(client, backend):
    backend.store.save([an_n_plus_one()])

    _, child, batch = rows_of(await client.get("requests/r1"), "query-rows")

    told = text_of(child)
    assert "\u00d73" in told
    assert "3 rows" in told
    assert "3.0 ms" in told
    assert "1.0 ms each" in told
    assert "SQL101" in told
    assert "eager batch" in text_of(batch)
    assert "SQL101" not in text_of(batch)


async def test_the_bars_of_a_row_stand_where_its_runs_were(client, backend):
    queries = (
        a_query(started_ms=0, duration_ms=10),
        a_query(index=1, started_ms=90, duration_ms=10),
    )
    backend.store.save([a_report(queries=queries, duration_ms=100.0)])

    [row] = rows_of(await client.get("requests/r1"), "query-rows")

    track = row.find(".//{*}svg[@class='track']/{*}path").attrib["d"]
    assert track == "M0 0h100v10h-100zM900 0h100v10h-100z"


async def test_an_open_row_shows_the_statement_laid_out_and_who_called(client, backend):
    backend.store.save(example_reports())

    rows = rows_of(await client.get("requests/01KB5E0N1"), "query-rows")

    opened = rows[1].find(".//details")
    shown = "".join(opened.find("./pre").itertext())
    assert "\nFROM book\nWHERE book.author_id = ?" in shown
    assert "authors.py:8" in text_of(opened).replace(" ", "")


async def test_a_finding_that_names_its_queries_marks_only_those(client, backend):
    queries = (a_query(), a_query(index=1, location=a_location(line=99)))
    finding = a_finding(evidence={"sql": queries[0].sql, "queries": [1]})
    backend.store.save([a_report(finding, queries=queries)])

    first, second = rows_of(await client.get("requests/r1"), "query-rows")

    assert "SQL101" not in text_of(first)
    assert "SQL101" in text_of(second)


async def test_the_ledger_stands_on_the_page_and_in_the_answer(client, backend):
    backend.store.save([an_n_plus_one()])

    page = words((await client.get("requests/r1")).text)
    answer = (await client.get("api/requests/r1")).json()

    assert "Considered and found in order eager batch one for all parents" in page
    assert answer["request"]["cleared"] == [
        {"what": "eager batch", "reason": "one for all parents", "count": 1, "queries": [4]}
    ]


async def test_a_request_tells_where_its_time_went(client, backend):
    split = TimeSplit(on_loop_ms=30.0, queued_ms=10.0, threadpool_ms=0.0, awaiting_ms=60.0)
    backend.store.save([a_report(time=split)])

    told = words((await client.get("requests/r1")).text)

    assert "On the loop 30 ms 30 %" in told
    assert "Waiting for the loop 10 ms 10 %" in told
    assert "Awaiting 60 ms 60 %" in told


async def test_time_that_nobody_measured_is_not_shown(client, backend):
    backend.store.save([a_report()])

    assert "Where its time went" not in words((await client.get("requests/r1")).text)


async def test_dependencies_stand_below_the_one_that_asked_for_them(client, backend):
    runs = (
        DependencyRun(name="app.db.session", started_ms=0.1, duration_ms=0.5, parent=1),
        DependencyRun(name="app.auth.user", started_ms=0.6, duration_ms=2.0, threadpool=True),
        DependencyRun(
            name="app.db.session", started_ms=2.7, duration_ms=0.0, cached=True, parent=3
        ),
        DependencyRun(name="app.auth.quota", started_ms=2.8, duration_ms=0.2, raised=True),
    )
    backend.store.save([a_report(dependencies=runs)])

    rows = parsed((await client.get("requests/r1")).text).findall(".//ol[@class='deps']/li")

    told = [(row.attrib["class"].split()[0], text_of(row)) for row in rows]
    assert told == [
        ("depth-0", "app.auth. user in a thread 2.0 ms"),
        ("depth-1", "└ app.db. session 0.50 ms"),
        ("depth-0", "app.auth. quota raised 0.20 ms"),
        ("depth-1", "└ app.db. session from the cache"),
    ]


@pytest.mark.parametrize("parents", [(1, 0), (0, 1), (7, -1), (None, 0)])
async def test_no_dependency_is_lost_whatever_parents_claim(client, backend, parents):
    runs = tuple(
        DependencyRun(name=f"d{n}", started_ms=n, duration_ms=1.0, parent=parent)
        for n, parent in enumerate(parents)
    )
    backend.store.save([a_report(dependencies=runs)])

    rows = parsed((await client.get("requests/r1")).text).findall(".//ol[@class='deps']/li")

    assert len(rows) == 2


def test_more_parents_at_once_than_there_are_lanes_draw_no_arrow():
    parents = {10 + row: row for row in range(6)}

    drawn = gutters(parents, 16)

    assert [bool(drawn[10 + row].head) for row in range(6)] == [True] * 4 + [False] * 2


def test_an_arrow_never_points_upwards_or_to_a_row_that_is_not_shown():
    assert gutters({0: 3, 9: 1}, 5) == (None,) * 5


async def test_statements_of_all_requests_are_added_up_costliest_first(client, backend):
    backend.store.save([an_n_plus_one(id="r1"), an_n_plus_one(id="r2", route="GET /other")])

    answer = await client.get("queries")

    told = [text_of(row) for row in rows_of(answer, "rows")]
    assert [text.split(" Total ")[0].split()[1] for text in told] == ["child", "parent", "batch"]
    assert (
        "Total 6.0 ms Runs 6 2 requests In one request \u00d73 Mean 1.0 ms Slowest 1.0 ms"
        in told[0]
    )
    assert "SQL101" in told[0]
    assert "GET /books" in told[0]
    assert "GET /other" in told[0]
    assert "eager batch \u00d72" in told[2]
    assert "3 statements, 10 runs, 11 ms in 2 requests" in words(answer.text)


@pytest.mark.parametrize(
    ("query", "first"),
    [("sort=runs", "child"), ("sort=most", "child"), ("sort=mean", "parent"),
     ("sort=slowest", "parent"), ("route=GET%20/other", "other"), ("q=BATCH", "batch")],
)  # fmt: skip
async def test_the_order_and_the_filters_of_statements_are_in_the_url(
    client, backend, query, first
):
    other = a_report(id="r2", route="GET /other", queries=(a_query(sql="SELECT other"),))
    backend.store.save([an_n_plus_one(), other])

    rows = rows_of(await client.get(f"queries?{query}"), "rows")

    assert text_of(rows[0]).split()[1] == first


async def test_the_slowest_run_and_the_most_runs_lead_to_their_requests(client, backend):
    slow = a_report(id="slow", queries=(a_query(sql="SELECT 1", duration_ms=50.0),))
    often = a_report(id="often", queries=tuple(a_query(index=n, sql="SELECT 1") for n in range(9)))
    backend.store.save([slow, often])

    found = links((await client.get("queries")).text)

    assert any(link.endswith("/requests/slow") for link in found)
    assert any(link.endswith("/requests/often") for link in found)


async def test_pages_of_statements_follow_one_another(client, backend):
    queries = tuple(a_query(index=n, sql=f"SELECT {n:03d}") for n in range(60))
    backend.store.save([a_report(queries=queries)])

    pages = [rows_of(await client.get(f"queries?page={n}"), "rows") for n in (1, 2, 3)]

    texts = {text_of(row) for rows in pages for row in rows}
    assert [len(rows) for rows in pages] == [20, 20, 20]
    assert len(texts) == 60


async def test_what_the_figures_leave_out_is_said(client, backend, monkeypatch):
    monkeypatch.setattr(tallies, "MAX_STATEMENTS", 1)
    monkeypatch.setattr(scans, "MAX_SCAN_PAGES", 0)
    queries = (a_query(sql="SELECT 1"), a_query(index=1, sql="SELECT 2"))
    backend.store.save([a_report(queries=queries, query_count=100)])

    monkeypatch.setattr(scans, "MAX_SCAN_PAGES", 25)
    told = words((await client.get("queries")).text)

    assert "98 more runs of very large requests are counted there, not here" in told
    assert "1 run of yet other statements are left out" in told


async def test_no_statement_is_told_from_no_watching(client, backend):
    empty = words((await client.get("queries")).text)
    backend.store.save([a_report()])
    silent = words((await client.get("queries")).text)
    backend.hooks[0] = {"name": "SQL", "on": False, "why": "SQLAlchemy is not imported"}
    blind = words((await client.get("queries")).text)
    filtered = words((await client.get("queries?q=x")).text)

    assert "No request recorded yet." in empty
    assert "No statement in 1 request." in silent
    assert "What will stand here" in silent
    assert "SQL is not watched." in blind
    assert "SQLAlchemy is not imported." in blind
    assert "No statement fits these filters." in filtered


@pytest.mark.parametrize("path", ["queries?sort=x", "queries?page=0", "queries?q=a&q=b"])
async def test_nonsense_is_refused_with_a_page(client, path):
    assert (await client.get(path)).status_code == 422
