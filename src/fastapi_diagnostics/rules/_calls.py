"""Takes a call apart as it stands in the source: what is called, with which arguments.

Without `ast`: see `fastapi_diagnostics.outline` for why nothing of ours parses.
"""

import re
from typing import Final, NamedTuple

_OPENING: Final = "([{"
_CLOSING: Final = ")]}"
_QUOTES: Final = "'\""
UNKNOWN: Final = "..."
_STAYS: Final = re.compile(r"\b(await|yield|async)\b|:=")


class Written(NamedTuple):
    """A call as written.

    Attributes:
        function: Such as ``time.sleep``; empty if it is the attribute of an expression.
        arguments: What stands in the parentheses; ``...`` where that is unknown.
        parts: The arguments one by one; `None` where they are unknown.
        source: The whole call, where `function` is empty and it can be moved as it stands.
    """

    function: str
    arguments: str = UNKNOWN
    parts: tuple[str, ...] | None = None
    source: str = ""

    @property
    def positional(self) -> tuple[str, ...]:
        """The leading arguments without a name."""
        parts = self.parts or ()
        named = next((i for i, part in enumerate(parts) if keyword(part)), len(parts))
        return parts[:named]


def written(function: str, source: str) -> Written:
    """Take the text of a call apart.

    Args:
        function: The dotted name that is called, as the source has it.
        source: The whole call; may be empty.
    """
    if not function:
        moves = source.endswith(")") and "\n" not in source and not _STAYS.search(source)
        return Written("", source=source if moves else "")
    if not source.startswith(f"{function}(") or not source.endswith(")"):
        return Written(function)
    arguments = source[len(function) + 1 : -1].strip().rstrip(",")
    parts = split(arguments)
    if parts is None:
        return Written(function)
    if len(parts) == 1 and " for " in parts[0] and parts[0][0] not in _OPENING + _QUOTES:
        parts = (f"({parts[0]})",)  # a bare generator can only stand alone
        arguments = parts[0]
    return Written(function, arguments, parts)


def keyword(part: str) -> str:
    """Give the name of a keyword argument; empty for any other."""
    name, equals, rest = part.partition("=")
    return (
        name.strip() if equals and not rest.startswith("=") and name.strip().isidentifier() else ""
    )


def split(arguments: str) -> tuple[str, ...] | None:
    """Cut at the commas outside of brackets and quotes.

    Returns:
        `None` for what is not understood, or where a bracket or a quote is left open.
    """
    if "#" in arguments or '"""' in arguments or "'''" in arguments:
        return None
    parts: list[str] = [""]
    depth = lowest = 0
    quote = ""
    escaped = False
    for character in arguments:
        if quote:
            if character == quote and not escaped:
                quote = ""
            escaped = character == "\\" and not escaped
        elif character in _QUOTES:
            quote = character
        elif character in _OPENING + _CLOSING:
            depth += 1 if character in _OPENING else -1
        elif character == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += character
        lowest = min(lowest, depth)
    if depth or quote or lowest < 0:
        return None  # below zero the call ends, and something is done with what it gives
    return tuple(part.strip() for part in parts if part.strip())
