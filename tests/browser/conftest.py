"""A real browser: Chromium, found on the machine, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fastapi_diagnostics.callsite import USER_CODE
from tests.browser.playwright_api import playwright_api
from tests.outputs.backends import FakeBackend, application, guarded
from tests.serving import serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
DESKTOP = {"width": 1280, "height": 720}


@pytest.fixture(scope="package")
def browser() -> Iterator["Browser"]:
    """Start one Chromium for all tests here; without one they are skipped, but not under CI.

    Not for the session: while Playwright is open its event loop counts as running in this thread,
    and no asynchronous test could run.
    """
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    with playwright_api().sync_playwright() as playwright:
        bundled = Path(playwright.chromium.executable_path)
        if found is None and not bundled.exists() and not os.environ.get("CI"):
            pytest.skip("needs Chromium: apt install chromium, or playwright install chromium")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Complaints(list[str]):
    """What the browser complained of: console errors, refused resources, uncaught exceptions."""

    def watch(self, page: "Page") -> None:
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.append(f"uncaught: {error}"))
        page.on("dialog", lambda dialog: (self.append("dialog"), dialog.dismiss()))

    def _note(self, message: "ConsoleMessage") -> None:
        if message.type in {"error", "warning"}:
            self.append(f"{message.type}: {message.text}")


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    USER_CODE.reset()
    USER_CODE.add_root(Path(__file__).parents[1] / "outputs" / "sample")
    backend = FakeBackend()
    yield backend
    backend.store.close()
    USER_CODE.reset()


@pytest.fixture
def site(backend: FakeBackend) -> Iterator[str]:
    """Serve both outputs, with the security headers that the middleware adds."""
    with serve(guarded(application(backend))) as url:
        yield f"{url}{backend.prefix}/"


@pytest.fixture
def page(
    browser: "Browser",
    complaints: Complaints,
    site: str,  # noqa: ARG001 - the server must outlive the page, which polls
) -> Iterator["Page"]:
    """Open a tab of its own profile; whatever it complains of fails the test."""
    context = browser.new_context(viewport=DESKTOP, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints.watch(page)
    yield page
    context.close()
    assert complaints == []
