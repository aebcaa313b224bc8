"""Why a refused request was refused: one hint for each mistake, out of the facts alone."""

import msgspec

from fastapi_diagnostics.record import Rejection
from fastapi_diagnostics.rules.requests._error_hints import about_error
from fastapi_diagnostics.rules.requests._hint import Hint
from fastapi_diagnostics.rules.requests._request_hints import about_request

__all__ = ["Hint", "hints"]

_ORDER = (
    "shadowed-route",
    "broken-json",
    "double-encoded",
    "content-type",
    "form-for-json",
    "json-for-form",
    "unwrap",
    "embed",
    "query-list",
    "alias",
    "header-underscore",
    "misspelt-key",
    "scalar-in-body",
    "nesting",
    "nearest-value",
)


def hints(rejection: Rejection) -> tuple[Hint, ...]:
    """Find the mistakes behind a refusal, the best explanation first, each text once."""
    found = {hint.text: hint for hint in about_request(rejection)}
    if all(hint.code == "shadowed-route" for hint in found.values()):
        for error in rejection.errors:
            hint = about_error(error, rejection)
            if hint is not None:
                found.setdefault(hint.text, msgspec.structs.replace(hint, loc=error.loc))
    return tuple(sorted(found.values(), key=lambda hint: _ORDER.index(hint.code)))
