"""The whole application; the other one names its second package as its own, too."""

from fastapi import FastAPI

from fastapi_diagnostics import DiagnosticsMiddleware
from shopapi.titles import router

app = FastAPI()
app.add_middleware(DiagnosticsMiddleware)
app.include_router(router)

with_core = FastAPI()
with_core.add_middleware(DiagnosticsMiddleware, user_packages=["shopcore"])
with_core.include_router(router)
