"""Tells by its name that a value is a secret.

Names are split into words, so that ``pin`` is found in ``user_pin`` and not in ``shipping``.
Where a word has a harmless meaning too, the words around it decide; in doubt it is a secret.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

_MAX_NAME: Final = 256

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LETTERS = re.compile(r"[a-z]+")

_STEMS = re.compile(
    r"password|passwd|passphrase|passcode|passwort|kennwort|contrasena|motdepasse"
    r"|pwd|secret(?!ar|ion|ly|e$|ed$)|credential|csrf|xsrf|jwt|cvv"
    r"|apikey|apitoken|privatekey|accesskey|encryptionkey|signingkey|masterkey|sshkey|authkey"
    r"|accesstoken|refreshtoken|authtoken|idtoken|bearertoken"
    r"|authheader|basicauth|httpauth|proxyauth"
    r"|sessionid|sessid|sessionkey|sessiontoken|sessiondata"
    r"|cardnumber|cardno$|cardnum$|creditcard|debitcard|ccnumber|ccnum$"
    r"|pincode|otpcode|onetimecode|verificationcode|recoverycode|backupcode|securitycode|mfacode"
    r"|socialsecurity"
)
"""Long enough to be sought in the whole name, its separators left out."""

_WORDS: Final = frozenset(
    {"pw", "bearer", "token", "tokens", "cookie", "cookies", "otp", "totp", "hotp", "pin", "cvc"}
    | {"cvn", "iban", "ssn", "auth", "authorization", "authentication", "session", "card", "pass"}
)
_ENDINGS: Final = ("token", "cookie", "cookies", "otp", "ssn", "iban", "pass")
_NO_ENDINGS: Final = frozenset(
    {"bypass", "compass", "encompass", "overpass", "surpass", "trespass", "underpass"}
)

_ASKS: Final = frozenset(
    {"is", "has", "have", "require", "requires", "need", "needs", "show", "hide", "can", "allow"}
    | {"allows", "must", "should", "max", "min", "num"}
)
"""First words of names for a yes or no, or for a number."""

_TELLS: Final = frozenset(
    {"count", "counts", "length", "len", "size", "limit", "type", "kind", "expires", "expiry"}
    | {"expiration", "expired", "expire", "at", "ttl", "lifetime", "age", "timeout", "duration"}
    | {"enabled", "disabled", "required", "valid", "policy", "strength", "status", "state"}
    | {"version", "attempts", "updated", "changed", "created", "modified", "date", "time"}
    | {"timestamp", "scopes", "scope", "issuer", "audience", "algorithm", "provider", "method"}
    | {"scheme", "format", "cost", "usage", "used", "rate", "seconds", "minutes", "hours", "days"}
    | {"ms", "in", "consent", "banner", "preferences", "index", "position", "settings", "level"}
)
"""Last words of names that tell something about a secret and do not hold it."""

_HARMLESS_AFTER: Final = {
    "token": frozenset({"id", "ids", "url", "uri", "endpoint", "name", "class", "price", "symbol"}),
    "auth": frozenset({"id", "url", "uri", "endpoint", "user", "group", "permission", "backend"}),
    "authorization": frozenset({"id", "url", "uri", "endpoint"}),
    "authentication": frozenset({"id", "url", "uri", "endpoint", "error", "classes", "backend"}),
    "session": frozenset(
        {"title", "name", "start", "started", "end", "ended", "number", "speaker", "speakers"}
        | {"abstract", "room", "track", "topic", "description", "url", "slot", "notes", "maker"}
        | {"factory"}
    ),
    "card": frozenset(
        {"id", "title", "brand", "name", "color", "colour", "text", "body", "list", "last", "image"}
        | {"url", "label", "labels"}
    ),
    "pin": frozenset(
        {"id", "color", "colour", "x", "y", "lat", "lng", "lon", "location", "mode", "title"}
        | {"url", "board", "label", "icon", "name"}
    ),
    "pass": frozenset({"id", "fail", "ratio", "through", "percentage", "mark", "threshold"}),
    "cookie": frozenset({"name", "domain", "path", "secure", "samesite"}),
}
_HARMLESS_BEFORE: Final = {
    "tokens": frozenset(
        {"total", "prompt", "completion", "input", "output", "cached", "reasoning", "remaining"}
        | {"estimated", "n", "image", "audio", "thinking", "special", "stop"}
    ),
    "session": frozenset(
        {"training", "game", "conference", "workshop", "db", "sql", "async", "practice", "study"}
        | {"coaching", "therapy", "class", "scoped"}
    ),
    "card": frozenset({"score", "business", "flash", "wild", "post", "report", "playing"}),
    "pin": frozenset({"map", "gpio", "drop", "led", "rolling", "bowling", "push"}),
    "pass": frozenset(
        {"boarding", "season", "ski", "bus", "day", "test", "first", "second", "by"}
        | {"low", "high", "band", "forward", "backward"}
    ),
}


def is_secret_name(name: str) -> bool:
    """Tell whether a value of this name is a secret.

    Args:
        name: Of a field, parameter, column, header or key, in any style; also a dotted path.
    """
    return _is_secret(name if len(name) <= _MAX_NAME else name[:128] + "_" + name[-128:])


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    name = _plain(name)
    flat = _words(name)
    split = _words(_CAMEL.sub("_", name))
    return _tells_a_secret(split) or (flat != split and _tells_a_secret(flat))


def _plain(name: str) -> str:
    """Bring full-width and accented letters to ASCII."""
    if name.isascii():
        return name
    return "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))


def _words(name: str) -> tuple[str, ...]:
    return tuple(_LETTERS.findall(name.casefold()))


def _tells_a_secret(words: tuple[str, ...]) -> bool:
    if not words or (len(words) > 1 and (words[0] in _ASKS or words[-1] in _TELLS)):
        return False
    return bool(_STEMS.search("".join(words))) or _has_secret_word(words)


def _has_secret_word(words: tuple[str, ...]) -> bool:
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        after = words[place + 1] if place + 1 < len(words) else ""
        if word in _WORDS:
            harmless = after in _HARMLESS_AFTER.get(word, ()) or before in _HARMLESS_BEFORE.get(
                word, ()
            )
            if not harmless and not (word == "tokens" and after in {"per", "left"}):
                return True
        elif word.endswith(_ENDINGS) and word not in _NO_ENDINGS:
            return True
    return False
