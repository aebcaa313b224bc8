"""What a store tells about requests."""

import msgspec
import pytest

from fastapi_diagnostics.record import TaskRun, decode_record
from fastapi_diagnostics.store.protocol import (
    FindingQuery,
    InvalidCursorError,
    RequestQuery,
    ScanQuery,
)
from tests.builders import a_finding, a_query, a_record, a_report


def ids(page):
    return [item.id for item in page.items]


def all_pages(ask, limit, between=lambda: None):
    pages, cursor = [], None
    while True:
        page = ask(limit=limit, cursor=cursor)
        pages.append(page.items)
        if page.next is None:
            return pages
        cursor = page.next
        between()


def test_a_saved_record_is_given_back_as_it_was(store):
    report = a_report(queries=(a_query(),), status=None)

    store.save([report])

    assert decode_record(store.request("r1").record) == report.record


def test_a_record_that_is_not_kept_is_none(store):
    assert store.request("nobody") is None


def test_a_summary_shows_the_columns_of_the_list(store):
    worst_first = (
        a_finding(rule="SQL107", severity="info", fingerprint="f1"),
        a_finding(rule="TASK101", severity="error", fingerprint="f2"),
        a_finding(rule="TASK101", severity="error", fingerprint="f3"),
    )
    tasks = tuple(TaskRun(name="send", state=state) for state in ("done", "failed", "never-ran"))
    queries = (a_query(duration_ms=1.5), a_query(index=1, duration_ms=2.0))

    store.save([a_report(*worst_first, queries=queries, tasks=tasks)])

    (summary,) = store.requests(RequestQuery()).items
    assert summary.findings == ("TASK101", "SQL107")
    assert (summary.failed_tasks, summary.query_count, summary.query_ms) == (2, 2, 3.5)
    assert (summary.method, summary.status, summary.duration_ms) == ("GET", 200, 12.5)


def test_requests_are_listed_newest_first_and_keep_their_place_when_replaced(store):
    store.save([a_report(id=name, state="open") for name in ("r1", "r2", "r3")])

    store.save([a_report(id="r1", state="closed")])

    page = store.requests(RequestQuery())
    assert ids(page) == ["r3", "r2", "r1"]
    assert [item.state for item in page.items] == ["open", "open", "closed"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"method": "POST"}, ["r2"]),
        ({"route": "GET /slow"}, ["r3"]),
        ({"status": 404}, ["r1"]),
        ({"min_ms": 100.0}, ["r3"]),
        ({"method": "GET", "status": 200}, ["r3"]),
        ({"method": "\ud800"}, []),
        ({"status": 10**30}, []),
    ],
)
def test_requests_are_filtered(store, wanted, expected):
    store.save(
        [
            a_report(id="r1", status=404),
            a_report(id="r2", method="POST"),
            a_report(id="r3", route="GET /slow", duration_ms=100.0),
        ]
    )

    assert ids(store.requests(RequestQuery(**wanted))) == expected


def test_what_belongs_to_no_request_is_found_by_id_but_not_listed(store):
    token = store.changes(None).token

    store.save([a_report(id="p1", kind="process", method="", route="")])

    assert store.request("p1") is not None
    assert ids(store.requests(RequestQuery())) == []
    assert store.status().totals.requests == 0
    assert store.changes(token).requests == 0


def test_pages_hold_each_request_once_while_others_arrive(store):
    store.save([a_report(id=f"old{n}") for n in range(5)])
    arriving = iter(range(100))

    pages = all_pages(
        lambda **page: store.requests(RequestQuery(**page)),
        limit=2,
        between=lambda: store.save([a_report(id=f"new{next(arriving)}")]),
    )

    assert [[item.id for item in page] for page in pages] == [
        ["old4", "old3"],
        ["old2", "old1"],
        ["old0"],
    ]


def test_a_page_holds_at_least_one_and_at_most_500(store):
    store.save([a_report(id=f"r{n}") for n in range(502)])

    assert len(store.requests(RequestQuery(limit=0)).items) == 1
    assert len(store.requests(RequestQuery(limit=10_000)).items) == 500


BAD_CURSORS = ["", "!", "abc", "bnVsbA", "é", "WyJyIiwtMV0", "WyJyIiwxZTk5XQ", "x" * 5_000]


@pytest.mark.parametrize("cursor", BAD_CURSORS)
def test_a_cursor_from_elsewhere_is_refused(store, cursor):
    with pytest.raises(InvalidCursorError):
        store.requests(RequestQuery(cursor=cursor))
    with pytest.raises(InvalidCursorError):
        store.findings(FindingQuery(cursor=cursor))
    with pytest.raises(InvalidCursorError):
        store.findings(FindingQuery(request_id="r1", cursor=cursor))
    with pytest.raises(InvalidCursorError):
        store.occurrences("f1", cursor=cursor)


def test_a_cursor_of_another_list_is_refused(store):
    store.save([a_report(id="r1"), a_report(id="r2")])
    cursor = store.requests(RequestQuery(limit=1)).next

    with pytest.raises(InvalidCursorError):
        store.findings(FindingQuery(cursor=cursor))


def test_the_last_of_two_reports_with_one_id_in_a_batch_counts(store):
    store.save([a_report(a_finding(), state="open"), a_report(state="closed")])

    assert decode_record(store.request("r1").record).state == "closed"
    assert store.findings(FindingQuery()).items == ()


def test_text_that_is_not_unicode_is_kept_mended(store):
    store.save([a_report(a_finding(message="a\ud800b"), path="/\udcff")])

    assert decode_record(store.request("r1").record) == a_record(path="/?")
    assert store.finding("f1").message == "a?b"


def test_changes_count_what_came_since_a_token(store):
    store.save([a_report(a_finding())])
    token = store.changes(None).token

    store.save(
        [
            a_report(a_finding(), state="closed"),
            a_report(a_finding(), a_finding(fingerprint="f2"), id="r2"),
        ]
    )

    changes = store.changes(token)
    assert (changes.requests, changes.findings, changes.groups) == (2, 2, 1)
    assert store.changes(changes.token) == type(changes)(
        token=changes.token, requests=0, findings=0, groups=0
    )


@pytest.mark.parametrize("token", [None, "", "x", "7", "00000000-1", "-", "a-b-c", "é", "9" * 99])
def test_an_unknown_token_counts_nothing(store, token):
    store.save([a_report(a_finding())])

    changes = store.changes(token)

    assert (changes.requests, changes.findings, changes.groups) == (0, 0, 0)
    assert changes.token == store.changes(None).token


def test_totals_follow_what_is_kept(store):
    store.save(
        [
            a_report(a_finding(), query_count=4),
            a_report(a_finding(fingerprint="f2"), id="r2", query_count=3),
            a_report(a_finding(fingerprint="f3"), id="r2", query_count=2),
        ]
    )
    store.set_state("f1", "ignored")

    totals = store.status().totals

    assert (totals.requests, totals.queries) == (2, 6)
    assert (totals.groups_open, totals.groups_resolved, totals.groups_ignored) == (1, 0, 1)
    assert totals.bytes > 0


def test_clear_forgets_everything_and_goes_on_counting(store):
    store.save([a_report(a_finding())])
    token = store.changes(None).token

    store.clear()

    assert store.requests(RequestQuery()).items == ()
    assert store.findings(FindingQuery()).items == ()
    assert store.occurrences("f1").items == ()
    assert store.status().totals.requests == 0
    assert store.save([a_report(a_finding())]) == {"f1"}
    assert store.changes(token).requests == 1


def test_close_is_idempotent(store):
    store.close()
    store.close()


class Shallow(msgspec.Struct):
    """A few fields of a record."""

    id: str
    route: str = ""
    queries: tuple[dict, ...] = ()


def scan_all(store, **wanted):
    pages = all_pages(
        lambda **page: store.scan(ScanQuery(**wanted | page), Shallow), wanted.pop("limit", 2)
    )
    return [item for page in pages for item in page]


def test_a_scan_reads_some_fields_of_every_record_newest_first(store):
    store.save([a_report(id=f"r{n}", queries=(a_query(rows=n),)) for n in range(5)])
    store.save([a_report(id="p1", kind="process")])

    found = scan_all(store)

    assert [item.id for item in found] == ["p1", "r4", "r3", "r2", "r1", "r0"]
    assert found[1].queries[0]["rows"] == 4


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"route": "GET /slow"}, ["r3"]),
        ({"with_queries": True}, ["r2"]),
        ({"since": "2026-11-22T10:00:00.500000Z"}, ["r3", "r1"]),
        ({"route": "\ud800"}, []),
    ],
)
def test_a_scan_leaves_out_what_does_not_fit(store, wanted, expected):
    later = "2026-11-22T10:00:01.000000Z"
    store.save(
        [
            a_report(id="r1", started_at=later),
            a_report(id="r2", queries=(a_query(),)),
            a_report(id="r3", route="GET /slow", started_at=later),
        ]
    )

    assert [item.id for item in scan_all(store, **wanted)] == expected


def test_a_page_of_a_scan_ends_after_some_bytes(store):
    big = a_query(values=("x" * 1_500_000,))
    store.save([a_report(id=f"r{n}", queries=(big,)) for n in range(7)])

    pages = all_pages(lambda **page: store.scan(ScanQuery(**page), Shallow), limit=500)

    assert [len(page) for page in pages] == [3, 3, 1]


def test_a_scan_refuses_the_cursor_of_another_list(store):
    store.save([a_report(id="r1"), a_report(id="r2")])
    cursor = store.requests(RequestQuery(limit=1)).next

    with pytest.raises(InvalidCursorError):
        store.scan(ScanQuery(cursor=cursor), Shallow)
