"""Which releases are tried, what their test suites need, and how a suite is laid out on disk."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from make import ROOT, environment

CACHE = ROOT / ".transparency"


@dataclass(frozen=True)
class Release:
    """A release whose own test suite is run.

    Attributes:
        suite: The distribution, which is also the name of its package folder.
        version: Of the distribution, or "current" for the newest one that pip finds.
        requirements: What its tests need. What only lints or measures coverage is left out.
        headers: Whether our two response headers are on. Starlette's tests compare header lists
            exactly, so there they are off.
        python_path: Folder of the suite to be put on the path, as its own scripts do.
        parallel: Whether its tests may run in several processes; in old releases several tests
            write the same file.
    """

    suite: str
    version: str
    requirements: tuple[str, ...]
    headers: bool
    python_path: str = ""
    parallel: bool = True

    @property
    def name(self) -> str:
        """Such as "fastapi-0.115.6"."""
        return f"{self.suite}-{self.version}"


# Old releases: newer anyio deprecates a name that they import, and their warnings are errors.
_RUNNERS = ("pytest-xdist>=3.6", "pytest-timeout>=2.3")
_FASTAPI_TESTS = (
    *_RUNNERS,
    "a2wsgi>=1.9,<=2.0",
    "coverage>=6.5",
    "dirty-equals>=0.9",
    "flask>=3,<4",
    "inline-snapshot>=0.21.1",
    "orjson>=3.9",
    "pwdlib[argon2]>=0.2.1",
    "pyjwt>=2.9",
    "pytest-codspeed>=4.2",
    "pyyaml>=5.3.1,<7",
    "sqlmodel>=0.0.31",
    "strawberry-graphql>=0.200,<1",
    "ujson>=5.8",
)
RELEASES = (
    Release(
        "fastapi",
        "current",
        (
            *_FASTAPI_TESTS,
            "fastapi[all]",
            "anyio[trio]>=4.1,<5",
            "httpx2>=2",
            "logfire>=5.1",
            "opentelemetry-exporter-otlp-proto-http>=1.44",
            "opentelemetry-instrumentation-fastapi>=0.65b0",
            "opentelemetry-sdk>=1.44",
            "pytest>=9,<9.2",
            "python-slugify>=8.0.4",
            "sentry-sdk>=2.70",
            "typer>=0.26.1",
        ),
        headers=True,
        python_path="docs_src",
    ),
    Release(
        "fastapi",
        "0.128.8",
        (
            *_FASTAPI_TESTS,
            "fastapi[all]==0.128.8",
            "starlette==0.50.0",
            "pydantic==2.12.5",
            "anyio[trio]>=4,<4.13",
            "httpx<1",
            "pytest>=8,<9",
        ),
        headers=True,
        python_path="docs_src",
        parallel=False,
    ),
    Release(
        "fastapi",
        "0.115.6",
        (
            *_RUNNERS,
            "fastapi[all]==0.115.6",
            "starlette==0.41.3",
            "pydantic==2.10.6",
            "anyio[trio]>=3.7,<4",
            "bcrypt<4.1",
            "coverage>=6.5",
            "dirty-equals==0.6.0",
            "flask>=3,<4",
            "httpx<0.28",
            "inline-snapshot==0.13.0",
            "passlib[bcrypt]>=1.7.2,<2",
            "PyJWT==2.8.0",
            "pytest>=8,<9",
            "pyyaml>=5.3.1,<7",
        ),
        headers=True,
        python_path="docs_src",
        parallel=False,
    ),
    Release(
        "starlette",
        "current",
        (
            *_RUNNERS,
            "starlette[full]",
            "blockbuster>=1.5.23",
            "httpx2[zstd]>=2",
            "importlib-metadata>=9",
            "opentelemetry-sdk>=1.44",
            "pytest>=9.1",
            "pytest-codspeed>=4.1",
            "trio>=0.34",
        ),
        headers=False,
    ),
    Release(
        "starlette",
        "0.41.3",
        (
            *_RUNNERS,
            "starlette[full]==0.41.3",
            "fastapi==0.115.6",
            "pydantic==2.10.6",
            "anyio>=4,<4.13",
            "httpx<0.28",
            "importlib-metadata>=8.5",
            "pytest>=8.3,<9",
            "trio>=0.26",
        ),
        headers=False,
    ),
)


@dataclass(frozen=True)
class Suite:
    """A release that is ready to be tested.

    Attributes:
        python: Of the virtual environment that holds the release and us.
        version: The installed one, never "current".
        archive: Source distribution with the tests.
    """

    release: Release
    python: Path
    version: str
    archive: Path

    @property
    def folder(self) -> Path:
        """Where the suite is unpacked; the same in both runs, as tests print paths."""
        return CACHE / "suites" / f"{self.release.suite}-{self.version}"

    @property
    def reports(self) -> Path:
        """Where logs and outcomes of the runs are written."""
        return CACHE / "reports" / f"{self.release.suite}-{self.version}"

    def unpack(self) -> Path:
        """Lay out the suite afresh, for tests leave files behind.

        The package's own folder is moved aside, so that the installed release is tested.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(self.archive) as archive:
            archive.extractall(self.folder.parent, filter="data")
        package = self.folder / self.release.suite
        package.rename(package.with_name(f"{self.release.suite}_moved_aside"))
        return self.folder


def prepare(release: Release) -> Suite:
    """Make the environment and fetch the source distribution, each only once."""
    python = environment(f"transparency-{release.name}", pins=release.requirements, groups=())
    version = _installed_version(python, release.suite)
    return Suite(release, python, version, _archive(python, release.suite, version))


def clean_environ(additions: Mapping[str, str]) -> dict[str, str]:
    """Copy the environment without what would change a run of pytest or our own settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FASTAPI_DIAGNOSTICS", "PYTEST", "PYTHONPATH"))
    }
    return kept | dict(additions)


def _installed_version(python: Path, distribution: str) -> str:
    code = f"from importlib.metadata import version; print(version({distribution!r}))"
    command = [python, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return done.stdout.strip()


def _archive(python: Path, distribution: str, version: str) -> Path:
    folder = CACHE / "archives"
    archive = folder / f"{distribution}-{version}.tar.gz"
    if not archive.exists():
        print(f"Fetching {archive.name} (once) ...", flush=True)  # noqa: T201 - takes a while
        command = [python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        options = ["--no-deps", f"--no-binary={distribution}", "--dest", folder]
        command += [*options, f"{distribution}=={version}"]
        subprocess.run(command, check=True)  # noqa: S603 - pip, with names from above
    if not archive.exists():
        sys.exit(f"pip left no {archive.name}: the release has no source distribution there.")
    return archive
