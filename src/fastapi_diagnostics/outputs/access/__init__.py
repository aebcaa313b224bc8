"""The one gate in front of all pages of ours: who may look, and who may change something."""

from fastapi_diagnostics.outputs.access.gate import Gate
from fastapi_diagnostics.outputs.access.policy import (
    AccessPolicy,
    Decision,
    decide,
    login_link,
    under_prefix,
)
from fastapi_diagnostics.outputs.access.tokens import load_or_create_token

__all__ = [
    "AccessPolicy",
    "Decision",
    "Gate",
    "decide",
    "load_or_create_token",
    "login_link",
    "under_prefix",
]
