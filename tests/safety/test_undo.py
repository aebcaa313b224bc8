"""Undoing leaves the libraries, the loop and the interpreter exactly as they were."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("undo_run.py")
ROUTES = ["", "GET /query", "GET /thread", "GET /query"]


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    environ = os.environ | {"FASTAPI_DIAGNOSTICS_STORE_URL": "memory:", "CI": "1"}
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-W", "error", str(SCRIPT)],
        capture_output=True,
        env=environ,
        cwd=ROOT,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_what_is_compared_changes_by_our_doing_only(told) -> None:
    assert told["unstable"] == []
    assert len(told["first installed"]) > 20
    for part in ("fastapi.routing.", "starlette.background.", "anyio.to_thread.", "event Engine"):
        assert any(place.startswith(part) for place in told["first installed"]), part
    assert {"gc", "loop"} <= set(told["first installed"])


@pytest.mark.parametrize("turn", ["first", "second"])
def test_nothing_is_left_after_undoing(told, turn) -> None:
    assert told[f"{turn} left"] == []
    assert told[f"{turn} undone"]


@pytest.mark.parametrize("turn", ["first", "second"])
def test_it_works_the_first_time_and_when_it_is_installed_again(told, turn) -> None:
    assert told[f"{turn} answers"]
    assert [route for route, _ in told[f"{turn} recorded"]] == ROUTES
    assert [count for _, count in told[f"{turn} recorded"]] == [0, 1, 0, 1]


def test_installing_again_replaces_the_same_places(told) -> None:
    assert told["second installed"] == told["first installed"]
