"""SQLAlchemy: every statement, what the ORM was doing, and lazy loads that failed."""

from fastapi_diagnostics.collectors.sqlalchemy.listeners import install, wanted
from fastapi_diagnostics.collectors.sqlalchemy.pool import name_routes

__all__ = ["install", "name_routes", "wanted"]
