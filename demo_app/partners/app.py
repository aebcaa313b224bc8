"""The partners' application, as first written and mended; its errors have a form of their own."""

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from demo_app.responses import ApiResponse

partners = FastAPI(title="Partners of the Bookshop")
partners_v2 = FastAPI(title="Partners of the Bookshop, mended")


@partners.get("/terms")
async def terms() -> ApiResponse[str]:
    """Tell the terms."""
    return ApiResponse(data="thirty days")


@partners_v2.get("/terms")
async def terms_v2() -> ApiResponse[str]:
    """Tell the terms (mended)."""
    return ApiResponse(data="thirty days")


@partners.exception_handler(HTTPException)
async def problem(_: Request, error: HTTPException) -> JSONResponse:  # defect: APP101 own-form
    """Answer in the partners' form; an unknown path does not come here."""
    return JSONResponse({"problem": error.detail}, status_code=error.status_code)


@partners_v2.exception_handler(StarletteHTTPException)
async def problem_v2(_: Request, error: StarletteHTTPException) -> JSONResponse:
    """Answer in the partners' form (mended: also what the router raises)."""
    return JSONResponse({"problem": error.detail}, status_code=error.status_code)
