"""What happens when the world is not kind."""

import itertools
import sqlite3
import threading

import pytest

from fastapi_diagnostics.record import RequestRecord, decode_record
from fastapi_diagnostics.store import Limits, opening
from fastapi_diagnostics.store.database import MemorySource
from fastapi_diagnostics.store.protocol import FindingQuery, RequestQuery, ScanQuery
from fastapi_diagnostics.store.sqlite import SqliteStore
from tests.builders import a_finding, a_report

URL = "sqlite:///kept.db"


def kept(store):
    return [item.id for item in store.requests(RequestQuery(limit=500)).items]


@pytest.fixture
def other(tmp_path, open_at):
    """A connection of somebody else to the file of the store."""
    open_at(URL).close()
    connection = sqlite3.connect(tmp_path / "kept.db", isolation_level=None)
    yield connection
    connection.close()


def test_a_locked_store_holds_back_and_catches_up(open_at, other, clock):
    store = open_at(URL)
    other.execute("BEGIN EXCLUSIVE")

    assert store.save([a_report(a_finding(), id="r1")]) == frozenset()
    store.save([a_report(id="r2")])
    status = store.status()
    assert (status.kind, status.errors, status.waiting) == ("sqlite", 1, 2)
    assert "locked" in status.problem

    other.execute("COMMIT")
    clock.now += 1
    assert store.save([a_report(id="r3")]) == {"f1"}
    assert kept(store) == ["r3", "r2", "r1"]
    assert (store.status().problem, store.status().waiting) == ("", 0)


def test_whoever_looks_helps_to_catch_up_and_news_is_not_lost(open_at, other, clock):
    store = open_at(URL)
    other.execute("BEGIN EXCLUSIVE")
    store.save([a_report(a_finding())])
    other.execute("COMMIT")
    clock.now += 1

    assert kept(store) == ["r1"]
    assert store.save([]) == {"f1"}


def test_what_waits_is_found_by_its_id(open_at, other):
    store = open_at(URL)
    store.save([a_report(id="r1", state="open")])
    other.execute("BEGIN EXCLUSIVE")

    store.save([a_report(a_finding(), id="r1"), a_report(id="r2")])

    found = store.request("r1")
    assert decode_record(found.record).state == "closed"
    assert [group.fingerprint for group in found.findings] == ["f1"]
    assert store.request("r2") is not None
    assert store.request("r3") is None


def test_what_waits_is_shown_while_a_foreign_file_is_in_the_way(open_at, tmp_path):
    store = open_at(URL)
    store.save([a_report(id="r1")])
    for file in tmp_path.glob("kept.db*"):
        file.unlink()
    foreign = sqlite3.connect(tmp_path / "kept.db")
    foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()

    store.save([a_report(a_finding(), id="r2")])

    assert kept(store) == ["r2"]
    assert store.finding("f1").occurrences == 1
    assert "reports held in memory: 1" in store.status().problem


def test_a_store_that_is_locked_when_opened_catches_up(open_at, other, clock):
    other.execute("BEGIN EXCLUSIVE")
    store = open_at(URL)
    store.save([a_report()])

    other.execute("COMMIT")
    clock.now += 1

    assert store.status().kind == "sqlite"
    assert kept(store) == ["r1"]


def test_tries_become_rarer_up_to_a_minute(open_at, other, clock):
    store = open_at(URL)
    other.execute("BEGIN EXCLUSIVE")

    tries = []
    for second in range(200):
        before = store.status().errors
        clock.now += 1
        store.save([])
        if store.status().errors > before:
            tries.append(second)

    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert gaps == [1, 2, 4, 8, 16, 32, 60, 60][: len(gaps)]
    assert len(gaps) >= 7


def test_what_waits_is_bounded(open_at, other):
    store = open_at(URL)
    other.execute("BEGIN EXCLUSIVE")

    store.save([a_report(id=f"r{n}") for n in range(1_500)])

    assert (store.status().waiting, store.status().dropped) == (1_000, 500)


def test_what_waits_is_bounded_in_bytes(open_at, other):
    store = open_at(URL)
    other.execute("BEGIN EXCLUSIVE")

    store.save([a_report(id=f"r{n}", path="x" * 1_000_000) for n in range(20)])

    assert store.status().waiting == 16


def test_actions_on_a_locked_store_do_not_raise(open_at, other):
    store = open_at(URL)
    store.save([a_report(a_finding())])
    other.execute("BEGIN EXCLUSIVE")

    assert not store.set_state("f1", "ignored")
    store.clear()

    assert store.status().errors == 2
    assert kept(store) == ["r1"]


def test_a_full_disk_holds_back_and_catches_up(open_at, clock):
    store = open_at(URL)
    store.save([a_report(id="r1")])
    with store._database.connection() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    store.save([a_report(id=f"b{n}", path="x" * 10_000) for n in range(20)])
    assert "full" in store.status().problem
    assert kept(store) == ["r1"]

    with store._database.connection() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    clock.now += 1
    assert len(kept(store)) == 21


@pytest.mark.usefixtures("other")
def test_a_read_only_store_becomes_memory(open_at, tmp_path, monkeypatch):
    # The mode of a file does not stop root, a read-only connection does.
    connect = sqlite3.connect
    monkeypatch.setattr(
        "fastapi_diagnostics.store.database.sqlite3.connect",
        lambda name, **rest: (
            connect(f"file:{name}?mode=ro", uri=True, **rest)
            if name.startswith(str(tmp_path))
            else connect(name, **rest)
        ),
    )

    store = open_at(URL)

    assert store.status().kind == "memory"
    assert "readonly" in store.status().problem


def test_a_deleted_file_is_made_again(open_at, tmp_path):
    store = open_at(URL)
    store.save([a_report(id="r1")])

    (tmp_path / "kept.db").unlink()
    store.save([a_report(id="r2")])

    assert kept(store) == ["r2"]
    assert kept(open_at(URL)) == ["r2"]
    assert store.status().problem == ""


def test_a_deleted_folder_is_made_again(open_at, tmp_path):
    store = open_at()
    store.save([a_report(id="r1")])

    for file in (tmp_path / ".fastapi_diagnostics").iterdir():
        file.unlink()
    (tmp_path / ".fastapi_diagnostics").rmdir()
    store.save([a_report(id="r2")])

    assert kept(store) == ["r2"]
    assert (tmp_path / ".fastapi_diagnostics" / ".gitignore").exists()


def test_two_stores_of_one_file_survive_its_deletion(open_at, tmp_path):
    first, second = open_at(URL), open_at(URL)
    first.save([a_report(id="r1")])
    second.save([a_report(id="r2")])

    (tmp_path / "kept.db").unlink()
    first.save([a_report(id="r3")])
    second.save([a_report(id="r4")])
    first.close()

    assert kept(second) == ["r4", "r3"]
    with sqlite3.connect(tmp_path / "kept.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def truncated(path):
    path.write_bytes(path.read_bytes()[:100])


def scrambled(path):
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xa5" * (len(content) - 100))


@pytest.mark.parametrize("damage", [truncated, scrambled])
def test_a_damaged_store_of_ours_is_set_aside(open_at, tmp_path, damage):
    store = open_at(URL)
    store.save([a_report(id="r1")])
    store.close()
    (tmp_path / "kept.db.corrupt-1").write_text("an older copy")
    damage(tmp_path / "kept.db")

    store = open_at(URL)
    store.save([a_report(id="r2")])

    assert kept(store) == ["r2"]
    (aside,) = tmp_path.glob("*.corrupt-*")
    assert aside.name in store.status().problem
    assert aside.stat().st_size >= 100


def test_damage_while_running_is_noticed_and_mended(open_at, tmp_path, clock):
    store = open_at(URL)
    store.save([a_report(id=f"r{n}", path="x" * 2_000) for n in range(50)])
    with store._database.connection() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.execute("PRAGMA shrink_memory")
    with (tmp_path / "kept.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096 * 30)

    for _ in range(3):
        clock.now += 2
        store.save([a_report(id="new")])

    assert "new" in kept(store)
    assert len(list(tmp_path.glob("*.corrupt-*"))) == 1


def test_a_file_whose_header_is_gone_cannot_be_proven_ours(open_at, tmp_path):
    open_at(URL).close()
    (tmp_path / "kept.db").write_bytes(b"\xa5" * 4096)

    store = open_at(URL)

    assert store.status().kind == "memory"
    assert (tmp_path / "kept.db").read_bytes() == b"\xa5" * 4096


CORRUPTIONS = [
    "UPDATE occurrences SET finding = 'no json' WHERE record_id = 'r1'",
    "UPDATE occurrences SET finding = x'ff00', at = 7 WHERE record_id = 'r1'",
    "UPDATE groups SET finding = '{}', last_seen = x'ff' WHERE fingerprint = 'f1'",
    "UPDATE groups SET state = 'odd', occurrences = 'many' WHERE fingerprint = 'f1'",
    "UPDATE groups SET finding = NULL, last_seen = NULL WHERE fingerprint = 'f1'",
    "UPDATE records SET status = 'x', codes = NULL WHERE id = 'r1'",
    "UPDATE records SET path = CAST(x'ff' AS TEXT), method = x'ff' WHERE id = 'r1'",
    "UPDATE records SET record = '[[[[' WHERE id = 'r1'",
    "UPDATE records SET record = NULL WHERE id = 'r1'",
    "UPDATE meta SET seq = 'x'",
    "DELETE FROM meta",
    "DELETE FROM groups",
    "DROP TABLE records",
]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_row_that_cannot_be_read_is_left_out_and_the_others_are_shown(open_at, other, corruption):
    store = open_at(URL)
    store.save([a_report(a_finding(), id="r1")])
    store.save([a_report(a_finding(fingerprint="f2"), id="r2")])

    other.execute(corruption)

    for ask in (
        lambda: store.findings(FindingQuery()).items,
        lambda: store.findings(FindingQuery(request_id="r1")).items,
        lambda: store.finding("f1"),
        lambda: store.occurrences("f1").items,
        lambda: store.requests(RequestQuery()).items,
        lambda: store.request("r1"),
        lambda: store.changes("0-0"),
        lambda: store.scan(ScanQuery(), RequestRecord).items,
        store.status,
    ):
        ask()
    if "WHERE" in corruption:
        assert store.status().unreadable > 0
        assert store.request("r2") is not None
        assert "f2" in [group.fingerprint for group in store.findings(FindingQuery()).items]
        assert "r2" in kept(store)
        assert "r2" in [record.id for record in store.scan(ScanQuery(), RequestRecord).items]
    store.save([a_report(a_finding(), id="r1"), a_report(a_finding(), id="r3")])
    store.save([a_report(id="r1"), a_report(id="r3")])


class Unspeakable:
    """Nothing can be made of it."""


def test_a_report_that_cannot_be_encoded_does_not_stop_the_others(open_at, url):
    store = open_at(url)

    store.save(
        [
            a_report(a_finding(evidence={"x": Unspeakable()}), id="bad"),
            a_report(id="huge", query_count=2**70),
            a_report(id="good"),
        ]
    )

    assert kept(store) == ["good"]
    assert (store.status().dropped, store.status().waiting) == (2, 0)


def test_a_store_may_be_used_again_after_close(open_at):
    store = open_at(URL)
    store.save([a_report(id="r1")])
    store.close()

    store.save([a_report(id="r2")])

    assert kept(store) == ["r2", "r1"]


def test_many_threads_share_a_store(open_at, url):
    store = open_at(url)

    def work(name):
        for n in range(20):
            store.save([a_report(a_finding(), id=f"{name}-{n}")])
            store.requests(RequestQuery(limit=5))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(kept(store)) == 80
    assert store.finding("f1").occurrences == 80
    assert store.status().errors == 0


def test_opening_touches_nothing_before_it_is_asked_to(tmp_path, clock):
    store = SqliteStore(
        MemorySource(), limits=Limits(), clock=clock, kind="memory", wanted="memory:"
    )

    opening.check_store_url(None)

    assert list(tmp_path.iterdir()) == []
    store.close()
