"""What a hint is, and what all of them ask."""

import msgspec

from fastapi_diagnostics.finding import Confidence, Fix
from fastapi_diagnostics.record import Rejection

FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong and what mends it.

    Attributes:
        text: Continues the message after a semicolon; no full stop.
        loc: Of the error that it explains; empty where it explains the whole request.
    """

    code: str
    text: str
    fix: Fix
    confidence: Confidence = "proven"
    loc: tuple[str, ...] = ()


def is_json(content_type: str) -> bool:
    """Tell whether FastAPI reads a body of this type as JSON."""
    return content_type == "application/json" or content_type.endswith("+json")


def top_keys(rejection: Rejection) -> set[str]:
    """Give the keys at the top of the body."""
    return {key for key in rejection.body_keys if "." not in key}
