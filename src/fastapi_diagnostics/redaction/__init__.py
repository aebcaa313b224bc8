"""Keeps secrets out of what is recorded: by name, by shape, and within bounds.

Everything that comes from a request or from the application's values passes through here before
it is queued, stored, logged or shown.
"""

from fastapi_diagnostics.redaction.digests import values_digest
from fastapi_diagnostics.redaction.names import is_secret_name
from fastapi_diagnostics.redaction.quoted import secrets_in, without_secrets
from fastapi_diagnostics.redaction.text import redact_text
from fastapi_diagnostics.redaction.urls import redact_path, redact_query_string
from fastapi_diagnostics.redaction.values import preview

__all__ = [
    "is_secret_name",
    "preview",
    "redact_path",
    "redact_query_string",
    "redact_text",
    "secrets_in",
    "values_digest",
    "without_secrets",
]
