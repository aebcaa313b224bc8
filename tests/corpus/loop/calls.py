# ruff: noqa: ASYNC210, ASYNC212, ASYNC221, ASYNC230, ASYNC251, ARG001, PLW1510, S301
# ruff: noqa: S603, S605, S607, S310 - what blocks a loop is the subject here
"""Calls that hold the loop in an endpoint: each kind as people really write it."""

import asyncio
import concurrent.futures
import copy
import functools
import gc
import hashlib
import http.client
import importlib
import json
import logging
import os
import pickle
import queue
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from time import sleep as _renamed
from typing import Any

import greenlet
import httpx
import jinja2
import sqlalchemy
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import create_async_engine

from tests.corpus.loop.truth import block, situation

FOLDER = Path(tempfile.mkdtemp(prefix="loop-corpus-"))
sys.path.append(str(FOLDER))
SLOW = {"url": ""}
"""Where a server answers as late as it is asked to; set by the application."""


class Row(BaseModel):
    name: str
    number: int


class SlowHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        time.sleep(record.args[0])  # type: ignore[index,arg-type] # block: slow-log-handler


LOG = logging.getLogger("corpus")
LOG.propagate = False
LOG.addHandler(SlowHandler())
PATTERN = re.compile(r"(a+)+$")
TEMPLATE = jinja2.Environment(autoescape=True).from_string(
    "{% for n in range(count) %}{{ n }} {% endfor %}"
)
CLIENT = httpx.Client(trust_env=False)
POOL = concurrent.futures.ThreadPoolExecutor(2)
COUNT_SQL = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :n) "
    "SELECT sum(i) FROM n"
)
engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.StaticPool)
async_engine = create_async_engine("sqlite+aiosqlite://")


Work = Callable[[int], Any]
_SQLITE = sqlite3.connect(":memory:", check_same_thread=False)
_STATEMENT = sqlalchemy.text(COUNT_SQL)
_NOISE = os.urandom(1 << 18)
ROWS: list[dict[str, Any]] = [{"name": f"n{i}", "number": i} for i in range(1_200_000)]


def _sqlalchemy(n: int) -> None:
    with engine.connect() as connection:
        connection.execute(_STATEMENT, {"n": n}).one()


WORKS: dict[str, tuple[Work, int]] = {
    "pbkdf2": (lambda n: hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", n), 40_000),
    "sqlite": (lambda n: _SQLITE.execute(COUNT_SQL, {"n": n}).fetchone(), 100_000),
    "sqlalchemy": (_sqlalchemy, 100_000),
    "sorting": (lambda n: sorted(ROWS[:n], key=lambda row: -row["number"]), 50_000),
    "dumps": (lambda n: json.dumps(ROWS[:n]), 20_000),
    "loads": (lambda n: json.loads(f"[{'1.5,' * n}0]"), 200_000),
    "pickle": (lambda n: pickle.dumps(ROWS[:n]), 50_000),
    "unpickle": (lambda n: pickle.loads(_pickled(n)), 200_000),
    "validation": (lambda n: [Row.model_validate(row) for row in ROWS[:n]], 20_000),
    "copy": (lambda n: copy.deepcopy(ROWS[:n]), 2_000),
    "compression": (lambda n: zlib.compress(_NOISE * n), 1),
    "template": (lambda n: TEMPLATE.render(count=n), 5_000),
}
"""What a unit of each work is, and how many of them tell how long one takes."""


@functools.cache
def _pickled(n: int) -> bytes:
    return pickle.dumps([1.5 + i for i in range(n)])


@functools.cache
def units(name: str, ms: float) -> int:
    """Give how much of a work takes so much processor time here, and a little more."""
    return int(ms * 1.15 / _ms_of_one(name)) + 1


@functools.cache
def _ms_of_one(name: str) -> float:
    work, sample = WORKS[name]
    work(sample)
    return min(_cpu_ms(work, sample) for _ in range(5)) / sample


def _cpu_ms(work: Work, count: int) -> float:
    began = time.thread_time()
    work(count)
    return (time.thread_time() - began) * 1000


def prepare(sizes_ms: tuple[float, ...]) -> None:
    """Find out how fast this machine is, before anybody is served."""
    for ms in sizes_ms:
        for name in WORKS:
            units(name, ms)
        _pickled(units("unpickle", ms))


@situation("sleep")
async def sleep(ms: float) -> None:
    with block("sleep", ms):
        time.sleep(ms / 1000)  # block: sleep


@situation("sleep")
async def renamed_sleep(ms: float) -> None:
    with block("renamed-sleep", ms):
        _renamed(ms / 1000)  # block: renamed-sleep


@situation("sleep")
async def partial_sleep(ms: float) -> None:
    bound = functools.partial(time.sleep, ms / 1000)
    with block("partial-sleep", ms):
        bound()  # block: partial-sleep


def _helper(ms: float) -> None:
    _deeper(ms)


def _deeper(ms: float) -> None:
    with block("nested-helper", ms):
        time.sleep(ms / 1000)  # block: nested-helper


@situation("sleep")
async def nested_helper(ms: float) -> None:
    _helper(ms)


@situation("sleep")
async def sleep_between_awaits(ms: float) -> None:
    await asyncio.sleep(0.001)
    with block("sleep-between-awaits", ms):
        time.sleep(ms / 1000)  # block: sleep-between-awaits
    await asyncio.sleep(0.001)


@situation("password-hash")
async def pbkdf2(ms: float) -> None:
    rounds = units("pbkdf2", ms)
    with block("pbkdf2"):
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", rounds)  # block: pbkdf2


@situation("password-hash", fixed_ms=60)
async def scrypt(ms: float) -> None:
    with block("scrypt"):
        hashlib.scrypt(b"secret", salt=b"salt", n=2**15, r=8, p=1, maxmem=2**26)  # block: scrypt


@situation("subprocess")
async def subprocess_run(ms: float) -> None:
    with block("subprocess-run", ms):
        subprocess.run(["sleep", str(ms / 1000)])  # block: subprocess-run


@situation("subprocess")
async def os_system(ms: float) -> None:
    with block("os-system", ms):
        os.system(f"sleep {ms / 1000}")  # block: os-system


@situation("lock")
async def event_wait(ms: float) -> None:
    event = threading.Event()
    with block("event-wait", ms):
        event.wait(ms / 1000)  # block: event-wait


@situation("lock")
async def lock_acquire(ms: float) -> None:
    lock = threading.Lock()
    lock.acquire()
    with block("lock-acquire", ms):
        lock.acquire(timeout=ms / 1000)  # block: lock-acquire


@situation("lock")
async def with_lock(ms: float) -> None:
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(ms / 1000, lock.release).start()
    with block("with-lock", ms), lock:  # block: with-lock
        pass


@situation("lock")
async def queue_get(ms: float) -> None:
    empty: queue.Queue[int] = queue.Queue()
    with block("queue-get", ms):
        try:
            empty.get(timeout=ms / 1000)  # block: queue-get
        except queue.Empty:
            return


@situation("lock")
async def future_result(ms: float) -> None:
    future = POOL.submit(time.sleep, ms / 1000)
    with block("future-result", ms):
        future.result()  # block: future-result


@situation("socket")
async def socket_recv(ms: float) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(ms / 1000)
        with block("socket-recv", ms):
            try:
                ours.recv(1)  # block: socket-recv
            except TimeoutError:
                return


@situation("http")
async def urllib_urlopen(ms: float) -> None:
    with block("urllib-urlopen", ms):
        urllib.request.urlopen(f"{SLOW['url']}/{ms}").read()  # block: urllib-urlopen


@situation("http")
async def http_client(ms: float) -> None:
    connection = http.client.HTTPConnection(SLOW["url"].removeprefix("http://"))
    connection.request("GET", f"/{ms}")
    with block("http-client", ms):
        connection.getresponse().read()  # block: http-client
    connection.close()


@situation("http")
async def httpx_sync(ms: float) -> None:
    with block("httpx-sync", ms):
        CLIENT.get(f"{SLOW['url']}/{ms}")  # block: httpx-sync


@situation("file")
async def fifo_read(ms: float) -> None:
    path = FOLDER / f"fifo-{time.perf_counter_ns()}"
    os.mkfifo(path)
    writer = threading.Timer(ms / 1000, path.write_text, ("x",))
    writer.start()
    with block("fifo-read", ms):
        path.read_text()  # block: fifo-read
    writer.join()


@situation("file")
async def open_read(ms: float) -> None:
    path = FOLDER / f"open-{time.perf_counter_ns()}"
    os.mkfifo(path)
    writer = threading.Timer(ms / 1000, path.write_text, ("x",))
    writer.start()
    with block("open-read", ms):
        file = open(path)  # noqa: PTH123, SIM115 # block: open-read
    file.read()
    file.close()
    writer.join()


@situation("db")
async def sqlite(ms: float) -> None:
    connection = sqlite3.connect(":memory:")
    rows = units("sqlite", ms)
    with block("sqlite"):
        connection.execute(COUNT_SQL, {"n": rows}).fetchone()  # block: sqlite
    connection.close()


@situation("db")
async def sqlalchemy_sync(ms: float) -> None:
    with engine.connect() as connection:
        rows = units("sqlalchemy", ms)
        with block("sqlalchemy-sync"):
            connection.execute(_STATEMENT, {"n": rows}).one()  # block: sqlalchemy-sync


def _in_run_sync(_connection: Any, ms: float) -> None:
    with block("run-sync", ms):
        time.sleep(ms / 1000)  # block: run-sync


@situation("sleep")
async def run_sync(ms: float) -> None:
    async with async_engine.connect() as connection:
        await connection.run_sync(_in_run_sync, ms)


@situation("sleep")
async def greenlet_without_user_code(ms: float) -> None:
    with block("greenlet-without-user-code", ms):
        greenlet.greenlet(time.sleep).switch(ms / 1000)  # block: greenlet-without-user-code


@situation("cpu")
async def cpu(ms: float) -> None:
    end = time.thread_time() + ms / 1000
    with block("cpu"):
        while time.thread_time() < end:  # block: cpu
            sum(range(2_000))  # block: cpu


@situation("cpu")
async def cpu_in_helper(ms: float) -> None:
    with block("cpu-in-helper"):
        _fibonacci_for(ms)


def _fibonacci_for(ms: float) -> None:
    end = time.thread_time() + ms / 1000
    while time.thread_time() < end:  # block: cpu-in-helper
        _fibonacci(14)  # block: cpu-in-helper


def _fibonacci(n: int) -> int:  # block: cpu-in-helper
    return n if n < 2 else _fibonacci(n - 1) + _fibonacci(n - 2)  # block: cpu-in-helper


@situation("cpu")
async def sorting(ms: float) -> None:
    rows = ROWS[: units("sorting", ms)]
    with block("sorting"):
        sorted(rows, key=lambda row: -row["number"])  # block: sorting


@situation("regex", fixed_ms=90)
async def regex(ms: float) -> None:
    with block("regex"):
        PATTERN.match("a" * 22 + "!")  # block: regex


@situation("json")
async def json_dumps(ms: float) -> None:
    rows = ROWS[: units("dumps", ms)]
    with block("json-dumps"):
        json.dumps(rows)  # block: json-dumps


@situation("json", "gc")
async def json_loads(ms: float) -> None:
    text = f"[{'1.5,' * units('loads', ms)}0]"
    with block("json-loads"):
        json.loads(text)  # block: json-loads


@situation("pickle")
async def pickle_dumps(ms: float) -> None:
    rows = ROWS[: units("pickle", ms)]
    with block("pickle-dumps"):
        pickle.dumps(rows)  # block: pickle-dumps


@situation("pickle", "gc")
async def pickle_loads(ms: float) -> None:
    data = _pickled(units("unpickle", ms))
    with block("pickle-loads"):
        pickle.loads(data)  # block: pickle-loads


@situation("validation", "gc")
async def validation(ms: float) -> None:
    rows = ROWS[: units("validation", ms)]
    with block("validation"):
        [Row.model_validate(row) for row in rows]  # block: validation


@situation("cpu", "gc")
async def deep_copy(ms: float) -> None:
    rows = ROWS[: units("copy", ms)]
    with block("deep-copy"):
        copy.deepcopy(rows)  # block: deep-copy


@situation("compression")
async def compression(ms: float) -> None:
    data = _NOISE * units("compression", ms)
    with block("compression"):
        zlib.compress(data)  # block: compression


@situation("template")
async def template(ms: float) -> None:
    count = units("template", ms)
    with block("template"):
        TEMPLATE.render(count=count)  # block: template


class Node:
    """One of a cycle, which only the garbage collector frees."""

    def __init__(self) -> None:
        self.me = self


@situation("gc")
async def garbage(ms: float) -> None:
    gc.disable()
    await asyncio.to_thread(_make_garbage, int(ms * 8_000))
    with block("garbage"):
        gc.collect()  # block: garbage
    gc.enable()


def _make_garbage(count: int) -> None:
    for _ in range(count):
        Node()


@situation("import")
async def lazy_import(ms: float) -> None:
    name = f"slow_module_{time.perf_counter_ns()}"
    (FOLDER / f"{name}.py").write_text(f"import time\ntime.sleep({ms / 1000})\n")
    importlib.invalidate_caches()
    with block("lazy-import", ms):
        __import__(name)  # block: lazy-import


@situation("logging")
async def slow_log_handler(ms: float) -> None:
    with block("slow-log-handler", ms):
        LOG.warning("waited %s", ms / 1000)  # block: slow-log-handler


@situation("dns", fixed_ms=1000, reached="dns")
async def dns(ms: float) -> None:
    with block("dns", 1000):
        try:
            socket.getaddrinfo(f"x{time.perf_counter_ns()}.example", 80)  # block: dns
        except OSError:
            return
