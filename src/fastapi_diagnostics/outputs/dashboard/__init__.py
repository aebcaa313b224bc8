"""The pages: server-rendered, readable without JavaScript.

Views turn what the store knows into finished strings and flags;
templates only loop, print and escape.
"""

from fastapi_diagnostics.outputs.dashboard.routes import dashboard_routes

__all__ = ["dashboard_routes"]
