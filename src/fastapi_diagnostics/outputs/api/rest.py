"""Rules, status, changes, and forgetting everything."""

from starlette.requests import Request
from starlette.responses import Response

from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.api.answers import answer
from fastapi_diagnostics.outputs.api.findings import DRAIN_S
from fastapi_diagnostics.outputs.backend import Backend
from fastapi_diagnostics.outputs.resource import AnswerError
from fastapi_diagnostics.outputs.threads import in_thread
from fastapi_diagnostics.store.protocol import Changes


class RestAnswers:
    """Answers about everything that is neither a finding nor a request."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def rules(self, _request: Request) -> Response:
        """List the rules."""
        return answer({"rules": await in_thread(self._backend.rules)})

    async def rule(self, request: Request) -> Response:
        """Show one rule, by its code or its name."""
        wanted = request.path_params["code"]
        for rule in await in_thread(self._backend.rules):
            if wanted in {rule.code, rule.name}:
                return answer({"rule": rule})
        raise AnswerError(404, "not-found", f'There is no rule "{wanted[:80]}".')

    async def status(self, _request: Request) -> Response:
        """Tell how we are."""
        return answer(dict(await in_thread(self._backend.status)))

    async def changes(self, request: Request) -> Response:
        """Count what is new since a token."""
        since = parameters.text(request.query_params, "since")
        changes = await in_thread(self._changes, since)
        return answer(
            {
                "token": changes.token,
                "requests": changes.requests,
                "findings": changes.findings,
                "groups": changes.groups,
            }
        )

    async def clear(self, _request: Request) -> Response:
        """Forget everything."""
        await in_thread(self._clear)
        return Response(status_code=204)

    async def nowhere(self, request: Request) -> Response:
        """Answer for paths that are none of ours."""
        raise AnswerError(404, "not-found", f'There is no "{request.url.path[:200]}".')

    def _changes(self, since: str | None) -> Changes:
        self._backend.drain(DRAIN_S)
        return self._backend.store.changes(since)

    def _clear(self) -> None:
        self._backend.drain(DRAIN_S)
        self._backend.store.clear()
