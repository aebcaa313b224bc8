"""A child that is forked inside a request can serve, record and look; nobody waits for a lock."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("fork_run.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("store", ["sqlite:///kept/diagnostics.db", "memory:"])
def test_forking_in_a_request(tmp_path, store) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "kept").mkdir()
    environ = os.environ | {"FASTAPI_DIAGNOSTICS_STORE_URL": store, "CI": "1"}

    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(SCRIPT)],
        capture_output=True,
        env=environ,
        cwd=tmp_path,
        timeout=55,
        check=False,
    )

    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert [one["own"] for one in told["children"]] == [True] * 20, told["children"]
    assert all(one["faults"] == [] for one in told["children"])
    assert len({one["id"] for one in told["children"]}) == 20
    assert told["own"] == 20 * 9
    assert told["faults"] == []
    assert told["seen"] == [store != "memory:"] * 20  # only a store on disk is shared
