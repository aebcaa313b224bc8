"""Findings: lists, one of them, and marking it."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fastapi_diagnostics.finding import FindingState, Group
from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.api.answers import answer
from fastapi_diagnostics.outputs.backend import Backend
from fastapi_diagnostics.outputs.resource import AnswerError
from fastapi_diagnostics.outputs.threads import in_thread
from fastapi_diagnostics.store.protocol import FindingQuery, Page

DRAIN_S = 2.0
"""How long an answer waits for what this worker has recorded before."""
MAX_BODY_BYTES = 64 * 1024
MAX_REASON = 1_000


class Mark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST api/findings/{fingerprint}/state``."""

    state: FindingState
    reason: str = ""


class FindingAnswers:
    """Answers about findings."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def listed(self, request: Request) -> Response:
        """List groups, or the findings of one request."""
        query = parameters.finding_query(request.query_params)
        page = await in_thread(self._list, query)
        return answer({"findings": page.items, "next": page.next})

    async def one(self, request: Request) -> Response:
        """Show one group and a page of the requests in which it was found."""
        limit = parameters.limit(request.query_params)
        cursor = parameters.text(request.query_params, "cursor")
        return await in_thread(self._one, request.path_params["fingerprint"], limit, cursor)

    async def marked(self, request: Request) -> Response:
        """Mark a group as open, resolved or ignored."""
        mark = _read_mark(await _body(request))
        fingerprint = request.path_params["fingerprint"]
        found = await in_thread(self._mark, fingerprint, mark)
        if not found:
            raise _unknown(fingerprint)
        return answer({"fingerprint": fingerprint, "state": mark.state, "reason": mark.reason})

    def _list(self, query: FindingQuery) -> Page[Group]:
        self._backend.drain(DRAIN_S)
        return self._backend.store.findings(query)

    def _one(self, fingerprint: str, limit: int, cursor: str | None) -> Response:
        self._backend.drain(DRAIN_S)
        group = self._backend.store.finding(fingerprint)
        if group is None:
            raise _unknown(fingerprint)
        page = self._backend.store.occurrences(fingerprint, limit=limit, cursor=cursor)
        return answer({"finding": group, "occurrences": page.items, "next": page.next})

    def _mark(self, fingerprint: str, mark: Mark) -> bool:
        self._backend.drain(DRAIN_S)
        return self._backend.store.set_state(fingerprint, mark.state, mark.reason)


async def _body(request: Request) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            raise AnswerError(413, "too-large", f"The body is over {MAX_BODY_BYTES // 1024} KiB.")
    return bytes(data)


def _read_mark(data: bytes) -> Mark:
    try:
        mark = msgspec.json.decode(data, type=Mark)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        wanted = '{"state": "open", "resolved" or "ignored", "reason": text}'
        text = f"The body must be {wanted}: {error}"
        raise AnswerError(422, "invalid-body", text[:500]) from None
    if len(mark.reason) > MAX_REASON:
        text = f'"reason" must be at most {MAX_REASON} characters long.'
        raise AnswerError(422, "invalid-body", text)
    return mark


def _unknown(fingerprint: str) -> AnswerError:
    return AnswerError(404, "not-found", f'There is no finding "{fingerprint[:80]}".')
