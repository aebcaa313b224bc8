"""FastAPI and Starlette: routes, phases, dependencies, exceptions and refused requests."""

from fastapi_diagnostics.collectors.fastapi.requests import install

__all__ = ["install"]
