"""Makes paths and query strings safe to keep."""

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import unquote_plus

from fastapi_diagnostics.redaction.names import is_secret_name
from fastapi_diagnostics.redaction.shapes import REDACTED
from fastapi_diagnostics.redaction.text import cut, redact_within, visible

MAX_QUERY: Final = 2048
MAX_PAIRS: Final = 100
MAX_PATH: Final = 512
_MAX_VALUE: Final = 80
_SCANNED_PATH: Final = 4096
_MIN_SECRET_SEGMENT: Final = 8
_RESERVED = re.compile(r"[%&+#\n\t]")
_OPAQUE = re.compile(r"(?=.*[A-Za-z])(?=.*\d)[\w.~+=-]{8,}", re.ASCII)
_SIGNATURE = re.compile(r"(?:^|[-_.])(?:key|code|sig|signature|hmac)$", re.IGNORECASE)
"""In a URL these are often keys of an API, codes of a login or signatures of a link; elsewhere they
are anything, so the value must look like one, too."""
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


def redact_query_string(raw: bytes | str, mode: str = "redacted") -> str:
    """Write a query string with its names kept and its secrets replaced.

    Args:
        raw: As it came; at most 2 KiB and 100 pairs are kept.
        mode: ``none`` to tell only the sizes of values.

    Returns:
        Decoded, but for the characters that separate pairs; values are cut at 80 characters.
    """
    text = raw.decode("latin-1") if isinstance(raw, bytes) else raw
    pairs = text[:MAX_QUERY].split("&", MAX_PAIRS)
    more = len(text) > MAX_QUERY or len(pairs) > MAX_PAIRS
    done = [_pair(pair, mode) for pair in pairs[:MAX_PAIRS]]
    if len(text) > MAX_QUERY and len(pairs) <= MAX_PAIRS:
        # Half a value may be half a secret.
        done[-1] = done[-1].partition("=")[0] + "=" if "=" in done[-1] else ""
    return cut("&".join(done), MAX_QUERY - 1) + ("…" if more else "")


def redact_path(path: str, plain: Collection[str] | None = None) -> str:
    """Write a path with the segments replaced that look like a secret; at most 512 characters.

    Args:
        path: Decoded.
        plain: The only segments that may be shown; `None` where nothing is known of them.
    """
    segments = path[:_SCANNED_PATH].split("/")
    if len(path) > _SCANNED_PATH:
        segments[-1] = "…"
    shown: list[str] = []
    for place, segment in enumerate(segments):
        named = place > 0 and is_secret_name(segments[place - 1])
        text = redact_within(segment, MAX_PATH, _SCANNED_PATH)
        hidden = plain is not None and segment != "" and segment not in plain
        secret = hidden or REDACTED in text or (named and _is_opaque(segment))
        shown.append(REDACTED if secret else _RESERVED_BREAKS.sub(_quoted, text))
    return cut("/".join(shown), MAX_PATH)


_RESERVED_BREAKS = re.compile(r"[\n\t]")


def _is_opaque(segment: str) -> bool:
    """``/password-reset/aZ81…`` holds a secret, ``/token/refresh`` and ``/session/<uuid>`` none."""
    return bool(_OPAQUE.fullmatch(segment)) and not _UUID.fullmatch(segment)


def _pair(pair: str, mode: str) -> str:
    key, equals, value = pair.partition("=")
    key, value = _decoded(key), _decoded(value)
    name = _written(redact_within(key, _MAX_VALUE, MAX_QUERY))
    if not equals:
        return name
    if mode == "none":
        return f"{name}=<{len(value)} characters>" if value else f"{name}="
    if value and (is_secret_name(key) or (_SIGNATURE.search(key) and _is_opaque(value))):
        return f"{name}={REDACTED}"
    return f"{name}={_written(redact_within(value, _MAX_VALUE, MAX_QUERY))}"


def _decoded(text: str) -> str:
    return unquote_plus(text.encode("latin-1", "replace").decode("utf-8", "replace"))


def _written(text: str) -> str:
    return _RESERVED.sub(_quoted, visible(text))


def _quoted(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"
