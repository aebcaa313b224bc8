"""The one exception that services raise on purpose, and its answer."""

from fastapi import Request
from fastapi.responses import JSONResponse


class AppException(Exception):
    """Something the client should be told.

    Attributes:
        status: The HTTP status of the answer.
        message: For people.
        error_code: For programs.
    """

    def __init__(self, status: int, message: str, error_code: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_code = error_code


async def handle_app_exception(_: Request, error: Exception) -> JSONResponse:
    """Answer an `AppException` in the shape of `ApiResponse`."""
    assert isinstance(error, AppException)
    return JSONResponse(
        {"success": False, "message": error.message, "error_code": error.error_code},
        status_code=error.status,
    )
