"""What a store tells about findings."""

import random

import pytest

from fastapi_diagnostics.store.protocol import FindingQuery, RequestQuery
from tests.builders import a_finding, a_location, a_report


def fingerprints(page):
    return [item.fingerprint for item in page.items]


def at(minute):
    return f"2026-11-22T10:{minute:02}:00.000000Z"


def test_a_group_counts_requests_and_keeps_the_last_finding(store):
    store.save([a_report(a_finding(message="first"), id="r1", started_at=at(1))])
    store.save(
        [a_report(a_finding(message="second"), id="r2", started_at=at(2), route="GET /other")]
    )

    group = store.finding("f1")

    assert (group.occurrences, group.first_seen, group.last_seen) == (2, at(1), at(2))
    assert (group.message, group.request_id, group.route) == ("second", "r2", "GET /other")
    assert group.routes == ("GET /books", "GET /other")
    assert group.location == a_location()
    assert group.state == "open"


def test_a_group_that_does_not_exist_is_none(store):
    assert store.finding("nobody") is None


def test_save_tells_fingerprints_never_seen_before(store):
    assert store.save([a_report(a_finding())]) == {"f1"}
    assert store.save([a_report(a_finding(), id="r2")]) == frozenset()


def test_a_replaced_record_counts_once(store):
    store.save([a_report(a_finding(message="open"), state="open")])

    news = store.save([a_report(a_finding(message="closed"), state="closed")])

    assert news == frozenset()
    assert store.finding("f1").occurrences == 1
    assert store.finding("f1").message == "closed"
    assert len(store.occurrences("f1").items) == 1


def test_two_findings_of_one_cause_in_one_request_count_once(store):
    store.save([a_report(a_finding(message="first"), a_finding(message="second"))])

    assert store.finding("f1").occurrences == 1
    assert store.finding("f1").message == "first"


def test_what_a_replaced_record_no_longer_says_is_taken_back(store):
    store.save([a_report(a_finding(), a_finding(fingerprint="f2"))])

    store.save([a_report(a_finding(fingerprint="f2"))])

    assert store.finding("f1") is None
    assert fingerprints(store.findings(FindingQuery(request_id="r1"))) == ["f2"]


def test_taking_back_the_latest_request_shows_the_one_before(store):
    store.save([a_report(a_finding(message="first"), id="r1", started_at=at(1))])
    store.save([a_report(a_finding(message="second"), id="r2", started_at=at(2))])

    store.save([a_report(id="r2", started_at=at(2))])

    group = store.finding("f1")
    assert (group.occurrences, group.message, group.last_seen) == (1, "first", at(1))
    assert [item.request_id for item in store.occurrences("f1").items] == ["r1"]


def test_an_amended_old_record_does_not_hide_a_newer_finding(store):
    store.save([a_report(a_finding(message="old"), id="r1", started_at=at(1))])
    store.save([a_report(a_finding(message="new"), id="r2", started_at=at(2))])

    store.save([a_report(a_finding(message="amended"), id="r1", started_at=at(1))])

    assert store.finding("f1").message == "new"
    assert store.finding("f1").last_seen == at(2)


def test_a_resolved_group_that_comes_back_is_open_and_news(store):
    store.save([a_report(a_finding())])
    store.set_state("f1", "resolved", "mended in 1.2")

    news = store.save([a_report(a_finding(), id="r2")])

    assert news == {"f1"}
    assert (store.finding("f1").state, store.finding("f1").reason) == ("open", "")


def test_the_close_of_a_known_request_does_not_reopen(store):
    store.save([a_report(a_finding(), state="open")])
    store.set_state("f1", "resolved")

    news = store.save([a_report(a_finding(), state="closed")])

    assert news == frozenset()
    assert store.finding("f1").state == "resolved"


def test_an_ignored_group_stays_ignored(store):
    store.save([a_report(a_finding())])

    assert store.set_state("f1", "ignored", "on purpose")

    assert store.save([a_report(a_finding(), id="r2")]) == frozenset()
    store.save([a_report(id="r1"), a_report(id="r2")])  # found nowhere any more
    assert (store.finding("f1").state, store.finding("f1").reason) == ("ignored", "on purpose")


def test_marking_what_is_not_there_is_false(store):
    assert not store.set_state("nobody", "ignored")


def test_groups_are_listed_last_seen_first(store):
    store.save([a_report(a_finding(fingerprint="f1"), id="r1", started_at=at(1))])
    store.save([a_report(a_finding(fingerprint="f2"), id="r2", started_at=at(2))])
    store.save([a_report(a_finding(fingerprint="f1"), id="r3", started_at=at(3))])

    assert fingerprints(store.findings(FindingQuery())) == ["f1", "f2"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"rule": "TASK101"}, ["f2"]),
        ({"severity": "error"}, ["f2"]),
        ({"route": "GET /other"}, ["f1"]),
        ({"route": "GET /books"}, ["f2", "f1"]),
        ({"state": "open"}, ["f1"]),
        ({"state": "ignored", "rule": "SQL101"}, []),
        ({"request_id": "r2"}, ["f1"]),
        ({"request_id": "r1", "rule": "TASK101"}, ["f2"]),
        ({"request_id": "r1", "state": "open"}, ["f1"]),
        ({"request_id": "r1", "severity": "warning"}, ["f1"]),
        ({"request_id": "nobody"}, []),
        ({"rule": "\ud800"}, []),
    ],
)
def test_findings_are_filtered(store, wanted, expected):
    store.save(
        [
            a_report(
                a_finding(),
                a_finding(fingerprint="f2", rule="TASK101", severity="error"),
                id="r1",
            ),
            a_report(a_finding(), id="r2", route="GET /other"),
        ]
    )
    store.set_state("f2", "ignored")

    assert fingerprints(store.findings(FindingQuery(**wanted))) == expected


def test_findings_of_a_request_are_its_own_with_the_counts_of_the_group(store):
    own = a_finding(message="own", evidence={"count": 1}, severity="info")
    store.save([a_report(own, id="r1", started_at=at(1))])
    store.save([a_report(a_finding(message="other"), id="r2", started_at=at(2))])

    (group,) = store.findings(FindingQuery(request_id="r1")).items

    assert (group.message, group.evidence, group.severity) == ("own", {"count": 1}, "info")
    assert (group.request_id, group.occurrences, group.last_seen) == ("r1", 2, at(2))
    assert store.request("r1").findings == (group,)


def test_findings_of_a_request_come_in_the_order_of_the_report(store):
    store.save([a_report(*(a_finding(fingerprint=f"f{n}") for n in (3, 1, 2)))])

    first = store.findings(FindingQuery(request_id="r1", limit=2))
    second = store.findings(FindingQuery(request_id="r1", limit=2, cursor=first.next))

    assert fingerprints(first) + fingerprints(second) == ["f3", "f1", "f2"]
    assert second.next is None


def test_occurrences_are_listed_newest_first_in_pages(store):
    store.save(
        [a_report(a_finding(evidence={"n": n}), id=f"r{n}", started_at=at(n)) for n in range(3)]
    )

    first = store.occurrences("f1", limit=2)
    store.save([a_report(a_finding(), id="r9", started_at=at(9))])
    second = store.occurrences("f1", limit=2, cursor=first.next)

    assert [(item.request_id, item.at) for item in first.items] == [("r2", at(2)), ("r1", at(1))]
    assert [(item.request_id, item.evidence) for item in second.items] == [("r0", {"n": 0})]
    assert second.next is None


def test_pages_of_groups_hold_each_once_while_others_arrive(store):
    for n in range(5):
        store.save([a_report(a_finding(fingerprint=f"f{n}"), id=f"r{n}", started_at=at(n))])

    first = store.findings(FindingQuery(limit=3))
    store.save([a_report(a_finding(fingerprint="f9"), id="r9", started_at=at(9))])
    second = store.findings(FindingQuery(limit=3, cursor=first.next))

    assert fingerprints(first) + fingerprints(second) == ["f4", "f3", "f2", "f1", "f0"]


def test_findings_of_the_process_have_no_request(store):
    report = a_report(a_finding(), id="p1", kind="process", route="")
    without = a_finding(request_id=None, route="")

    store.save([type(report)(record=report.record, findings=(without,))])
    store.save([type(report)(record=report.record, findings=(without,))])

    group = store.finding("f1")
    assert (group.request_id, group.routes, group.occurrences) == (None, (), 1)
    assert [item.request_id for item in store.occurrences("f1").items] == [None]
    assert fingerprints(store.findings(FindingQuery(request_id="p1"))) == ["f1"]


def test_a_group_keeps_at_most_50_routes(store):
    store.save([a_report(a_finding(), id=f"r{n}", route=f"GET /{n}") for n in range(60)])

    assert len(store.finding("f1").routes) == 50
    assert store.finding("f1").occurrences == 60


@pytest.mark.parametrize("seed", range(20))
def test_a_batch_is_kept_as_its_reports_would_be_one_by_one(open_at, seed):
    dice = random.Random(seed)  # noqa: S311 - the same for everyone
    at_once, singly = open_at("memory:"), open_at("memory:")
    first, second = _some_reports(dice, 30), _some_reports(dice, 130)

    for store in (at_once, singly):
        store.save(first)
        store.set_state("f1", "resolved")
        store.set_state("f2", "ignored")
    news = at_once.save(second)
    each = frozenset().union(*(singly.save([report]) for report in second))

    assert news == each
    assert _all_of(at_once) == _all_of(singly)


def _some_reports(dice, count):
    """Records of which some come again, with findings that come and go; each id once."""
    ids = dice.sample(range(200), count)
    return [
        a_report(
            *(a_finding(fingerprint=f"f{n}") for n in dice.sample(range(6), dice.randrange(4))),
            id=f"r{number}",
            route=f"GET /{dice.randrange(3)}",
            started_at=f"2026-11-22T12:00:{dice.randrange(60):02}.000000Z",
        )
        for number in ids
    ]


def _all_of(store):
    groups = store.findings(FindingQuery()).items
    requests = store.requests(RequestQuery(limit=500)).items
    return (
        groups,
        requests,
        [store.occurrences(group.fingerprint, limit=500).items for group in groups],
        [store.findings(FindingQuery(request_id=item.id)).items for item in requests],
    )
