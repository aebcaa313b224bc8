"""Several processes, of which some die."""

import os
import sqlite3
import subprocess
import sys

import pytest

from fastapi_diagnostics.store.protocol import RequestQuery
from tests.builders import a_finding, a_report

WRITER = """
import sys, time
from pathlib import Path
from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.record import RequestRecord
from fastapi_diagnostics.store import Limits, open_store
from fastapi_diagnostics.store.protocol import Report

directory, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = open_store(None, directory=directory, clock=time.time, limits=Limits(max_age_hours=1e6))

def report(n):
    id = f"{name}-{n}"
    finding = Finding(
        rule="SQL101", name="n", severity="warning", confidence="proven", title="t", message="m",
        request_id=id, route="GET /", fingerprint="f1",
    )
    record = RequestRecord(
        id=id, kind="http", state="closed", started_at="2026-11-22T10:00:00.000000Z",
        duration_ms=1.0, path="x" * 3000,
    )
    return Report(record=record, findings=(finding,))

n = 0
while n != count:
    news = store.save([report(n + k) for k in range(5)])
    n += 5
    print(n, len(news), flush=True)
status = store.status()
store.close()
print(status.errors, status.dropped, status.kind, flush=True)
"""


@pytest.fixture
def start(tmp_path):
    running = []

    def start_it(name, count):
        process = subprocess.Popen(  # noqa: S603  # our own text
            [sys.executable, "-c", WRITER, str(tmp_path), name, str(count)],
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start_it
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def integrity(tmp_path):
    connection = sqlite3.connect(tmp_path / ".fastapi_diagnostics" / "diagnostics.db")
    try:
        return connection.execute("PRAGMA integrity_check").fetchall()
    finally:
        connection.close()


def test_processes_write_one_file_and_nothing_is_lost(open_at, start, tmp_path):
    writers = [start(name, 200) for name in "abc"]
    outputs = [writer.communicate(timeout=30)[0].splitlines() for writer in writers]

    assert [lines[-1] for lines in outputs] == ["0 0 sqlite"] * 3
    news = sum(int(line.split()[1]) for lines in outputs for line in lines[:-1])
    assert news == 1
    store = open_at(max_age_hours=1e6)
    assert store.status().totals.requests == 600
    assert store.finding("f1").occurrences == 600
    assert integrity(tmp_path) == [("ok",)]


def test_what_another_process_wrote_is_seen_at_once(open_at, start):
    store = open_at(max_age_hours=1e6)
    token = store.changes(None).token

    start("a", 10).communicate(timeout=30)

    changes = store.changes(token)
    assert (changes.requests, changes.findings, changes.groups) == (10, 10, 1)
    assert store.requests(RequestQuery(limit=1)).items[0].id == "a-9"


def test_a_killed_writer_leaves_the_file_whole(open_at, start, tmp_path):
    for turn in range(6):
        writer = start(f"w{turn}", -1)
        told = 0
        for _ in range(3 + 5 * turn):
            told = int(writer.stdout.readline().split()[0])
        writer.kill()
        writer.wait()

        assert integrity(tmp_path) == [("ok",)]
        store = open_at(max_age_hours=1e6)
        assert store.request(f"w{turn}-{told - 1}") is not None
        assert store.status().problem == ""
        store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_opens_its_own_connection(open_at):
    store = open_at(max_age_hours=1e6)
    store.save([a_report(id="parent")])
    own = store._database._connection

    with store._lock:  # as another thread might hold it
        child = os.fork()
        if child == 0:
            store.save([a_report(a_finding(), id="child")])
            os._exit(0 if store._database._connection is not own else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert store._database._connection is own
    store.save([a_report(id="later")])
    page = store.requests(RequestQuery())
    assert [item.id for item in page.items] == ["later", "child", "parent"]
