"""Redacts the values of secret names in free text: ``password=x``, ``"token": "x"``."""

import re
from typing import Final

from fastapi_diagnostics.redaction.names import is_secret_name
from fastapi_diagnostics.redaction.shapes import REDACTED

_NAME = re.compile(
    r"(?:(?<![\w.-])([A-Za-z_][\w.\[\]-]{1,100})|[\"']([\w .\[\]-]{1,100}))"
    r"(\\{0,4}[\"']?)[ \t]{0,3}(=>|[=:])\s{0,3}"
)
_SCHEME = re.compile(r"(?:bearer|basic|digest|token|apikey)[ \t]{1,3}", re.IGNORECASE)
_ESCAPED = re.compile(r"(\\{1,4}[\"']).*?(?:\1|\Z)", re.DOTALL)
_QUOTED = re.compile(
    r"[bBrRuU]{0,2}(\"(?:[^\"\\]|\\.)*+(?:\"|\Z|\\\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z|\\\Z))", re.DOTALL
)
_BARE = re.compile(r"[^\s,;&\"'()\[\]{}\\]+|\\(?![\"'])")
_DONE = re.compile(rf"{REDACTED}(?=[)\]}}\"']|\Z)")
_LINE = re.compile(r"[^\r\n]*")
_BRACKETS = re.compile(r"[(\[{]|[)\]}]|" + _QUOTED.pattern, re.DOTALL)
_LETTERS = re.compile(r"[A-Za-z]+")
_SENTENCE = re.compile(r"[ \t]+\w")
_PLACEHOLDER = re.compile(r"(?:\?|%s|%\(\w{1,80}\)s|:\w{1,80}|\$\d{1,3})(?=[\s,;)\]}\"']|\Z)|…\Z")

_NOTHING: Final = frozenset({"none", "null", "true", "false", "nan"})
_PROSE: Final = frozenset(
    {"required", "missing", "invalid", "expired", "not", "field", "expected", "must", "unknown"}
    | {"is", "are", "the", "a", "an", "no", "str", "int", "string", "should", "input", "value"}
)
_WHOLE_LINE: Final = ("cookie", "authorization")

_ROW = re.compile(r"(Failing row contains \()[^\n]*?(\)(?=\.?(?:\n|\Z))|\Z|\n)")
_KEY = re.compile(r"(Key \(([^()\n]{1,500})\)=\()[^\n]*?(\)(?= (?:already|is|conflicts))|\Z|\n)")


def redact_pairs(text: str) -> str:
    """Replace the values that stand behind secret names."""
    if "Failing row" in text:
        text = _ROW.sub(rf"\1{REDACTED}\2", text)
    if "Key (" in text:
        text = _KEY.sub(_key, text)
    if "=" not in text and ":" not in text:
        return text
    done: list[str] = []
    position = copied = 0
    while (match := _NAME.search(text, position)) is not None:
        position = match.end()
        if not is_secret_name(match[1] or match[2]):
            continue
        end = _value_end(text, match)
        if end > position:
            done += (text[copied:position], _redacted(text[position:end]))
            position = copied = end
    return "".join(done) + text[copied:] if done else text


def _key(match: re.Match[str]) -> str:
    """PostgreSQL tells the values of a unique key: ``Key (email)=(a@b.c) already exists``."""
    secret = any(is_secret_name(name.strip()) for name in match[2].split(","))
    return match[1] + REDACTED + match[3] if secret else match[0]


def _redacted(value: str) -> str:
    """Keep the quotes, so that what is left of JSON or a call still reads as such."""
    for opening in ('\\"', "\\'", '"', "'"):
        if value.startswith(opening):
            closed = len(value) > len(opening) and value.endswith(opening)
            return opening + REDACTED + (opening if closed else "")
    return REDACTED


def _value_end(text: str, match: re.Match[str]) -> int:
    """Find where the value ends; the position itself where there is nothing to hide."""
    start = match.end()
    name, quoted_name, colon = match[1] or match[2], bool(match[3]), match[4] == ":"
    if _PLACEHOLDER.match(text, start):
        return start
    if colon and not quoted_name and name.lower().endswith(_WHOLE_LINE):
        # What was redacted before, inside of a sentence: the sentence goes on behind it.
        return start if _DONE.match(text, start) else _end(_LINE, text, start)
    for pattern in (_ESCAPED, _QUOTED):
        end = _end(pattern, text, start)
        if end > start:
            return start if text[start:end].strip("\\bBrRuU\"'") in {"", REDACTED} else end
    if text[start : start + 1] in tuple("([{"):
        return _bracket_end(text, start)
    end = _bare_end(text, _end(_SCHEME, text, start))
    return (
        start if _says_nothing(text[start:end], text, end, prose=colon and not quoted_name) else end
    )


def _bare_end(text: str, start: int) -> int:
    """Follow ``SecretStr('x')`` and ``a/b+c==`` to their end."""
    position = start
    while True:
        end = _end(_BARE, text, position)
        if end < len(text) and end > position and text[end] in "([{":
            end = _bracket_end(text, end)
        if end == position:
            return end
        position = end


def _bracket_end(text: str, start: int) -> int:
    depth = 0
    for match in _BRACKETS.finditer(text, start):
        if match[0] in "([{":
            depth += 1
        elif match[0] in ")]}":
            depth -= 1
            if depth <= 0:
                return match.end()
    return len(text)


def _says_nothing(value: str, text: str, end: int, *, prose: bool) -> bool:
    lowered = value.lower()
    if lowered in _NOTHING or value == REDACTED:
        return True
    if not prose or not _LETTERS.fullmatch(value):
        return False
    return lowered in _PROSE or bool(_SENTENCE.match(text, end))


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start
