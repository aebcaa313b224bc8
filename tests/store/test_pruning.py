"""What goes when there is too much."""

from fastapi_diagnostics.store.protocol import FindingQuery, RequestQuery
from tests.builders import a_finding, a_query, a_report

HOUR = 3600


def kept(store):
    return [item.id for item in store.requests(RequestQuery(limit=500)).items]


def test_the_oldest_records_go_and_their_groups_stay(open_at, url):
    store = open_at(url, max_requests=3)

    for n in range(5):
        store.save([a_report(a_finding(), id=f"r{n}")])

    assert kept(store) == ["r4", "r3", "r2"]
    assert store.finding("f1").occurrences == 5
    assert len(store.occurrences("f1").items) == 3
    assert store.request("r0") is None


def test_never_more_than_a_tenth_beyond_the_limit_is_kept(open_at, url):
    store = open_at(url, max_requests=100)

    counts = []
    for n in range(300):
        store.save([a_report(id=f"r{n}")])
        counts.append(len(kept(store)))

    assert max(counts) <= 110
    assert counts[-1] >= 100


def test_records_go_by_age(open_at, url):
    store = open_at(url, max_age_hours=1.0, max_requests=10)

    store.save(
        [
            a_report(id="old", started_at="2026-11-22T10:59:00.000000Z"),
            a_report(id="fresh", started_at="2026-11-22T11:01:00.000000Z"),
        ]
    )

    assert kept(store) == ["fresh"]


def test_records_go_by_age_where_few_come(open_at, url, clock):
    store = open_at(url, max_age_hours=1.0)
    store.save([a_report(id="old", started_at="2026-11-22T12:00:00.000000Z")])

    clock.now += 2 * HOUR
    store.save([a_report(id="fresh", started_at="2026-11-22T14:00:00.000000Z")])

    assert kept(store) == ["fresh"]


def test_a_clock_set_forward_ages_nothing(open_at, url, clock):
    steady = [0.0]
    store = open_at(url, max_age_hours=1.0, max_requests=10, steady=lambda: steady[0])
    store.save([a_report(id="r1", started_at="2026-11-22T12:00:00.000000Z")])

    clock.now += 24 * HOUR
    store.save([a_report(id="r2", started_at="2026-11-23T12:00:00.000000Z")])

    assert kept(store) == ["r2", "r1"]


def test_a_clock_set_back_ages_nothing(open_at, url, clock):
    store = open_at(url, max_age_hours=1.0, max_requests=10)
    store.save([a_report(id="r1", started_at="2026-11-22T12:00:00.000000Z")])

    clock.now -= 24 * HOUR
    store.save([a_report(id="r2", started_at="2026-11-21T12:00:00.000000Z")])
    clock.now += 24 * HOUR  # and put right again
    store.save([a_report(id="r3", started_at="2026-11-22T12:00:01.000000Z")])

    assert kept(store) == ["r3", "r2", "r1"]


def test_the_database_stays_within_its_bytes(open_at, url):
    megabyte = 1024 * 1024
    store = open_at(url, max_bytes=megabyte)
    big = tuple(a_query(index=n) for n in range(50))

    for n in range(200):
        store.save([a_report(id=f"r{n}", queries=big)])

    assert store.status().totals.bytes <= 1.1 * megabyte
    assert kept(store)[0] == "r199"
    assert store.request("r0") is None


def test_groups_seen_longest_ago_go_first_but_ignored_ones_last(open_at, url):
    store = open_at(url, max_requests=10, max_groups=2)
    for n in (1, 2):
        store.save([a_report(a_finding(fingerprint=f"f{n}"), id=f"r{n}")])
    store.set_state("f1", "ignored")

    store.save(
        [a_report(a_finding(fingerprint="f3"), id="r3", started_at="2026-11-22T11:00:00.000000Z")]
    )

    left = {group.fingerprint for group in store.findings(FindingQuery()).items}
    assert left == {"f1", "f3"}
    assert store.occurrences("f2").items == ()


def test_clear_makes_the_file_small_again(open_at, tmp_path):
    store = open_at("sqlite:///kept.db")
    empty = (tmp_path / "kept.db").stat().st_size
    store.save([a_report(id=f"r{n}", path="/" + "x" * 5_000) for n in range(200)])

    store.clear()

    assert (tmp_path / "kept.db").stat().st_size <= 2 * empty
    assert b"xxxxxxxx" not in (tmp_path / "kept.db-wal").read_bytes()


def test_a_store_that_keeps_much_less_than_before_gives_the_space_back(open_at, tmp_path):
    before = open_at("sqlite:///kept.db")
    before.save([a_report(id=f"r{n}", path="/" + "x" * 5_000) for n in range(200)])
    before.close()
    large = (tmp_path / "kept.db").stat().st_size

    store = open_at("sqlite:///kept.db", max_requests=20)
    store.save([a_report(id="last")])
    store.close()

    assert (tmp_path / "kept.db").stat().st_size <= large // 4


def test_a_full_store_does_not_grow(open_at, tmp_path):
    store = open_at("sqlite:///kept.db", max_requests=100)
    rounds = [[a_report(id=f"r{r}-{n}", path="/" + "x" * 5_000) for n in range(100)] for r in "ab"]

    sizes = []
    for reports in rounds * 3:
        store.save(reports)
        store.close()  # what is in the log counts as well
        sizes.append((tmp_path / "kept.db").stat().st_size)

    assert len(set(sizes[1:])) == 1
