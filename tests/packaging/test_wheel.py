"""The wheel: holds what is needed and no more, and works where nothing else is installed."""

import json
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.installations import ROOT, SHOPS, Distributions, Installation, line_of

pytestmark = pytest.mark.timeout(300)  # the first test waits for pip
API = "/_diagnostics/api"


def _files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def _tracked(folder: str) -> set[str]:
    paths = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in paths if "__pycache__" not in path.parts}


def test_the_wheel_holds_every_template_and_static_file(distributions: Distributions) -> None:
    wanted = {
        name.replace("dashboard/", "fastapi_diagnostics/_dashboard/", 1)
        for name in _tracked("dashboard") - {"dashboard/README.md"}
    }

    assert "fastapi_diagnostics/_dashboard/templates/base.html" in wanted
    assert wanted - _files_of(distributions.wheel) == set()


def test_the_wheel_holds_the_package_and_nothing_else(distributions: Distributions) -> None:
    files = _files_of(distributions.wheel)

    package = {name for name in files if not name.startswith("fastapi_diagnostics/_dashboard/")}
    metadata = {name for name in package if ".dist-info/" in name}
    assert package - metadata == {name.removeprefix("src/") for name in _tracked("src")}
    assert "fastapi_diagnostics/py.typed" in package
    assert any(name.endswith("licenses/LICENSE") for name in metadata)


def test_the_source_distribution_holds_what_it_takes_to_work_on_it(
    distributions: Distributions,
) -> None:
    with tarfile.open(distributions.sdist) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}

    wanted = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile", "make.py"}
    assert wanted - files == set()
    assert {
        "tests/packaging/test_wheel.py",
        "demo_app/main.py",
        "docs/settings.md",
    } - files == set()
    assert not any("__pycache__" in name or ".fastapi_diagnostics" in name for name in files)


def test_no_more_is_installed_than_is_declared(installed: Installation) -> None:
    names = {
        row["name"].lower()
        for row in json.loads(installed.run("-m", "pip", "list", "--format=json"))
    }

    declared = {"fastapi", "starlette", "sqlalchemy", "jinja2", "structlog", "msgspec"}
    assert declared <= names
    assert not names & {"greenlet", "aiosqlite", "uvicorn", "httpx", "sqlmodel", "python-multipart"}


def test_the_pages_work_from_the_wheel(installed: Installation, elsewhere: Path) -> None:
    shutil.copy(SHOPS / "plain_shop.py", elsewhere)

    run = installed.drive(
        "plain_shop:app", elsewhere, "/prices/salt", "/_diagnostics/", f"{API}/findings"
    )

    failed, page, listed = run.answers
    assert failed["status"] == 500
    assert page["status"] == 200
    assert "EXC101" in page["body"]
    assert "KeyError" in page["body"]
    [finding] = json.loads(listed["body"])["findings"]
    assert finding["location"]["file"] == "plain_shop.py"
    assert finding["location"]["code"] == "return PRICES[name]"


def test_every_page_of_a_finding_works_from_the_wheel(
    installed: Installation, elsewhere: Path
) -> None:
    shutil.copy(SHOPS / "plain_shop.py", elsewhere)
    first = installed.drive(
        "plain_shop:app", elsewhere, "/prices/salt", f"{API}/findings", "/_diagnostics/"
    )
    [finding] = json.loads(first.answers[1]["body"])["findings"]
    linked = set(
        re.findall(r'(?:href|src)="(/_diagnostics/static/[^"]+)"', first.answers[2]["body"])
    )

    request = first.answers[0]["headers"]["x-diagnostics-id"]
    second = installed.drive(
        "plain_shop:app",
        elsewhere,
        f"/_diagnostics/findings/{finding['fingerprint']}",
        f"/_diagnostics/requests/{request}",
        "/_diagnostics/requests",
        "/_diagnostics/rules",
        "/_diagnostics/rules/EXC101",
        "/_diagnostics/status",
        f"{API}/findings/{finding['fingerprint']}",
        *sorted(linked),
    )

    assert {answer["status"] for answer in second.answers} == {200}
    assert "return PRICES[name]" in re.sub("<[^>]+>", "", second.answers[0]["body"])
    assert {Path(url.partition("?")[0]).suffix for url in linked} >= {".css", ".js"}
    assert all(answer["body"] for answer in second.answers)


def test_importing_the_package_does_not_import_sqlalchemy(installed: Installation) -> None:
    loaded = installed.run("-c", "import fastapi_diagnostics, sys; print(*sys.modules)").split()

    assert "fastapi_diagnostics.wiring" in loaded
    assert "sqlalchemy" not in loaded


def test_an_application_without_sqlalchemy_is_told_that_sql_is_not_in_use(
    installed: Installation, elsewhere: Path
) -> None:
    shutil.copy(SHOPS / "plain_shop.py", elsewhere)

    run = installed.drive("plain_shop:app", elsewhere, "/prices/tea", f"{API}/status")

    assert "sqlalchemy" not in run.modules
    [hook] = [hook for hook in json.loads(run.answers[1]["body"])["hooks"] if hook["name"] == "SQL"]
    assert hook["on"] is False
    assert hook["why"] == "SQLAlchemy is not imported"


def test_sql_is_watched_without_greenlet(installed: Installation, elsewhere: Path) -> None:
    file = Path(shutil.copy(SHOPS / "sql_shop.py", elsewhere))

    run = installed.drive("sql_shop:app", elsewhere, "/titles", f"{API}/findings?rule=SQL101")

    assert "greenlet" not in run.modules
    [finding] = json.loads(run.answers[1]["body"])["findings"]
    assert finding["location"]["file"] == "sql_shop.py"
    assert finding["location"]["line"] == line_of(file, "in author.books]")
    assert finding["evidence"]["count"] == 5


def test_the_rules_can_be_read_on_the_command_line(installed: Installation) -> None:
    assert "EXC101" in installed.run("-m", "fastapi_diagnostics", "rules")
    assert "unhandled-exception" in installed.run("-m", "fastapi_diagnostics", "rule", "EXC101")


def test_a_missing_dashboard_says_so(installed: Installation, tmp_path: Path) -> None:
    package = tmp_path / "fastapi_diagnostics"
    shutil.copytree(
        installed.packages / "fastapi_diagnostics",
        package,
        ignore=shutil.ignore_patterns("_dashboard", "__pycache__"),
    )
    program = (
        "from fastapi_diagnostics.outputs.dashboard.assets import dashboard_dir; dashboard_dir()"
    )

    done = subprocess.run(  # noqa: S603 - our own program
        [installed.python, "-c", program],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )

    assert "FileNotFoundError: no dashboard templates in" in done.stderr
