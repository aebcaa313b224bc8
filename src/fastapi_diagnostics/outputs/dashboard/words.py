"""Turns numbers, times and marked-up sentences into what a person reads."""

import re
from datetime import UTC, datetime

import msgspec

_BACKTICKS = re.compile(r"`+([^`]+)`+")
_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86400
_KIB = 1024
_NEVER_ZERO_MS = 0.01


NOTHING = "\u2013"
"""Stands where there is no value: an en dash."""


class Part(msgspec.Struct, frozen=True):
    """A piece of a sentence; `code` where the author put backticks."""

    text: str
    code: bool = False


class Moment(msgspec.Struct, frozen=True):
    """A time: how long ago for the eye, exactly for the pointer."""

    ago: str
    exact: str


def prose(text: str) -> tuple[Part, ...]:
    """Split a sentence at its backticks."""
    parts: list[Part] = []
    end = 0
    for match in _BACKTICKS.finditer(text):
        parts.append(Part(text[end : match.start()]))
        parts.append(Part(match[1], code=True))
        end = match.end()
    parts.append(Part(text[end:]))
    return tuple(part for part in parts if part.text)


def paragraphs(text: str) -> tuple[tuple[Part, ...], ...]:
    """Split a text at its empty lines, and each paragraph at its backticks."""
    return tuple(prose(" ".join(block.split())) for block in text.split("\n\n") if block.strip())


def number(value: float) -> str:
    """Write a number with separators: 12,345."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}".rstrip("0")


def times(count: int) -> str:
    """Write how often something happened: a multiplication sign and the count; nothing for once."""
    return f"\u00d7{count:,}" if count > 1 else ""


def plural(count: int, noun: str, many: str = "") -> str:
    """Write a count with its noun: 1 request, 1,234 requests."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def milliseconds(value: float) -> str:
    """Write a duration with two or three figures: 0.42 ms, 4.2 ms, 412 ms, 1.24 s, 3 min 5 s."""
    if value < _NEVER_ZERO_MS:
        return "0 ms" if value <= 0 else "<0.01 ms"
    if value < 1:
        return f"{value:.2f} ms"
    if value < 10:  # noqa: PLR2004 - figures
        return f"{value:.1f} ms"
    if value < 999.5:  # noqa: PLR2004 - would be rounded to 1000
        return f"{value:.0f} ms"
    seconds = value / 1000
    if seconds < _MINUTE_S:
        return f"{seconds:.2f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def size(value: float) -> str:
    """Write a number of bytes."""
    if value < _KIB:
        return f"{value:.0f} B"
    if value < _KIB**2:
        return f"{value / _KIB:.0f} KiB"
    return f"{value / _KIB**2:.1f} MiB"


def moment(at: str, now: datetime) -> Moment:
    """Tell how long ago a time was; *at* is RFC 3339, unreadable ones are shown as they are."""
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return Moment(at, at)
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    exact = then.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    return Moment(_ago((now - then).total_seconds()), exact)


def clock_time(at: str) -> str:
    """Write a time of day to the millisecond, in the server's zone; unreadable ones as they are."""
    try:
        return datetime.fromisoformat(at).astimezone().strftime("%H:%M:%S.%f")[:-3]
    except ValueError:
        return at


def _ago(seconds: float) -> str:
    if seconds < 10:  # noqa: PLR2004 - nobody reads seconds that are gone when read
        return "just now"
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s ago"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min ago"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S:.0f} h ago"
    return f"{seconds // _DAY_S:.0f} d ago"


def sentence(text: str) -> str:
    """Begin with a capital letter and end with a full stop; nothing stays nothing."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def cut(text: str, length: int) -> str:
    """Cut a text, with an ellipsis where something is missing."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
