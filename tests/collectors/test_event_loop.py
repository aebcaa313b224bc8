# ruff: noqa: ASYNC221, ASYNC251, PLW1510, S603 - what blocks a loop is the subject here
"""What holds a real loop is found: line, call, kind, duration, request; innocent code is not."""

import asyncio
import hashlib
import json
import pickle
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import sleep as _renamed
from typing import Any

import pytest
import uvloop
from pydantic import BaseModel

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.collectors.event_loop.pauses import PAUSES
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import RequestRecord
from tests.collectors.event_loop_requests import request, run, spin, the_block, together
from tests.installed import installed

ASYNCIO = asyncio.new_event_loop
UVLOOP = uvloop.new_event_loop
TURNS = 4
both_loops = pytest.mark.parametrize("make_loop", [ASYNCIO, UVLOOP], ids=["asyncio", "uvloop"])


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(event_loop, root=Path(__file__).parent) as hooks:
        yield hooks


def record_of(endpoint, make_loop=ASYNCIO) -> RequestRecord:
    return run(request("r1", endpoint), make_loop)


def told_record_of(endpoint, make_loop=ASYNCIO) -> RequestRecord:
    """Give the record of a turn in which the line was seen.

    What keeps the GIL can be looked at only when it comes back, and if another thread or the loop
    itself gets the GIL first, its line is lost: so it gets a few turns.
    """
    for _ in range(TURNS):
        record = record_of(endpoint, make_loop)
        if [block.call for block in record.blocks if block.location is not None and block.call]:
            break
    return record


def line_of(mark: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (found,) = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {mark}")]
    return found


def assert_found(record: RequestRecord, *, mark: str, kind: str, call: str) -> None:
    block = the_block(record)
    assert block.location is not None
    assert (block.location.line, block.kind, block.call) == (line_of(mark), kind, call)


@both_loops
def test_a_sleep_in_the_endpoint_is_found(make_loop) -> None:
    async def endpoint() -> None:
        time.sleep(0.2)  # here: sleep

    record = record_of(endpoint, make_loop)

    assert_found(record, mark="here: sleep", kind="sleep", call="time.sleep")
    block = the_block(record)
    assert block.duration_ms >= 199
    assert block.phase == "endpoint"
    assert block.coroutine == block.location
    assert sum(line.ms for line in block.hot_lines) == pytest.approx(block.duration_ms, abs=1)
    assert record.time.on_loop_ms >= 199


def test_a_renamed_sleep_is_called_by_its_own_name() -> None:
    async def endpoint() -> None:
        _renamed(0.2)  # here: renamed

    assert_found(record_of(endpoint), mark="here: renamed", kind="sleep", call="time.sleep")


def test_a_block_before_an_await_is_found() -> None:
    async def endpoint() -> None:
        time.sleep(0.2)  # here: before
        await asyncio.sleep(0.01)

    assert_found(record_of(endpoint), mark="here: before", kind="sleep", call="time.sleep")


def test_the_first_request_of_a_loop_is_watched_already() -> None:
    async def endpoint() -> None:
        time.sleep(0.2)  # here: first
        await asyncio.sleep(0.01)

    record = asyncio.run(request("r1", endpoint))

    assert_found(record, mark="here: first", kind="sleep", call="time.sleep")


@both_loops
def test_a_password_hash_is_found(make_loop) -> None:
    async def endpoint() -> None:
        await asyncio.sleep(0)
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 900_000)  # here: hash

    record = record_of(endpoint, make_loop)

    assert_found(record, mark="here: hash", kind="password-hash", call="hashlib.pbkdf2_hmac")


@both_loops
def test_a_computing_loop_is_found_at_its_line(make_loop) -> None:
    async def endpoint() -> None:
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            sum(range(20_000))  # here: cpu

    block = the_block(record_of(endpoint, make_loop))

    assert block.kind == "cpu"
    assert block.location is not None
    assert line_of("here: cpu") - 1 <= block.location.line <= line_of("here: cpu")


def test_a_helper_is_blamed_at_its_own_line_and_the_coroutine_is_named() -> None:
    def helper() -> None:
        time.sleep(0.2)  # here: helper

    async def endpoint() -> None:
        helper()  # here: caller

    record = record_of(endpoint)

    assert_found(record, mark="here: helper", kind="sleep", call="time.sleep")
    assert the_block(record).coroutine.line == line_of("here: caller")


def test_a_dependency_is_blamed_at_its_own_line() -> None:
    @asynccontextmanager
    async def dependency():
        yield
        await asyncio.sleep(0.01)
        time.sleep(0.2)  # here: dependency

    async def endpoint() -> None:
        async with dependency():
            await asyncio.sleep(0)

    assert_found(record_of(endpoint), mark="here: dependency", kind="sleep", call="time.sleep")


def test_what_holds_the_gil_in_one_call_of_c_is_found() -> None:
    rows = [{"name": "x" * 20, "number": number} for number in range(500_000)]

    async def endpoint() -> None:
        json.dumps(rows)  # here: json

    assert_found(told_record_of(endpoint), mark="here: json", kind="json", call="json.dumps")


def test_a_pickle_is_found() -> None:
    rows = [{"name": "x" * 20, "number": number} for number in range(1_500_000)]

    async def endpoint() -> None:
        pickle.dumps(rows)  # here: pickle

    assert_found(told_record_of(endpoint), mark="here: pickle", kind="pickle", call="pickle.dumps")


@both_loops
def test_a_catastrophic_pattern_is_found(make_loop) -> None:
    pattern = re.compile(r"(a+)+$")

    async def endpoint() -> None:
        pattern.match("a" * 23 + "!")  # here: regex

    record = told_record_of(endpoint, make_loop)

    assert_found(record, mark="here: regex", kind="regex", call="re.Pattern.match")


def test_validation_of_many_models_is_found() -> None:
    class Row(BaseModel):
        name: str
        number: int

    rows = [{"name": "x", "number": number} for number in range(400_000)]

    async def endpoint() -> None:
        [Row.model_validate(row) for row in rows]  # here: validation

    block = the_block(record_of(endpoint))

    assert block.kind in {"validation", "gc"}
    assert block.location is not None
    assert block.location.line == line_of("here: validation")


def test_a_synchronous_driver_is_found() -> None:
    async def endpoint() -> None:
        connection = sqlite3.connect(":memory:")
        connection.execute(  # here: sqlite
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) "
            "SELECT sum(i) FROM n"
        ).fetchone()
        connection.close()

    block = the_block(record_of(endpoint))

    assert block.kind == "db"
    assert block.call.startswith("sqlite3.")


def test_a_process_that_is_waited_for_is_found() -> None:
    async def endpoint() -> None:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(.2)"])  # here: run

    assert_found(record_of(endpoint), mark="here: run", kind="subprocess", call="subprocess.run")


def test_a_lock_is_found() -> None:
    event = threading.Event()

    async def endpoint() -> None:
        event.wait(0.2)  # here: lock

    assert_found(record_of(endpoint), mark="here: lock", kind="lock", call="threading.Event.wait")


def test_a_socket_is_found() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(0.2)

    async def endpoint() -> None:
        with pytest.raises(TimeoutError):
            ours.recv(1)  # here: socket

    with ours, theirs:
        record = record_of(endpoint)

    assert_found(record, mark="here: socket", kind="socket", call="socket.socket.recv")


def test_reading_a_slow_file_is_found(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    subprocess.run(["mkfifo", str(fifo)], check=True)  # noqa: S607 - of the system
    writer = threading.Timer(0.2, lambda: fifo.write_text("x", encoding="utf-8"))

    async def endpoint() -> None:
        writer.start()
        fifo.read_text(encoding="utf-8")  # here: file

    record = record_of(endpoint)
    writer.join()

    block = the_block(record)
    assert block.kind == "file"
    assert block.location is not None
    assert block.location.line == line_of("here: file")


def test_an_import_is_blamed_where_it_is_written(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.2)\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    async def endpoint() -> None:
        import slow_to_import  # noqa: F401, PLC0415 # here: import

    block = the_block(record_of(endpoint))

    assert block.kind == "import"
    assert block.location is not None
    assert block.location.line == line_of("here: import")


def test_a_child_task_counts_for_its_request() -> None:
    async def child() -> None:
        time.sleep(0.2)  # here: child

    async def endpoint() -> None:
        await asyncio.gather(asyncio.create_task(child()), asyncio.sleep(0))

    assert_found(record_of(endpoint), mark="here: child", kind="sleep", call="time.sleep")


def test_callbacks_of_the_loop_count_for_the_request_that_asked_for_them() -> None:
    async def endpoint() -> None:
        asyncio.get_running_loop().call_soon(time.sleep, 0.1)
        asyncio.get_running_loop().call_later(0.01, time.sleep, 0.1)
        await asyncio.sleep(0.3)

    assert [block.kind for block in record_of(endpoint).blocks] == ["sleep", "sleep"]


def test_several_blocks_of_one_request_are_several_facts() -> None:
    async def endpoint() -> None:
        for _ in range(3):
            time.sleep(0.1)
            await asyncio.sleep(0)

    assert len(record_of(endpoint).blocks) == 3


async def asynchronous_sleep() -> None:
    await asyncio.sleep(0.2)


async def sleep_in_thread() -> None:
    await asyncio.to_thread(time.sleep, 0.2)


async def many_short_steps() -> None:
    for _ in range(200):
        spin(0.001)
        await asyncio.sleep(0)


async def gathered_sleeps() -> None:
    await asyncio.gather(*(asyncio.sleep(0.2) for _ in range(50)))


async def hash_in_thread() -> None:
    await asyncio.to_thread(hashlib.pbkdf2_hmac, "sha256", b"secret", b"salt", 600_000)


@both_loops
@pytest.mark.parametrize(
    "innocent",
    [asynchronous_sleep, sleep_in_thread, many_short_steps, gathered_sleeps, hash_in_thread],
)
def test_what_does_not_hold_the_loop_is_silent(innocent, make_loop) -> None:
    record = record_of(innocent, make_loop)

    assert record.blocks == ()
    assert record.waits == ()


def test_a_thread_that_keeps_the_gil_is_not_blamed_on_the_request() -> None:
    pattern = re.compile(r"(a+)+$")

    async def endpoint() -> None:
        await asyncio.to_thread(pattern.match, "a" * 24 + "!")

    blocks = record_of(endpoint).blocks

    assert {block.kind for block in blocks} <= {"gil", "unknown"}
    assert [block.location for block in blocks if block.location is not None] == []


@both_loops
def test_the_one_that_waits_is_the_victim_and_not_the_culprit(make_loop) -> None:
    async def innocent() -> None:
        await asyncio.sleep(0.02)

    async def guilty() -> None:
        await asyncio.sleep(0.01)
        time.sleep(0.3)

    async def both() -> dict[str, RequestRecord]:
        records = await together(innocent=innocent, guilty=guilty)
        late = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        event_loop.on_late_victims = lambda *told: loop.call_soon_threadsafe(late.set_result, told)
        try:
            told.append(await late)
        finally:
            event_loop.on_late_victims = None
        return records

    told: list = []
    records = run(both(), make_loop)

    block = the_block(records["guilty"])
    (wait,) = records["innocent"].waits
    assert records["innocent"].blocks == ()
    assert records["guilty"].waits == ()
    assert (wait.block_id, wait.culprit_id) == (block.id, "guilty")
    assert 200 <= wait.waited_ms <= 300
    ((record_id, (complete,)),) = told
    (victim,) = complete.victims
    assert record_id == "guilty"
    assert complete.id == block.id
    assert (victim.request_id, victim.route) == ("innocent", "GET /innocent")
    assert not victim.at_most


def test_the_time_of_a_request_is_split() -> None:
    async def endpoint() -> None:
        spin(0.02)
        await asyncio.sleep(0.1)

    split = record_of(endpoint).time

    assert split.on_loop_ms >= 19
    assert split.awaiting_ms >= 95
    assert split.queued_ms is not None


def test_of_requests_at_once_each_is_a_first_call() -> None:
    async def slow_at_first() -> None:
        time.sleep(0.1)
        await asyncio.sleep(0.02)

    async def quick() -> None:
        """Be answered while the other one still awaits."""

    async def both() -> list[RequestRecord]:
        return await asyncio.gather(
            request("a", slow_at_first, path="/same"), request("b", quick, path="/same")
        )

    slow, _ = run(both(), ASYNCIO)

    assert the_block(slow).first_call


def test_only_the_first_request_of_a_route_is_a_first_call() -> None:
    async def slow_first() -> None:
        time.sleep(0.1)

    async def twice() -> list[RequestRecord]:
        return [await request("slow-first", slow_first) for _ in range(2)]

    first, second = run(twice(), ASYNCIO)

    assert the_block(first).first_call
    assert not the_block(second).first_call


COLLECTING = """
import time

async def answered(pauses, seconds):
    pauses("start", {})
    ends = time.thread_time() + seconds
    while time.thread_time() < ends:
        pass
    pauses("stop", {})
"""
"""The frames of an asynchronous client, and what a collection that begins by itself does there."""


@both_loops
def test_a_collection_is_not_said_to_be_the_call_that_it_met(make_loop) -> None:
    names: dict[str, Any] = {}
    client = "/usr/lib/python3/site-packages/httpx/_client.py"
    exec(compile(COLLECTING, client, "exec"), names)  # noqa: S102 - a library's file

    async def endpoint() -> None:
        await names["answered"](PAUSES, 0.2)

    block = the_block(record_of(endpoint, make_loop))

    assert block.kind == "gc"
    assert block.gc_ms >= 0.7 * block.duration_ms
