"""The pages and their URLs."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fastapi_diagnostics.outputs.backend import Backend
from fastapi_diagnostics.outputs.dashboard.application import application_page
from fastapi_diagnostics.outputs.dashboard.assets import render, static_files
from fastapi_diagnostics.outputs.dashboard.finding import finding_page
from fastapi_diagnostics.outputs.dashboard.inbox import inbox
from fastapi_diagnostics.outputs.dashboard.loop import loop_page
from fastapi_diagnostics.outputs.dashboard.request import request_page
from fastapi_diagnostics.outputs.dashboard.requests import request_list
from fastapi_diagnostics.outputs.dashboard.responses import responses_page
from fastapi_diagnostics.outputs.dashboard.rules import rule_list, rule_page
from fastapi_diagnostics.outputs.dashboard.shell import Frame, NavEntry, frame_for
from fastapi_diagnostics.outputs.dashboard.statements import statement_list
from fastapi_diagnostics.outputs.dashboard.status import status_page
from fastapi_diagnostics.outputs.dashboard.validation import validation_page
from fastapi_diagnostics.outputs.resource import AnswerError, Resource
from fastapi_diagnostics.outputs.threads import in_thread

DRAIN_S = 1.0
"""How long a page waits for what this worker has recorded before."""
ERROR_TITLES = {
    404: "Not here",
    405: "Not like this",
    422: "This address asks for what there is not",
    500: "This page failed",
}

_PARAMETER = re.compile(r"{(\w+)}")

View = Callable[..., Any]


class Page(msgspec.Struct, frozen=True):
    """A page: all that has to be written to add one, besides its view and its template.

    Attributes:
        path: Below the prefix; a part in braces is given to the view.
        section: Names its part of the pages; with a label it stands in the navigation.
        key: Pressed after ``g`` leads there.
    """

    path: str
    template: str
    view: View
    section: str
    label: str = ""
    key: str = ""


PAGES = (
    Page("/", "inbox.html", inbox, "findings", "Findings", "f"),
    Page("/findings", "inbox.html", inbox, "findings"),
    Page("/findings/{fingerprint}", "finding.html", finding_page, "findings"),
    Page("/requests", "requests.html", request_list, "requests", "Requests", "r"),
    Page("/requests/{id}", "request.html", request_page, "requests"),
    Page("/queries", "statements.html", statement_list, "queries", "Queries", "q"),
    Page("/loop", "loop.html", loop_page, "loop", "Event loop", "e"),
    Page("/validation", "validation.html", validation_page, "validation", "Validation", "v"),
    Page("/responses", "responses.html", responses_page, "responses", "Responses", "p"),
    Page("/application", "application.html", application_page, "application", "Application", "a"),
    Page("/rules", "rules.html", rule_list, "rules", "Rules", "l"),
    Page("/rules/{code}", "rule.html", rule_page, "rules"),
    Page("/status", "status.html", status_page, "status", "Status", "s"),
)
NAVIGATION = tuple(
    NavEntry(section=page.section, label=page.label, path=page.path, key=page.key)
    for page in PAGES
    if page.label
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def dashboard_routes(backend: Backend, *, clock: Callable[[], datetime] = _utc_now) -> list[Route]:
    """List the routes below the prefix.

    The last one takes every other path: put the routes of the JSON API before these.
    """
    pages = _Pages(backend, clock)
    routes = [Route(page.path, pages.resource(page)) for page in PAGES]
    static = Resource("dashboard static", {"GET": _static}, pages.error)
    nowhere = Resource("dashboard", {"GET": _nowhere}, pages.error)
    return [*routes, Route("/static/{name}", static), Route("/{rest:path}", nowhere)]


class _Pages:
    """Renders pages in threads."""

    def __init__(self, backend: Backend, clock: Callable[[], datetime]) -> None:
        self._backend = backend
        self._clock = clock

    def resource(self, page: Page) -> Resource:
        async def answer(request: Request) -> Response:
            return await in_thread(partial(self._page, request, page))

        return Resource(f"dashboard {page.template}", {"GET": answer}, self.error)

    async def error(self, request: Request, error: AnswerError) -> Response:
        """Answer with a page that says what is wrong."""
        return await in_thread(self._error_page, request, error)

    def _page(self, request: Request, page: Page) -> Response:
        self._backend.drain(DRAIN_S)
        arguments = [request.path_params[name] for name in _PARAMETER.findall(page.path)]
        shown = page.view(self._frame(request), *arguments)
        return _html(render(page.template, page=shown, shell=shown.shell))

    def _error_page(self, request: Request, error: AnswerError) -> Response:
        try:
            shell = self._frame(request).shell("Error", "")
            title = ERROR_TITLES.get(error.status, "Something is wrong")
            body = render("error.html", shell=shell, title=title, message=error.message)
        except Exception:  # noqa: BLE001 - what broke the page may break the error page, too
            return Response(error.message, error.status, media_type="text/plain")
        return _html(body, error.status)

    def _frame(self, request: Request) -> Frame:
        return frame_for(request, self._backend, NAVIGATION, self._clock())


async def _static(request: Request) -> Response:
    files = await in_thread(static_files)
    found = files.get(request.path_params["name"])
    if found is None:
        raise AnswerError(404, "not-found", "There is no such file.")
    return Response(found.data, media_type=found.media_type)


async def _nowhere(_request: Request) -> Response:
    raise AnswerError(404, "not-found", "There is no page at this address.")


def _html(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="text/html")
