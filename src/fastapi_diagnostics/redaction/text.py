"""Makes free text safe to keep and to show."""

import re
from typing import Final

from fastapi_diagnostics.redaction.pairs import redact_pairs
from fastapi_diagnostics.redaction.shapes import redact_shapes

MAX_SCANNED: Final = 16 * 1024
"""Characters that are looked at; what is behind them is not kept."""

_ROUNDS: Final = 4
_PARAMETERS: Final = "[parameters: "
_BACKGROUND: Final = "(Background on this error at:"
_STATEMENT = re.compile(r"\[SQL: .*?(?:\]\n|\]?\Z)", re.DOTALL)
_LITERAL = re.compile(r"'(?:[^']|'')*+(?:'|\Z)")
_INVISIBLE = re.compile(
    # C0 and C1 without tab and newline, marks that turn the direction of writing, line and
    # paragraph separators, half characters.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_HARMLESS = re.compile(r"[A-Za-z0-9 _,.!?()-]{0,12}")
"""Too short for any shape, and without the separator of a pair."""


def redact_text(text: str, limit: int = 500) -> str:
    """Replace secrets in free text, make control characters visible, and cut it.

    Args:
        text: Anything; at most the first 16 KiB are looked at.
        limit: Characters of the result, with the ellipsis that marks a cut; at most 16 Ki.

    Returns:
        Text that this function gives back unchanged.
    """
    return redact_within(text, min(limit, MAX_SCANNED), MAX_SCANNED)


def redact_within(text: str, limit: int, scanned: int) -> str:
    """Do what `redact_text` does, looking at fewer characters; `limit` must lie well below."""
    if len(text) <= limit and _HARMLESS.fullmatch(text):
        return text
    text = visible(cut_at_space(text, scanned))
    # What was cut may have become the shape of a secret: the result must be a fixed point.
    for _ in range(_ROUNDS):
        found = cut(redact_pairs(redact_shapes(_without_values(text))), limit)
        if found == text:
            break
        text = found
    return text


def visible(text: str) -> str:
    r"""Write characters that cannot be seen, or that move others, as ``\x1b`` and ``\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return _INVISIBLE.sub(_escaped, text)


def cut(text: str, limit: int) -> str:
    """Cut to *limit* characters, the last of which is then an ellipsis."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def cut_at_space(text: str, length: int) -> str:
    """Cut between words: half a secret would not have its shape."""
    if len(text) <= length:
        return text
    head = text[:length]
    words = head.rsplit(None, 1)
    return (words[0] if len(words) > 1 else head) + "…"


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - one byte


def _without_values(text: str) -> str:
    """Leave out the values that SQLAlchemy adds to the text of its errors."""
    if _PARAMETERS in text:
        text = _without_parameters(text)
    if "[SQL: " in text:
        text = _STATEMENT.sub(lambda found: _LITERAL.sub("'?'", found[0]), text)
    return text


def _without_parameters(text: str) -> str:
    kept = []
    position = 0
    while (start := text.find(_PARAMETERS, position)) >= 0:
        kept.append(text[position:start])
        position = text.find(_BACKGROUND, start)
        if position < 0:
            return "".join(kept).rstrip("\n")
    return "".join(kept) + text[position:]
