"""The store is shared by workers and survives reload and a kill."""

import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.integration.clients import API
from tests.integration.processes import client_of, uvicorn, write_app

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="uvicorn --fd is for POSIX systems"),
    pytest.mark.timeout(120),
]


def until(condition, *, seconds: float = 15.0):
    """Ask again until *condition* gives something true; other processes cannot be waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to pass")


def recorded_ids(client: httpx.Client) -> set[str]:
    answer = client.get(f"{API}/requests", params={"limit": 500}).json()
    return {request["id"] for request in answer["requests"]}


def version_of(client: httpx.Client) -> str | None:
    try:
        return client.get("/version").json()
    except httpx.TransportError:
        return None


def test_requests_of_every_worker_are_seen_by_all(tmp_path: Path) -> None:
    write_app(tmp_path)
    with uvicorn(tmp_path, "--workers", "2") as (url, _), client_of(url) as client:
        answers = []

        def both_workers_answered() -> bool:
            answers.append(client.get("/pid"))
            return len({answer.json() for answer in answers}) == 2

        until(both_workers_answered)
        sent = {answer.headers["x-diagnostics-id"] for answer in answers}

        until(lambda: sent <= recorded_ids(client), seconds=2)
        asked_by_id = [client.get(f"{API}/requests/{record_id}").status_code for record_id in sent]

    assert set(asked_by_id) == {200}


def test_history_survives_a_reload(tmp_path: Path) -> None:
    file = write_app(tmp_path)
    with uvicorn(tmp_path, "--reload") as (url, _), client_of(url) as client:
        before = client.get("/broken").headers["x-diagnostics-id"]
        recorded_ids(client)  # concluded now: later its source would have changed

        file.write_text(file.read_text().replace('VERSION = "one"', 'VERSION = "two"'))
        until(lambda: version_of(client) == "two")

        history = client.get(f"{API}/requests/{before}")
        [finding] = client.get(f"{API}/findings", params={"rule": "EXC101"}).json()["findings"]

    assert history.status_code == 200
    assert finding["location"]["code"] == 'raise ValueError("broken")'


def test_a_page_that_is_open_does_not_hold_up_a_reload(tmp_path: Path) -> None:
    def seconds_to_reload(folder: Path, *, page_open: bool) -> float:
        file = write_app(folder)
        with uvicorn(folder, "--reload") as (url, _), client_of(url) as client:
            until(lambda: version_of(client) == "one")
            with httpx.Client(base_url=url, timeout=20) as page:  # keeps its connection alive
                if page_open:
                    page.get("/_diagnostics/")
                    page.get(f"{API}/changes")
                file.write_text(file.read_text().replace('VERSION = "one"', 'VERSION = "two"'))
                began = time.monotonic()
                until(lambda: version_of(client) == "two")
                return time.monotonic() - began

    (tmp_path / "without").mkdir()
    (tmp_path / "with").mkdir()
    without = seconds_to_reload(tmp_path / "without", page_open=False)
    with_page = seconds_to_reload(tmp_path / "with", page_open=True)

    # A response that is held open costs uvicorn's reload seconds; the machine's noise does not.
    assert with_page < without + 1.5


def test_history_survives_a_kill(tmp_path: Path) -> None:
    write_app(tmp_path)
    with uvicorn(tmp_path) as (url, process), client_of(url) as client:
        kept = client.get("/version").headers["x-diagnostics-id"]
        until(lambda: kept in recorded_ids(client))
        for _ in range(20):
            client.get("/broken")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)

    with uvicorn(tmp_path) as (url, _), client_of(url) as client:
        history = recorded_ids(client)

    with sqlite3.connect(tmp_path / ".fastapi_diagnostics" / "diagnostics.db") as database:
        [[verdict]] = database.execute("PRAGMA integrity_check").fetchall()
    database.close()
    assert kept in history
    assert verdict == "ok"


def test_what_was_recorded_last_is_stored_before_the_server_stops(tmp_path: Path) -> None:
    write_app(tmp_path)
    with uvicorn(tmp_path) as (url, process), client_of(url) as client:
        last = client.get("/version").headers["x-diagnostics-id"]
        os.kill(process.pid, signal.SIGTERM)
        process.wait(10)

    with uvicorn(tmp_path) as (url, _), client_of(url) as client:
        history = recorded_ids(client)

    assert last in history


def test_the_store_is_private_and_not_for_git(tmp_path: Path) -> None:
    write_app(tmp_path)
    with uvicorn(tmp_path) as (url, _), client_of(url) as client:
        client.get("/version")
        recorded_ids(client)

    folder = tmp_path / ".fastapi_diagnostics"
    assert (folder / ".gitignore").read_text().strip() == "*"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "diagnostics.db").stat().st_mode & 0o777 == 0o600
