"""The wheel as users get it, and a Python that has it and nothing else."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.packaging.installations import ROOT, SHOPS, Distributions, Installation

_PACKAGE = """
[build-system]
requires = ["hatchling>=1.27,<2"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "1"
"""


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Build the source distribution, and from that the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own
    [wheel] = folder.glob("*.whl")
    [sdist] = folder.glob("*.tar.gz")
    return Distributions(wheel=wheel, sdist=sdist)


@pytest.fixture(scope="session")
def installed(
    distributions: Distributions, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """Install the wheel, with what it declares and no extra, into a new environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    installation = Installation(folder)
    installation.install(str(distributions.wheel))
    return installation


@pytest.fixture(scope="session")
def container(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Install an application beside it, as images of containers are made."""
    source = tmp_path_factory.mktemp("source")
    for name in ("shopapi", "shopcore"):
        shutil.copytree(
            SHOPS / name, source / name / name, ignore=shutil.ignore_patterns("__pycache__")
        )
        (source / name / "pyproject.toml").write_text(_PACKAGE.format(name=name))
        installed.install("--no-deps", str(source / name))
    return installed


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A working directory that has nothing to do with any project."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder
