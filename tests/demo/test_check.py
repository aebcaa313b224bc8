"""The demo leads to true sentences: every pair at its line, every twin and clean call silent."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(180)
def test_every_pair_is_found_at_its_line_and_every_twin_is_silent() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo_app", "--check", "--port", "0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "FAILED" not in done.stdout
