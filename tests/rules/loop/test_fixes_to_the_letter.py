"""The line that a fix writes is put into the file; what it did it still does, and holds nothing."""

import asyncio
import importlib.util
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.rules.loop.blocked_event_loop import check
from fastapi_diagnostics.source import complete
from fastapi_diagnostics.source_files import look_again
from tests.collectors.event_loop_requests import request, run
from tests.installed import installed

SLOW_S = 0.12
HEAD = """
import hashlib, os, subprocess, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import httpx

POOL = ThreadPoolExecutor(1)

class Key:
    def __init__(self, text):
        time.sleep(0.12)
        self.text = text

def digest():
    return hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 400_000)

"""
DEFECTS = {
    "a statement": "    time.sleep(0.12)  # why\n    return 1",
    "an attribute of what is returned": (
        '    return hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 400_000).hex()'
    ),
    "an argument": (
        '    return len(hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 400_000))  # bytes'
    ),
    "a condition": (
        '    if hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 400_000):\n'
        '        return "hashed"'
    ),
    "a helper": "    key = digest()[:4]\n    return key",
    "a class": '    key = Key("a").text\n    return key',
    "a process": '    done = subprocess.run(["sleep", "0.12"])\n    return done.returncode',
    "a process that was started": (
        '    process = subprocess.Popen(["sleep", "0.12"])\n    return process.wait()'
    ),
    "a shell": '    return os.system("sleep 0.12; exit 3")',
    "a future": "    future = POOL.submit(time.sleep, 0.12)\n    return [future.result()]",
    "a future with a limit": (
        "    future = POOL.submit(time.sleep, 0.12)\n    return future.result(timeout=9)"
    ),
    "a pipe": '    return Path(os.environ["SLOW_PIPE"]).read_text()',
    "a path": '    slow = Path(os.environ["SLOW_PIPE"])\n    return slow.read_text()',
    "a request": '    answer = httpx.get(os.environ["SLOW_URL"])\n    return answer.text',
    "a client": (
        "    with httpx.Client() as client:\n"
        '        return client.get(os.environ["SLOW_URL"]).status_code'
    ),
}


@pytest.fixture(autouse=True)
def _watched(tmp_path: Path) -> Iterator[None]:
    with installed(event_loop, root=tmp_path):
        yield


@pytest.fixture(autouse=True)
def _slow_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), SlowAnswer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("SLOW_URL", f"http://127.0.0.1:{server.server_port}/")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _slow_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pipe, enough = tmp_path / "pipe", threading.Event()
    os.mkfifo(pipe)
    thread = threading.Thread(target=feed, args=(pipe, enough))
    thread.start()
    monkeypatch.setenv("SLOW_PIPE", str(pipe))
    yield
    enough.set()
    last = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    thread.join()
    os.close(last)


class SlowAnswer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(SLOW_S)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"at last")

    def log_message(self, *_: object) -> None:
        """It says nothing."""


def feed(pipe: Path, enough: threading.Event) -> None:
    """Write into a pipe for each one who reads from it; a new pipe each time."""
    while True:
        with pipe.open("w") as end:  # waits for somebody who reads
            if enough.is_set():
                return
            time.sleep(SLOW_S)
            end.write("at last")
            pipe.unlink()
            os.mkfifo(pipe)


def endpoint_of(path: Path, text: str) -> Any:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (0, 0))  # before this process began, as a file that it imported
    look_again()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = ModuleType(path.stem)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module.endpoint  # type: ignore[attr-defined]


def findings_of(endpoint: Any) -> tuple[Any, list[Finding]]:
    answers: list[Any] = []

    async def serve() -> None:
        answers.append(await endpoint())

    record = run(request("r1", serve), asyncio.new_event_loop)
    return answers[0], [complete(finding) for finding in check(record)]


@pytest.mark.parametrize("body", DEFECTS.values(), ids=DEFECTS)
def test_the_line_can_be_replaced_as_it_stands(body: str, tmp_path: Path) -> None:
    text = f"{HEAD}async def endpoint():\n{body}\n"
    before, (finding,) = findings_of(endpoint_of(tmp_path / "defect.py", text))
    assert finding.fix is not None
    assert finding.fix.location is not None
    assert finding.fix.replaces == ""
    lines = text.splitlines()
    old = lines[finding.fix.location.line - 1]
    indent = old[: len(old) - len(old.lstrip())]
    lines[finding.fix.location.line - 1] = textwrap.indent(finding.fix.code, indent)
    lines[:0] = finding.fix.imports

    after, findings = findings_of(endpoint_of(tmp_path / "mended.py", "\n".join(lines)))

    assert after == before
    assert findings == []


COMPUTING = """
import sys
from concurrent.futures import ProcessPoolExecutor

def crunch(limit, step=1):
    total = 0
    for number in range(0, limit, step):
        total += number * number
    return total

"""
MAIN = """
if __name__ == "__main__":
    process_pool = ProcessPoolExecutor(1)  # as the summary of the fix says
    print(asyncio.run(endpoint()))
"""


@pytest.mark.parametrize("call", ["crunch(4_000_000)", "crunch(8_000_000, step=2)"])
def test_what_computes_gives_the_same_in_a_process_pool(call: str, tmp_path: Path) -> None:
    text = f"{COMPUTING}async def endpoint():\n    return {call} + 1\n"
    before, (finding,) = findings_of(endpoint_of(tmp_path / "defect.py", text))
    assert finding.fix is not None
    assert finding.fix.location is not None
    assert "`process_pool` is a `concurrent.futures.ProcessPoolExecutor`" in finding.fix.summary
    lines = text.splitlines()
    lines[finding.fix.location.line - 1] = f"    {finding.fix.code}"
    mended = tmp_path / "mended.py"
    mended.write_text("\n".join([*finding.fix.imports, *lines, "", MAIN]), encoding="utf-8")

    after = subprocess.run(  # noqa: S603 - a file that this test has written
        [sys.executable, mended], capture_output=True, text=True, check=True
    )

    assert after.stdout.strip() == str(before)
