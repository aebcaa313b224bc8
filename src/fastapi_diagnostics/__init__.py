"""Development-time diagnostics for FastAPI applications."""

from fastapi_diagnostics.capture import Recording
from fastapi_diagnostics.finding import Finding, Fix, Group, Rule
from fastapi_diagnostics.record import Location, RequestRecord
from fastapi_diagnostics.settings import ConfigurationError, DiagnosticsError
from fastapi_diagnostics.wiring import DiagnosticsMiddleware, capture, install_promotion

__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "DiagnosticsError",
    "DiagnosticsMiddleware",
    "Finding",
    "Fix",
    "Group",
    "Location",
    "Recording",
    "RequestRecord",
    "Rule",
    "capture",
]

install_promotion()
