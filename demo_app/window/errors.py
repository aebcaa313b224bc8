"""What may go wrong with the window, and the answers."""

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse


class WindowFull(Exception):
    """There is no room for another book."""

    def __init__(self, places: int) -> None:
        super().__init__(f"All {places} places are taken.")
        self.places = places


class WindowFullV2(WindowFull):
    """The same, for the mended handler."""


async def handle_window_full(_: Request, error: Any) -> JSONResponse:
    """Say that there is no room; but the exception has no `message`, so this fails itself."""
    return JSONResponse({"message": error.message}, 409)  # defect: EXC102 failing-handler


async def handle_window_full_v2(_: Request, error: Any) -> JSONResponse:
    """Say that there is no room (mended)."""
    return JSONResponse({"message": str(error)}, 409)
