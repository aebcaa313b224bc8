"""Finds secrets in free text by their shape, whatever they are called.

Every pattern starts where a run of its characters starts, and repeats within bounds or to the end
of what it then consumes: the time grows with the length of the text and not with its square.
"""

import base64
import binascii
import re
from itertools import pairwise
from typing import Final

REDACTED: Final = "<redacted>"

_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*){0,3}", re.ASCII)
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)", re.DOTALL
)
_PROSE_AFTER_BEARER = (
    r"auth\w*|tokens?|schemes?|credentials?|headers?|challenges?|realm|format|methods?|security"
    r"|access|required|missing|invalid|expired|expected|validation"
)
_BEARER = re.compile(
    rf"\b(bearer)[ \t]{{1,8}}(?!(?:{_PROSE_AFTER_BEARER})\b)[\w.~+/=-]{{6,}}",
    re.IGNORECASE | re.ASCII,
)
_BASIC = re.compile(r"\b(basic)[ \t]{1,8}([A-Za-z0-9+/_-]{4,}={0,2})", re.IGNORECASE | re.ASCII)
_KEYS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA|AROA|AIDA|AGPA)[A-Z0-9]{12,}"  # AWS
    r"|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|https://hooks\.slack\.com/services/[\w/]+"
    r"|(?:sk|rk|pk)_(?:live|test)_\w{8,}|whsec_[\w+/=]{8,}"  # Stripe
    r"|sk-[\w-]{20,}|AIza[\w-]{30,}|ya29\.[\w-]{20,}|npm_\w{30,}|pypi-[\w-]{30,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}"
    r")",
    re.ASCII,
)
_USERINFO = re.compile(r"(?<![\w+.-])([A-Za-z][\w+.-]{0,30}://)[^\s/?#\"'<>]*@", re.ASCII)
_CARD = re.compile(
    r"(?<![\d+.])(?<!\d-)"  # no phone number, fraction or part of a UUID
    r"(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{5})(?![.-]?\d)",
    re.ASCII,
)
_RUN = re.compile(r"(?<![\w+/=-])[\w+/-]{32,}={0,2}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_NOT_ALNUM = re.compile(r"[^A-Za-z0-9]+")
_HEX = re.compile(r"[0-9a-fA-F]+")

_FOUR_DIGITS = re.compile(r"\d{4}")
_MIN_KEY: Final = 13
_MIN_RUN: Final = 32
_MIN_DISTINCT_HEX: Final = 9
"""Of 16: 32 random digits hold fewer than 9 different ones once in a million."""
_MIN_DISTINCT: Final = 14
_MIN_TURNS: Final = 0.25
"""Share of neighbours of different kinds: 0.4 to 0.5 in random letters of one case with digits,
below 0.2 in words and paths."""
_MIN_TURNS_MIXED: Final = 0.42
"""The same with letters of both cases: 0.6 in random ones, 0.35 in names in camel case."""
_MAX_DIGITS_OF_WORDS: Final = 2
_MAX_CAPITALS_OF_WORDS: Final = 0.36
_MIN_VOWELS_OF_WORDS: Final = 0.35
"""Words in camel case, however short, hold few digits, a third of capitals at most and more than a
third of vowels; one in a thousand random texts of that length does."""


def redact_shapes(text: str) -> str:
    """Replace whatever looks like a key, a token, a card number or a login in a URL."""
    if "eyJ" in text:
        text = _JWT.sub(REDACTED, text)
    if "-----BEGIN" in text:
        text = _PEM.sub(REDACTED, text)
    if "://" in text:
        text = _USERINFO.sub(rf"\1{REDACTED}@", text)
    lowered = text.lower()
    if "bearer" in lowered:
        text = _BEARER.sub(rf"\1 {REDACTED}", text)
    if "basic" in lowered:
        text = _BASIC.sub(_basic, text)
    if len(text) >= _MIN_KEY and _KEYS.search(text):
        text = _KEYS.sub(REDACTED, text)
    if _FOUR_DIGITS.search(text):
        text = _CARD.sub(_card, text)
    return _RUN.sub(_run, text) if len(text) >= _MIN_RUN else text


def is_card_number(digits: str) -> bool:
    """Tell whether 13 to 19 digits are a payment card's by their check digit.

    A tenth of all numbers pass the check.
    So those are left alone that no card has: times since the epoch (a leading 1; only the airlines'
    cards of 15 digits have that), a leading 0, and the 978 and 979 of books.
    """
    length = len(digits)
    if not 13 <= length <= 19 or digits[0] == "0" or (digits[0] == "1" and length != 15):  # noqa: PLR2004
        return False
    if length == 13 and digits.startswith(("978", "979")):  # noqa: PLR2004
        return False
    odd = sum(map(int, digits[-1::-2]))
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


def _basic(match: re.Match[str]) -> str:
    """Only what decodes to ``user:password`` is a login; "basic checks" is prose."""
    text = match[2].rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return match[0]
    return f"{match[1]} {REDACTED}" if b":" in decoded else match[0]


def _card(match: re.Match[str]) -> str:
    return REDACTED if is_card_number(_NOT_ALNUM.sub("", match[0])) else match[0]


def _run(match: re.Match[str]) -> str:
    return REDACTED if _is_random(match[0]) else match[0]


def _is_random(run: str) -> bool:
    """Tell keys and digests from words, paths and UUIDs."""
    rest = _UUID.sub("", run)
    text = _NOT_ALNUM.sub("", rest)
    if len(text) < _MIN_RUN:
        return False
    kinds = [(c.isdigit(), c.isupper()) for c in text]
    different = set(text)
    mixed = text.upper() != text and text.lower() != text
    turns = sum(a != b for a, b in pairwise(kinds)) / (len(text) - 1)
    if turns < (_MIN_TURNS_MIXED if mixed else _MIN_TURNS) or (mixed and _reads_as_words(text)):
        return False
    if _HEX.fullmatch(text):
        return len(different) >= _MIN_DISTINCT_HEX and text == rest.rstrip("=")
    one_word = text == rest.rstrip("=")
    return len(different) >= _MIN_DISTINCT and (one_word or len(set(kinds)) == 3)  # noqa: PLR2004


def _reads_as_words(text: str) -> bool:
    length = len(text)
    return (
        sum(c.isdigit() for c in text) <= _MAX_DIGITS_OF_WORDS
        and sum(c.isupper() for c in text) <= length * _MAX_CAPITALS_OF_WORDS
        and sum(c in "aeiouyAEIOUY" for c in text) >= length * _MIN_VOWELS_OF_WORDS
    )
