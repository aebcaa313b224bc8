"""The pages and their URLs."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fastapi_diagnostics.outputs.backend import Backend
from fastapi_diagnostics.outputs.dashboard.assets import render, static_files
from fastapi_diagnostics.outputs.dashboard.finding import finding_page
from fastapi_diagnostics.outputs.dashboard.inbox import inbox
from fastapi_diagnostics.outputs.dashboard.request import request_page
from fastapi_diagnostics.outputs.dashboard.requests import request_list
from fastapi_diagnostics.outputs.dashboard.rules import rule_list, rule_page
from fastapi_diagnostics.outputs.dashboard.shell import Frame, frame_for
from fastapi_diagnostics.outputs.dashboard.status import status_page
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

View = Callable[..., Any]


def _utc_now() -> datetime:
    return datetime.now(UTC)


def dashboard_routes(backend: Backend, *, clock: Callable[[], datetime] = _utc_now) -> list[Route]:
    """List the routes below the prefix.

    The last one takes every other path: put the routes of the JSON API before these.
    """
    pages = _Pages(backend, clock)
    table: list[tuple[str, str, View, str | None]] = [
        ("/", "inbox.html", inbox, None),
        ("/findings", "inbox.html", inbox, None),
        ("/findings/{fingerprint}", "finding.html", finding_page, "fingerprint"),
        ("/requests", "requests.html", request_list, None),
        ("/requests/{id}", "request.html", request_page, "id"),
        ("/rules", "rules.html", rule_list, None),
        ("/rules/{code}", "rule.html", rule_page, "code"),
        ("/status", "status.html", status_page, None),
    ]
    routes = [
        Route(path, pages.resource(template, view, parameter))
        for path, template, view, parameter in table
    ]
    static = Resource("dashboard static", {"GET": _static}, pages.error)
    nowhere = Resource("dashboard", {"GET": _nowhere}, pages.error)
    return [*routes, Route("/static/{name}", static), Route("/{rest:path}", nowhere)]


class _Pages:
    """Renders pages in threads."""

    def __init__(self, backend: Backend, clock: Callable[[], datetime]) -> None:
        self._backend = backend
        self._clock = clock

    def resource(self, template: str, view: View, parameter: str | None) -> Resource:
        async def answer(request: Request) -> Response:
            return await in_thread(partial(self._page, request, template, view, parameter))

        return Resource(f"dashboard {template}", {"GET": answer}, self.error)

    async def error(self, request: Request, error: AnswerError) -> Response:
        """Answer with a page that says what is wrong."""
        return await in_thread(self._error_page, request, error)

    def _page(self, request: Request, template: str, view: View, parameter: str | None) -> Response:
        self._backend.drain(DRAIN_S)
        frame = self._frame(request)
        arguments = (request.path_params[parameter],) if parameter else ()
        page = view(frame, *arguments)
        return _html(render(template, page=page, shell=page.shell))

    def _error_page(self, request: Request, error: AnswerError) -> Response:
        try:
            shell = self._frame(request).shell("Error", "")
            title = ERROR_TITLES.get(error.status, "Something is wrong")
            body = render("error.html", shell=shell, title=title, message=error.message)
        except Exception:  # noqa: BLE001 - what broke the page may break the error page, too
            return Response(error.message, error.status, media_type="text/plain")
        return _html(body, error.status)

    def _frame(self, request: Request) -> Frame:
        return frame_for(request, self._backend, self._clock())


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
