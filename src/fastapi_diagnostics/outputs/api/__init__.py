"""The JSON API: what is known, for programs.

Every answer carries ``"schema": 1``; errors are ``{"error": {"code", "message"}}``.
"""

from starlette.routing import Route

from fastapi_diagnostics.outputs.api.answers import error_answer
from fastapi_diagnostics.outputs.api.findings import FindingAnswers
from fastapi_diagnostics.outputs.api.requests import RequestAnswers
from fastapi_diagnostics.outputs.api.rest import RestAnswers
from fastapi_diagnostics.outputs.backend import Backend
from fastapi_diagnostics.outputs.resource import Handler, Resource

__all__ = ["api_routes"]


def api_routes(backend: Backend) -> list[Route]:
    """List the routes below the prefix; the last one takes every other path under ``/api``."""
    findings, requests, rest = (
        FindingAnswers(backend),
        RequestAnswers(backend),
        RestAnswers(backend),
    )
    table: list[tuple[str, dict[str, Handler]]] = [
        ("/api/findings", {"GET": findings.listed}),
        ("/api/findings/{fingerprint}", {"GET": findings.one}),
        ("/api/findings/{fingerprint}/state", {"POST": findings.marked}),
        ("/api/requests", {"GET": requests.listed}),
        ("/api/requests/{id}", {"GET": requests.one}),
        ("/api/rules", {"GET": rest.rules}),
        ("/api/rules/{code}", {"GET": rest.rule}),
        ("/api/status", {"GET": rest.status}),
        ("/api/changes", {"GET": rest.changes}),
        ("/api/clear", {"POST": rest.clear}),
    ]
    routes = [
        Route(path, Resource(f"api {path}", handlers, error_answer)) for path, handlers in table
    ]
    nowhere = Resource("api", _every_method(rest.nowhere), error_answer)
    return [*routes, Route("/api", nowhere), Route("/api/{rest:path}", nowhere)]


def _every_method(handler: Handler) -> dict[str, Handler]:
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return dict.fromkeys(methods, handler)
