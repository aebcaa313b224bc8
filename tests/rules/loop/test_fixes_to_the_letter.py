"""The line that a fix writes is put into the file; what it did it still does, and holds nothing."""

import asyncio
import importlib.util
import os
import sys
from collections.abc import Iterator
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

HEAD = """
import asyncio, hashlib, sqlite3, subprocess, time
from starlette.concurrency import run_in_threadpool

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
}


@pytest.fixture(autouse=True)
def _watched(tmp_path: Path) -> Iterator[None]:
    with installed(event_loop, root=tmp_path):
        yield


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
    lines[finding.fix.location.line - 1] = old[: len(old) - len(old.lstrip())] + finding.fix.code

    after, findings = findings_of(endpoint_of(tmp_path / "mended.py", "\n".join(lines)))

    assert after == before
    assert findings == []
