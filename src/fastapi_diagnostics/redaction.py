"""What may be shown of captured text and values: secrets are removed by name and by shape.

Everything captured passes through here before it reaches a queue, a file, a log or a page.
No method of a user's object is ever called.
"""

import hashlib
import math
import re
from collections import Counter
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import Final
from urllib.parse import unquote_plus
from uuid import UUID

REDACTED: Final = "<redacted>"
MAX_INPUT: Final = 16 * 1024
MAX_QUERY: Final = 2048
MAX_PAIRS: Final = 100
MAX_PATH: Final = 512

# Names.

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = frozenset(
    """
    password passwords passwd passphrase pwd secret secrets apikey credential credentials cred creds
    cookie cookies csrf xsrf jwt otp totp cvv cvc iban ssn authorization bearer pin
    """.split()  # noqa: SIM905 - a list of words reads better so
)
_SECRET_UNLESS_COUNTED = frozenset(["token", "tokens", "session", "auth", "authentication"])
_COUNTING = frozenset(
    """
    count counts counter length len max min limit size total number num used usage type kind
    budget price cost prompt completion input output rate method status provider schemes scheme
    required enabled
    """.split()  # noqa: SIM905 - a list of words reads better so
)
_SECRET_PAIRS = frozenset(
    {
        *(("api", "key"), ("private", "key"), ("access", "key"), ("signing", "key")),
        *(("encryption", "key"), ("card", "number"), ("card", "no"), ("card", "num")),
        *(("credit", "card"), ("debit", "card"), ("security", "code"), ("db", "pass")),
        *(("user", "pass"), ("smtp", "pass"), ("database", "pass")),
    }
)
_SECRET_PARTS = (
    *("password", "passwd", "passphrase", "secret", "apikey", "privatekey", "accesstoken"),
    *("refreshtoken", "authtoken", "sessionid", "credential", "csrf", "xsrf", "cardnumber"),
    *("creditcard", "authorization"),
)
_NO_SECRETS = re.compile(r"secretar(?:y|ies|iat)|(?:un)?authorizations?s?_?(?:count|type)")


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether a field of this name probably holds a secret.

    Names are read word by word (``hashed_password``, ``apiKey``, ``X-CSRF-Token``), so that
    ``author``, ``passenger``, ``opinion`` or ``max_tokens`` are none.
    """
    text = name[:200]
    words = [word.lower() for word in _WORD.findall(text)]
    if words == ["pass"] or not _SECRET_WORDS.isdisjoint(words):
        return True
    if not _SECRET_PAIRS.isdisjoint(pairwise(words)):
        return True
    if not _SECRET_UNLESS_COUNTED.isdisjoint(words) and _COUNTING.isdisjoint(words):
        return True
    joined = _NO_SECRETS.sub("", "".join(words))
    return any(part in joined for part in _SECRET_PARTS)


# Text.

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_WHOLE_LINE = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\"?'?\s{0,3}[:=]\s{0,3})[^\r\n]+"
)
_PAIR = re.compile(
    r"(?<![\w.-])([A-Za-z_][\w.-]{0,60})([\"')]{0,2}\s{0,3}[=:]\s{0,3}[(]?)"
    r"(\"[^\"\n]*\"?|'[^'\n]*'?|[^\s,;&)}\]\"']+)"
)
_SHAPES = re.compile(
    r"""
      -----BEGIN\ [A-Z ]{0,30}PRIVATE\ KEY-----(?:[^-]|-(?!----END))*(?:-----END[A-Z -]{0,40})?
    | \beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*
    | (?<=://)[^\s/@:]{0,200}:[^\s/@]{1,200}(?=@)
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b
    | \b(?:gh[pousr]_|github_pat_)\w{20,}
    | \bxox[abeoprs]-[\w-]{10,}
    | \b(?:sk|rk|pk)_(?:live|test)_\w{10,}
    | \bsk-[\w-]{20,}
    | (?<=\bBearer\ )(?=[^\s]*\d)[\w.~+/=-]{8,}
    | (?<=\bBasic\ )(?=[^\s]*[\d=])[\w+/=-]{8,}
    """,
    re.VERBOSE,
)
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w.])")
_LONG = re.compile(r"(?<![\w+/=.-])[A-Za-z0-9_-]{32,}={0,2}(?![\w+/=])|[A-Za-z0-9+/]{40,}={0,2}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PARAMETERS = "[parameters: "
_BACKGROUND = "(Background on this error at:"
_SQL_TEXT = re.compile(r"\[SQL: [^\]]*")
_LITERAL = re.compile(r"'(?:[^']|'')*'?")
_MIN_ENTROPY = 3.5
"""Bits a character: hexadecimal digits have at most 4, English words about 3."""


def redact_text(text: str, limit: int = 500) -> str:
    """Make free text safe to show: secrets by shape, values beside secret names, controls.

    Args:
        text: Anything; what lies beyond 16 KiB is not looked at and not shown.
        limit: Length of the result, which ends in an ellipsis where it was cut.
    """
    cut = len(text) > MAX_INPUT
    text = _without_secrets(_without_parameters(text[:MAX_INPUT]))
    text = _UNSAFE.sub(_escape, text)
    if len(text) > limit:
        return text[: max(0, limit - 1)] + "…"
    return text + "…" if cut else text


def _without_secrets(text: str) -> str:
    text = _SHAPES.sub(REDACTED, text)
    text = _WHOLE_LINE.sub(rf"\1\2{REDACTED}", text)
    text = _PAIR.sub(_without_value, text)
    text = _CARD.sub(_without_card, text)
    return _LONG.sub(_without_key, text)


def _without_parameters(text: str) -> str:
    """Take the bound values out of the text of a SQLAlchemy error, and literals out of its SQL."""
    begin = text.find(_PARAMETERS)
    if begin >= 0:
        end = text.find(_BACKGROUND, begin)
        text = text[:begin] + (text[end:] if end >= 0 else "")
    return _SQL_TEXT.sub(lambda match: _LITERAL.sub("?", match[0]), text)


def _without_value(match: re.Match[str]) -> str:
    name, between, value = match.groups()
    if not is_secret_name(name) or value.startswith("<"):
        return match[0]
    return f"{name}{between}{REDACTED}"


def _without_card(match: re.Match[str]) -> str:
    return REDACTED if _luhn(match[0]) else match[0]


def _without_key(match: re.Match[str]) -> str:
    text = match[0]
    if _UUID.fullmatch(text) or not re.search(r"\d", text) or not re.search(r"[A-Za-z]", text):
        return text
    if "/" in text and (text == text.lower() or text.count("/") > 3):  # noqa: PLR2004
        return text  # a path: in 40 characters of base64 there are 0.6 slashes on average
    parts = re.split(r"[_-]", text)
    if len(parts) > 1 and all(part.isalpha() or part.isdigit() or not part for part in parts):
        return text  # words and numbers: an identifier
    return REDACTED if _entropy(text) >= _MIN_ENTROPY else text


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - two digits


def _entropy(text: str) -> float:
    """Shannon entropy in bits a character."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values())


def _luhn(text: str) -> bool:
    """Check the last digit of a card number (ISO/IEC 7812)."""
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [sum(divmod(digit * 2, 10)) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[::-2]) + sum(doubled)) % 10 == 0


# Values.

_SHOWN_TYPES = (datetime, date, time, timedelta, Decimal, UUID)
_MAX_DEPTH: Final = 4
_MAX_ITEMS: Final = 10
_MAX_BITS: Final = 256


def preview(value: object, *, name: str = "", mode: str = "redacted", limit: int = 80) -> str:
    """Render a value safely; calls nothing of a user's class, not even ``__repr__``.

    Args:
        value: Anything.
        name: What it is called; a secret name hides it.
        mode: ``redacted``; ``none`` gives type and size only.
        limit: Length of the result.
    """
    if name and is_secret_name(name):
        return REDACTED
    text = _sized(value) if mode == "none" else _shown(value, 0, limit)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _shown(value: object, depth: int, limit: int) -> str:
    kind = type(value)
    if kind is str:
        return _shown_text(str(value), limit)
    if kind in (int, float, bool, type(None), *_SHOWN_TYPES):
        return _shown_number(value) if kind is int else str(value)
    if isinstance(value, Enum):
        return f"{kind.__name__}.{object.__getattribute__(value, '_name_')}"
    if kind in (dict, list, tuple, set, frozenset):
        return "…" if depth >= _MAX_DEPTH else _shown_items(value, depth, limit)
    return _sized(value)


def _shown_text(value: str, limit: int) -> str:
    head = value[: max(limit * 4, 400)]
    safe = redact_text(head, limit)
    return repr(safe) if safe == head else repr(safe).replace("\\\\", "\\")


def _shown_number(value: object) -> str:
    assert isinstance(value, int)  # noqa: S101 - for the type checker
    if value.bit_length() > _MAX_BITS:
        return f"<int, {value.bit_length()} bits>"
    text = str(value)
    return REDACTED if _CARD.fullmatch(text) and _luhn(text) else text


def _shown_items(value: object, depth: int, limit: int) -> str:
    if isinstance(value, dict):
        items = [
            f"{_shown(key, depth + 1, 40)}: "
            + (
                REDACTED
                if isinstance(key, str) and is_secret_name(key)
                else _shown(v, depth + 1, limit)
            )
            for key, v in list(value.items())[:_MAX_ITEMS]
        ]
        begin, end = "{", "}"
    else:
        assert isinstance(value, (list, tuple, set, frozenset))  # noqa: S101 - the other containers
        items = [_shown(item, depth + 1, limit) for item in list(value)[:_MAX_ITEMS]]
        begin, end = {list: ("[", "]"), tuple: ("(", ")")}.get(type(value), ("{", "}"))
    if len(value) > _MAX_ITEMS:
        items.append("…")
    return begin + ", ".join(items) + end


def _sized(value: object) -> str:
    kind = type(value)
    if kind is str:
        return f"<str, {len(value)} characters>"  # type: ignore[arg-type]  # exactly a str
    if kind in (bytes, bytearray, memoryview):
        return f"<{kind.__name__}, {len(value)} bytes>"  # type: ignore[arg-type]  # sized
    if kind in (dict, list, tuple, set, frozenset):
        return f"<{kind.__name__}, {len(value)} items>"  # type: ignore[arg-type]  # sized
    return f"<{kind.__name__}>"


def redact_query_string(raw: bytes | str, mode: str = "redacted") -> str:
    """Keep the names of a query string; show values that are no secrets, cut at 80 characters."""
    text = raw.decode("latin-1") if isinstance(raw, bytes) else raw
    pairs = text[: MAX_QUERY * 2].split("&", MAX_PAIRS)[:MAX_PAIRS]
    shown = "&".join(_shown_pair(pair, mode) for pair in pairs if pair)
    return shown if len(shown) <= MAX_QUERY else shown[: MAX_QUERY - 1] + "…"


def _shown_pair(pair: str, mode: str) -> str:
    name, separator, value = pair.partition("=")
    name, value = unquote_plus(name), unquote_plus(value)
    shown_name = redact_text(name, 80)
    if not separator:
        return shown_name
    if is_secret_name(name):
        return f"{shown_name}={REDACTED}"
    return f"{shown_name}={_sized(value) if mode == 'none' else redact_text(value, 80)}"


@lru_cache(maxsize=1024)
def redact_path(path: str) -> str:
    """Replace the segments of a URL's path that look like secrets; at most 512 characters."""
    segments = path[: MAX_PATH * 2].split("/")
    shown = "/".join(_UNSAFE.sub(_escape, _without_secrets(segment)) for segment in segments)
    return shown if len(shown) <= MAX_PATH else shown[: MAX_PATH - 1] + "…"


def values_digest(values: object, key: bytes) -> str:
    """Digest bound values with a key: equal values have equal digests, and none can be guessed.

    Objects of other than built-in types count as equal only to themselves, by identity.
    Never raises.
    """
    digest = hashlib.blake2b(digest_size=8, key=key[:64])
    _feed(digest, values, 0)
    return digest.hexdigest()


def _feed(digest: hashlib.blake2b, value: object, depth: int) -> None:
    kind = type(value)
    digest.update(kind.__name__.encode() + b":")
    if kind in (str, int, float, bool, bytes, type(None), *_SHOWN_TYPES):
        digest.update(value if isinstance(value, bytes) else repr(value).encode("utf-8", "replace"))
    elif isinstance(value, dict) and depth < _MAX_DEPTH:
        for key, item in value.items():
            _feed(digest, key, depth + 1)
            _feed(digest, item, depth + 1)
    elif isinstance(value, (list, tuple)) and depth < _MAX_DEPTH:
        for item in value:
            _feed(digest, item, depth + 1)
    else:
        digest.update(str(id(value)).encode())
    digest.update(b";")
