"""In a container the application is installed like any library, and nobody is on this machine."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.packaging.installations import Installation, Run, line_of

pytestmark = pytest.mark.timeout(300)  # the first test waits for pip
API = "/_diagnostics/api"
BRIDGE = "172.17.0.1"  # how the host's browser looks from within, under Docker


def _only_finding(run: Run, rule: str) -> dict[str, Any]:
    """Give the finding of a rule in the last answer, a list of findings."""
    found = json.loads(run.answers[-1]["body"])["findings"]
    [finding] = [finding for finding in found if finding["rule"] == rule]
    return finding


@pytest.mark.parametrize(
    ("url", "rule", "module", "code"),
    [
        ("/price/salt", "EXC101", "prices.py", "return PRICES[name]"),
        ("/own-loop", "SQL101", "titles.py", "found += [book.title for book in author.books]"),
        ("/stripped", "RES101", "titles.py", 'return {"text": "Tea", "author": "Ada"}'),
    ],
)
def test_a_defect_of_an_installed_application_is_found_at_its_own_line(
    container: Installation, elsewhere: Path, url: str, rule: str, module: str, code: str
) -> None:
    run = container.drive("shopapi.main:app", elsewhere, url, f"{API}/findings")

    location = _only_finding(run, rule)["location"]
    file = container.packages / "shopapi" / module
    assert (location["file"], location["line"]) == (str(file), line_of(file, code))
    assert location["code"] == code


def test_the_page_of_a_finding_shows_the_source_of_an_installed_application(
    container: Installation, elsewhere: Path
) -> None:
    listed = container.drive("shopapi.main:app", elsewhere, "/price/salt", f"{API}/findings")
    finding = _only_finding(listed, "EXC101")

    # Another process, which has not yet seen a request.
    run = container.drive(
        "shopapi.main:app", elsewhere, f"/_diagnostics/findings/{finding['fingerprint']}"
    )

    assert run.answers[0]["status"] == 200
    assert "price_of" in run.answers[0]["body"]
    assert "is not a Python file of this project" not in run.answers[0]["body"]


def test_a_library_in_the_same_place_is_still_a_library(
    container: Installation, elsewhere: Path
) -> None:
    run = container.drive("shopapi.main:app", elsewhere, "/loop-of-the-core", f"{API}/findings")

    location = _only_finding(run, "SQL101")["location"]
    file = container.packages / "shopapi" / "titles.py"
    assert (location["file"], location["line"]) == (str(file), line_of(file, "return titles_of("))


def test_a_second_package_is_the_users_where_it_is_named(
    container: Installation, elsewhere: Path
) -> None:
    run = container.drive(
        "shopapi.main:with_core", elsewhere, "/loop-of-the-core", "/price/salt", f"{API}/findings"
    )

    location = _only_finding(run, "SQL101")["location"]
    file = container.packages / "shopcore" / "catalogue.py"
    assert (location["file"], location["line"]) == (str(file), line_of(file, "in author.books]"))
    assert location["code"] == "found += [book.title for book in author.books]"
    # and the application's own package is not forgotten for it
    assert _only_finding(run, "EXC101")["location"]["code"] == "return PRICES[name]"


@pytest.mark.parametrize("url", ["/_diagnostics/", f"{API}/findings"])
def test_the_host_is_told_where_to_find_the_link(
    container: Installation, elsewhere: Path, url: str
) -> None:
    run = container.drive(
        "shopapi.main:app", elsewhere, "/price/salt", {"url": url, "peer": BRIDGE}
    )

    refused = run.answers[1]
    assert refused["status"] == 403
    assert "Open the link printed in the server's terminal." in refused["body"]
    assert "PRICES" not in refused["body"]


def test_the_printed_link_opens_the_pages_for_the_host(
    container: Installation, elsewhere: Path
) -> None:
    started = container.drive("shopapi.main:app", elsewhere, "/price/salt")
    token = (elsewhere / ".fastapi_diagnostics" / "token").read_text().strip()
    login = {
        "url": "/_diagnostics/login",
        "method": "POST",
        "peer": BRIDGE,
        "headers": {
            "content-type": "application/x-www-form-urlencoded",
            "origin": "http://localhost:8000",
        },
        "body": f"token={quote(token, safe='')}",
    }

    [entered] = container.drive("shopapi.main:app", elsewhere, login).answers

    assert f"/_diagnostics/login#token={token}" in started.stderr
    assert (entered["status"], entered["headers"]["location"]) == (303, "/_diagnostics/")
    cookie, _, attributes = entered["headers"]["set-cookie"].partition(";")
    assert token not in cookie
    assert {"HttpOnly", "SameSite=Strict", "Path=/_diagnostics"} <= {
        attribute.strip() for attribute in attributes.split(";")
    }
    page = {"url": "/_diagnostics/", "peer": BRIDGE, "headers": {"cookie": cookie}}
    [opened] = container.drive("shopapi.main:app", elsewhere, page).answers
    assert opened["status"] == 200
    assert "EXC101" in opened["body"]


def test_a_wrong_token_opens_nothing(container: Installation, elsewhere: Path) -> None:
    login = {
        "url": "/_diagnostics/login",
        "method": "POST",
        "peer": BRIDGE,
        "body": "token=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    }

    run = container.drive("shopapi.main:app", elsewhere, login)

    assert run.answers[0]["status"] == 403
    assert "set-cookie" not in run.answers[0]["headers"]
