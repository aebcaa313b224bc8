"""Finds texts with secret-looking names in what goes out; keeps their paths, never the texts."""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import pydantic_core

from fastapi_diagnostics.redaction import is_secret_name, redact_text

MAX_FOUND: Final = 20
MAX_NODES: Final = 300
MAX_DEPTH: Final = 8
MAX_KEYS: Final = 200
LIST_HEAD: Final = 4
MAX_SECRET: Final = 1000
"""Characters; what is longer is no password, key or hash."""
HEAD_BYTES: Final = 4 * 1024
"""Of longer JSON only the head is looked at: the items of a list have the same keys."""

_STEMS: Final = (
    *(b"pass", b"pwd", b"secret", b"token", b"key", b"cvv", b"cvc", b"cvn", b"kennwort"),
    *(b"contrase", b"motdepasse"),
)
"""What a body must contain to be parsed for this; looking for them takes some 5 us."""
_HASH: Final = re.compile(
    r"\$(?:2[abxy]|argon2\w*|scrypt|pbkdf2[-\w]*|5|6|1)\$|\{?(?:pbkdf2|bcrypt|scrypt|s?sha)\w*[:$}]"
    r"|(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})\Z",
    re.IGNORECASE,
)
_MASKED: Final = re.compile(r"[*•·x.…#\-_ ]*|<[^>]*>|\[[^\]]*\]|\.{2,}\w{0,4}|[*•x]{3,}.{0,4}")


def secrets_sent(sent: Any) -> list[tuple[str, bool]]:
    """List path and whether the text looks like a hash, for each secret-looking name.

    Args:
        sent: JSON as bytes, or the plain data that will become JSON.
    """
    if isinstance(sent, bytes | bytearray):
        head = bytes(sent[:HEAD_BYTES])
        low = head.lower()
        if not any(stem in low for stem in _STEMS):
            return []
        sent = pydantic_core.from_json(head, allow_partial=len(sent) > HEAD_BYTES)
    found: dict[str, bool] = {}
    for path, text in _Search().of(sent, "", 0):
        if len(found) < MAX_FOUND:
            found[path] = found.get(path, False) or _HASH.match(text) is not None
    return list(found.items())


class _Search:
    def __init__(self) -> None:
        self._nodes = 0

    def of(self, value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            return
        if type(value) is dict:
            for key in islice(value, MAX_KEYS):
                if isinstance(key, str):
                    yield from self._entry(key, value[key], path, depth)
        elif type(value) in {list, tuple}:
            for item in (*value[:LIST_HEAD], *value[LIST_HEAD:][-1:]):
                if type(item) in {dict, list}:
                    yield from self.of(item, f"{path}[]", depth + 1)

    def _entry(self, key: str, value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
        if isinstance(value, str):
            if value and is_secret_name(key) and not _is_placeholder(value) and _named(key) == key:
                yield (f"{path}.{key}" if path else key), value
        elif type(value) in {dict, list}:
            inner = f"{path}.{_named(key)}" if path else _named(key)
            yield from self.of(value, inner, depth + 1)


@lru_cache(maxsize=1024)
def _named(key: str) -> str:
    """Give a key that looks like a name; others may be data: an address, a number, a key."""
    return key if key.isidentifier() and redact_text(key) == key else "*"


def _is_placeholder(text: str) -> bool:
    """Tell a mask, or the words that a form or a translation shows for a secret."""
    if len(text) > MAX_SECRET or " " in text.strip() or _MASKED.fullmatch(text) is not None:
        return True
    return text.isalpha() and is_secret_name(text)
