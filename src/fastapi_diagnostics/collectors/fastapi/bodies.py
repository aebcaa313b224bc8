"""Tells what a refused body was, by its shape and the names of its keys; never by its values."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from fastapi_diagnostics.redaction import redact_text

MAX_KEYS = 100
MAX_BYTES = 64 * 1024
"""Longer bodies are told by their first characters only, to keep the loop free."""
MAX_SCANNED = 16 * 1024
"""Text before a JSON error up to which an excerpt is made; scanning it takes 4 ms at most."""
_MAX_DEPTH = 5
_MAX_ITEMS = 20
_BEFORE, _AFTER = 60, 20
_SEEN_AFTER = 200
"""A text that never ends would be scanned to the end of the body."""
_TOKEN = re.compile(
    r"""("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)(\s*:)?"""  # in quotes; a key if a colon follows
    r"|(?:true|false|null|None|True|False|NaN|undefined)\b"
    r"|[\[\]{},:\s]"
    r"|[^\[\]{},:\s\"']+(\s*:)?",
    re.DOTALL,
)
_TELLING = frozenset(
    {"true", "false", "null", "None", "True", "False", "NaN", "Infinity", "undefined"}
)

Kind = Literal["json", "json-text", "text", "form", "empty", "unread"]


class Body(NamedTuple):
    """What is known of a body; the attributes are those of `Rejection`."""

    kind: Kind
    keys: tuple[str, ...] = ()
    excerpt: str = ""


def describe_body(body: Any, content_type: str, errors: Sequence[Mapping[str, Any]]) -> Body:
    """Tell what FastAPI had in hand when validation failed.

    Args:
        body: Parsed JSON, a form, bytes that were not taken for JSON, or the text of broken JSON.
        content_type: Lower case, without parameters.
        errors: The entries of the validation error.
    """
    broken = next((entry for entry in errors if entry.get("type") == "json_invalid"), None)
    if broken is not None:
        return Body("text", excerpt=_excerpt(body, broken.get("loc", ())))
    if body is None:
        return Body("empty")
    if hasattr(body, "multi_items"):
        # A form endpoint that was sent something else finds no field: nothing was read.
        unread = not len(body) and "form" not in content_type
        return Body("unread") if unread else Body("form", _names(body))
    if isinstance(body, bytes | str):
        return _describe_text(body, content_type)
    return Body("json", key_paths(body))


def kind_of(value: Any) -> str:
    """Name what came in words of JSON."""
    if value is None:
        return "null"
    for types, word in _WORDS:
        if isinstance(value, types):
            return word
    return type(value).__name__


_WORDS: tuple[tuple[Any, str], ...] = (
    (bool, "boolean"),
    (int | float, "number"),
    (str, "string"),
    (bytes, "bytes"),
    (Mapping, "object"),
    (Sequence, "array"),
)


def key_paths(body: Any) -> tuple[str, ...]:
    """List the keys of a body as dotted paths without list positions, outermost first."""
    found: dict[str, None] = {}
    level: list[tuple[str, Any]] = [("", body)]
    for _ in range(_MAX_DEPTH):
        level = [pair for prefix, value in level for pair in _children(prefix, value)]
        for path, _value in level:
            if path and len(found) < MAX_KEYS:
                found[path] = None
        if not level or len(found) >= MAX_KEYS:
            break
    return tuple(found)


def printable(name: str) -> str:
    """Cut and redact a name that somebody sent."""
    return redact_text(name[:80], 80)


def _children(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in islice(value.items(), MAX_KEYS):
            name = printable(str(key))
            yield (f"{prefix}.{name}" if prefix else name), inner
    elif isinstance(value, list):
        for item in value[:_MAX_ITEMS]:
            # The items of a list bear its path; only what is below them is new.
            yield from _children(prefix, item)


def _describe_text(body: bytes | str, content_type: str) -> Body:
    if len(body) <= MAX_BYTES:
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            value = None
        if isinstance(value, dict | list):
            return Body("json-text", key_paths(value))
    if content_type == "application/x-www-form-urlencoded":
        text = body if isinstance(body, str) else body[:8192].decode("latin-1")
        return Body("form", _names(name for name, _ in parse_qsl(text, keep_blank_values=True)))
    if content_type == "multipart/form-data":
        return Body("form")
    return Body("json" if isinstance(body, str) else "text")


def _names(keys: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(printable(str(key)) for key in islice(keys, MAX_KEYS)))


def _excerpt(body: Any, loc: Sequence[Any]) -> str:
    """Show the text around the place where it stopped being JSON, every value masked.

    Masking begins at the start of the text: from its middle one cannot tell which of the
    quotation marks open.
    """
    position = loc[1] if len(loc) > 1 else None
    if not isinstance(body, str) or not isinstance(position, int) or position > MAX_SCANNED:
        return ""
    before, after = "", ""
    for match in _TOKEN.finditer(body[: position + _SEEN_AFTER]):
        if match.start() > position + _AFTER:
            break
        if match.start() < position:
            before = (before + _masked(match))[-_BEFORE:]
        else:
            after += _masked(match)
    text = f"{before.lstrip()}▸{after[:_AFTER].rstrip()}"
    return redact_text(" ".join(text.split()), _BEFORE + _AFTER + 10)


def _masked(match: re.Match[str]) -> str:
    text = match[0]
    if match[2] is not None or match[3] is not None or text in _TELLING:
        return text[:80]  # a key, or a word that is often the very mistake
    if match[1] is not None:
        closed = len(match[1]) > 1 and match[1].endswith(match[1][0])
        return f"{text[0]}…{text[0] if closed else ''}"
    return text if text.isspace() or text in "[]{},:" else "…"
