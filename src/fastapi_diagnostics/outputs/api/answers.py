"""Builds the answers of the JSON API."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fastapi_diagnostics.outputs.resource import AnswerError
from fastapi_diagnostics.record import encode

SCHEMA = 1


def answer(fields: dict[str, Any], status: int = 200) -> Response:
    """Answer with an object; *fields* may hold structs, or JSON as `msgspec.Raw`."""
    return Response(encode({"schema": SCHEMA, **fields}), status, media_type="application/json")


async def error_answer(_request: Request, error: AnswerError) -> Response:
    """Answer with an error."""
    return answer({"error": {"code": error.code, "message": error.message}}, error.status)


def raw(data: bytes) -> msgspec.Raw:
    """Put bytes that are JSON already into an answer."""
    return msgspec.Raw(data)
