"""SQLAlchemy: every statement, what the ORM was doing, and lazy loads that failed."""

from fastapi_diagnostics.collectors.sqlalchemy.listeners import install, wanted

__all__ = ["install", "wanted"]
