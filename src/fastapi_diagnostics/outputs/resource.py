"""One URL and the methods it answers, as an ASGI application.

Starlette's own routes answer 405 in plain text and know no HEAD besides GET;
here every answer has the shape of its output, errors included.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.outputs.parameters import InvalidParameterError
from fastapi_diagnostics.store.protocol import InvalidCursorError

Handler = Callable[[Request], Awaitable[Response]]


class AnswerError(Exception):
    """Ends a handler with an error answer.

    Args:
        status: HTTP status.
        code: One word for programs, such as ``not-found``.
        message: A sentence for people.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


ErrorAnswer = Callable[[Request, AnswerError], Awaitable[Response]]


class Resource:
    """Answers one URL.

    Args:
        name: Where a failure of ours is counted.
        handlers: By method; GET also answers HEAD.
        error: Makes the answer to an error.
    """

    def __init__(self, name: str, handlers: Mapping[str, Handler], error: ErrorAnswer) -> None:
        self._name = name
        self._handlers = dict(handlers)
        if "GET" in self._handlers:
            self._handlers["HEAD"] = self._handlers["GET"]
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        handler = self._handlers.get(request.method)
        try:
            response = await self._answer(request, handler)
        except ClientDisconnect:
            return
        if request.method == "HEAD":
            send = _without_body(send)
        await response(scope, receive, send)

    async def _answer(self, request: Request, handler: Handler | None) -> Response:
        if handler is None:
            return await self._not_allowed(request)
        try:
            return await handler(request)
        except AnswerError as error:
            return await self._error(request, error)
        except (InvalidParameterError, InvalidCursorError) as error:
            return await self._error(request, AnswerError(422, "invalid-parameter", str(error)))
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - ours, contained: a page fails, nothing else does
            FAULTS.note(self._name, error)
            text = "This answer failed on our side; the status page says more."
            return await self._error(request, AnswerError(500, "internal", text))

    async def _not_allowed(self, request: Request) -> Response:
        allowed = ", ".join(sorted(self._handlers))
        text = f"This URL answers {allowed}, not {request.method}."
        response = await self._error(request, AnswerError(405, "method-not-allowed", text))
        response.headers["Allow"] = allowed
        return response


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
