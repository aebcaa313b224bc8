"""The XSS corpus, and reports that carry it in every field."""

import re
from typing import Any

import msgspec

from fastapi_diagnostics.store.protocol import Report

PAYLOADS = (
    "<script>window.__pwned=1</script>",
    "<img src=x onerror=window.__pwned=1>",
    "<svg/onload=window.__pwned=1>",
    '"><x data-pwned>',
    "' onmouseover='window.__pwned=1",
    "</textarea></pre></code><b data-pwned>",
    "</title></head><body data-pwned>",
    "</script><script>window.__pwned=1</script>",
    "javascript:window.__pwned=1",
    "data:text/html,<script>window.__pwned=1</script>",
    "<a hx-get=/x hx-trigger=load>",
    "<div hx-on:load='window.__pwned=1'>",
    "<!-- ",
    "]]>",
    "{{7*7}}{% raw %}{{ self.__init__.__globals__ }}${7*7}#{7*7}",
    "line\u2028separator\u2029",
    "nul\x00byte",
    "rtl\u202eoverride",
    "x" * 10_240,
    "&lt;script&gt;",
    "![x](javascript:1)",
    "\x1b[2Jansi",
    "=cmd|' /C calc'!A0",
    "`<script>window.__pwned=1</script>`",
    '`"><x data-pwned>`',
)
_FIXED = re.compile(
    r"^(id|record_id|fingerprint|started_at|at|kind|state|severity|confidence|phase|family|verb"
    r"|request_id|source|reason|expects|body_kind|cause)$"
)


def hostile(report: Report, payload: str) -> Report:
    """Put *payload* into every text of a report that the application or a client can choose."""
    spoiled = _spoiled(msgspec.to_builtins(report), payload)
    return msgspec.convert(spoiled, Report)


def _spoiled(value: Any, payload: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _spoiled(item, payload, name) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spoiled(item, payload, key) for item in value]
    if (
        isinstance(value, str)
        and not _FIXED.match(key)
        and not (key == "name" and _is_phase(value))
    ):
        return value[:8] + payload
    return value


def _is_phase(value: str) -> bool:
    return value in {"middleware", "dependencies", "endpoint", "serialisation", "response",
                     "background", "teardown"}  # fmt: skip
