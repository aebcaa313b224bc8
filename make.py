"""The project's commands; the Makefile only calls this file, so they also run without make.

    python make.py demo           start the demo application and print the link
    python make.py test           run the tests
    python make.py check          lint, types, import contracts, generated pages
    python make.py versions       the tests of the collectors on FastAPI 0.115, 0.128 and current
    python make.py transparency   FastAPI's and Starlette's own test suites with us around every app
    python make.py corpus         a labelled corpus: http, loop, sql sqlite, or sql postgresql
    python make.py benchmark      what we cost, with and without us in turns

Each command makes its own virtual environment at the first run and needs nothing but Python.
"""

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST = (3, 11)
VERSIONS = {
    "0.115": (
        "fastapi==0.115.6",
        "starlette==0.41.3",
        "pydantic==2.10.6",
        "sqlalchemy==2.0.36",
        "anyio<4.13",  # newer ones deprecate a name that old Starlette imports
    ),
    "0.128": ("fastapi==0.128.8", "starlette==0.50.0", "pydantic==2.12.5", "anyio<4.13"),
    "current": (),
}
VERSION_WARNINGS = {
    # The test client of old Starlette leaves streams open, which newer anyio tells.
    "0.115": ("-W", "ignore:Unclosed <MemoryObject:ResourceWarning"),
}
VERSION_TESTS = (
    *("tests/collectors", "tests/rules", "tests/integration"),
    *("tests/corpus/http", "tests/corpus/tasks"),
)


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    if sys.version_info < OLDEST:
        print(f"Python {'.'.join(map(str, OLDEST))} or newer is needed, this is {sys.version}.")
        return 2
    commands = {
        "demo": demo,
        "test": test,
        "check": check,
        "versions": versions,
        "transparency": transparency,
        "corpus": corpus,
        "benchmark": benchmark,
        "clean": clean,
    }
    if not arguments or arguments[0] not in commands:
        print(__doc__)
        return 2
    return commands[arguments[0]](list(arguments[1:]))


def demo(arguments: list[str]) -> int:
    """Start the demo application, send it traffic and print the link."""
    return run(environment("demo", groups=()), "-m", "demo_app", *arguments)


def test(arguments: list[str]) -> int:
    """Run the tests."""
    return run(environment(), "-m", "pytest", *arguments)


def check(_: list[str]) -> int:
    """Lint, types, import contracts, generated pages."""
    python = environment()
    steps = (
        ("-m", "ruff", "check", "."),
        ("-m", "ruff", "format", "--check", "."),
        ("-m", "mypy"),
        ("-m", "importlinter.cli", "lint"),
        ("-m", "fastapi_diagnostics", "pages", "--check"),
    )
    return max(run(python, *step) for step in steps)


def versions(arguments: list[str]) -> int:
    """Run the tests that depend on FastAPI's insides on each supported release."""
    codes = []
    for name, pins in VERSIONS.items():
        print(f"--- FastAPI {name}", flush=True)
        python = environment(name, pins=pins)
        warnings = VERSION_WARNINGS.get(name, ())
        codes.append(run(python, "-m", "pytest", "-q", *warnings, *VERSION_TESTS, *arguments))
    return max(codes)


def transparency(arguments: list[str]) -> int:
    """Run FastAPI's and Starlette's own suites with and without us and compare outcomes."""
    return run(Path(sys.executable), "-m", "tests.transparency", *arguments)


def corpus(arguments: list[str]) -> int:
    """Run the labelled corpus of a family; that of the database takes the database's name."""
    # As make has them, FAMILY=sql DB=sqlite, or the words alone.
    family, *database = [word.rpartition("=")[2] for word in arguments] or ["http"]
    if not (ROOT / "tests" / "corpus" / family / "__main__.py").is_file():
        print(f"There is no corpus for {family!r}; there are http, loop and sql.")
        return 2
    options = ["--db", *database] if family == "sql" and database else []
    return run(environment(), "-m", f"tests.corpus.{family}", *options)


def benchmark(arguments: list[str]) -> int:
    """Measure what we cost."""
    python = environment()
    missed = run(python, "-m", "benchmarks.overhead", *arguments)
    return missed or run(python, "-m", "benchmarks.callbacks")


def clean(_: list[str]) -> int:
    """Remove the virtual environments made by these commands."""
    import shutil  # noqa: PLC0415 - needed by this command only

    for folder in ROOT.glob(".venv*"):
        shutil.rmtree(folder)
    return 0


def environment(
    name: str = "", *, pins: Sequence[str] = (), groups: Sequence[str] = ("dev",)
) -> Path:
    """Make a virtual environment unless it is there and up to date; return its Python."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = ROOT / f".venv-{version}{'-' + name if name else ''}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "installed"
    wanted = _fingerprint(pins, groups)
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"Setting up {folder.name} (once) ...", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    _install(python, "--upgrade", "pip>=25.1")
    options = [item for group in groups for item in ("--group", group)]
    _install(python, "--editable", ".[demo]", *options, *pins)
    stamp.write_text(wanted)
    return python


def run(python: Path, *arguments: str) -> int:
    """Run Python in the project's root; Ctrl-C reaches the program, which ends by itself."""
    process = subprocess.Popen([python, *arguments], cwd=ROOT)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def _install(python: Path, *arguments: str) -> None:
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *arguments], cwd=ROOT, check=True)


def _fingerprint(pins: Sequence[str], groups: Sequence[str]) -> str:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return hashlib.sha256("\n".join([text, *pins, *groups]).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
