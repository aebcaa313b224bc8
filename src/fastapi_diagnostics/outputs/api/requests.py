"""Requests: lists, and one whole record, waited for if it is on its way."""

from typing import Literal

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.api.answers import answer, raw
from fastapi_diagnostics.outputs.api.findings import DRAIN_S
from fastapi_diagnostics.outputs.backend import Backend
from fastapi_diagnostics.outputs.resource import AnswerError
from fastapi_diagnostics.outputs.threads import in_thread
from fastapi_diagnostics.store.protocol import Page, RequestQuery, RequestSummary, StoredRequest

ARRIVAL_S = 2.0
"""How long a record of another worker is waited for."""
CLOSE_S = 10.0
"""How long ``wait=closed`` waits for background tasks."""
POLL_S = 0.05


class _StateOnly(msgspec.Struct):
    state: str


class RequestAnswers:
    """Answers about requests."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def listed(self, request: Request) -> Response:
        """List requests, newest first."""
        query = parameters.request_query(request.query_params)
        page = await in_thread(self._list, query)
        return answer({"requests": page.items, "next": page.next})

    async def one(self, request: Request) -> Response:
        """Show one record and its findings."""
        record_id = request.path_params["id"]
        stored = await self._awaited(record_id, parameters.wait(request.query_params))
        if stored is None:
            text = f'There is no request "{record_id[:80]}", or no longer.'
            raise AnswerError(404, "not-found", text)
        return answer({"request": raw(stored.record), "findings": stored.findings})

    async def _awaited(
        self, record_id: str, wait: Literal["closed"] | None
    ) -> StoredRequest | None:
        """Look a record up until it is there (and closed, if so wished) or time is up."""
        began = anyio.current_time()
        while True:
            stored = await in_thread(self._find, record_id)
            waited = anyio.current_time() - began
            if stored is None:
                if waited >= ARRIVAL_S:
                    return None
            elif wait is None or waited >= CLOSE_S or _is_closed(stored):
                return stored
            await anyio.sleep(POLL_S)

    def _list(self, query: RequestQuery) -> Page[RequestSummary]:
        self._backend.drain(DRAIN_S)
        return self._backend.store.requests(query)

    def _find(self, record_id: str) -> StoredRequest | None:
        self._backend.drain(DRAIN_S)
        return self._backend.store.request(record_id)


def _is_closed(stored: StoredRequest) -> bool:
    return msgspec.json.decode(stored.record, type=_StateOnly).state == "closed"
