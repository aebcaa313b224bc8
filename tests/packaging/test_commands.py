"""``make.py``: runs on any Python of the supported ones, with nothing installed."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.packaging.installations import ROOT


def test_the_commands_are_listed_where_none_is_given(tmp_path: Path) -> None:
    program = shutil.copy(ROOT / "make.py", tmp_path)

    # -I -S: neither the project nor any installed package can be imported.
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", program],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 2
    assert "python make.py test" in done.stdout
    assert not list(tmp_path.glob(".venv*"))
