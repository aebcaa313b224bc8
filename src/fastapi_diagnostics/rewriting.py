"""Writes the user's line anew, with another expression in it, so that it can be copied whole.

Without `ast`: see `fastapi_diagnostics.outline` for why nothing of ours parses.
"""

import re
from typing import Final

_TRAILERS: Final = (".", "[", "(")
"""What follows an ``await`` without parentheses would belong to what is awaited."""
_OTHER_SCOPE: Final = re.compile(r"\blambda\b|\S\s+for\b|\bawait\s*$")
"""Where ``await`` means something else or nothing: functions without a name, comprehensions."""
_DEFINING: Final = ("def ", "class ")
_OUR_SESSION: Final = re.compile(r"(?<![\w.])session(?=\.)")
_SESSION: Final = re.compile(
    r"(?<![\w.)\]])((?:\w+\.)*\w+)\.(?:add|add_all|commit|execute|flush|refresh|scalar|scalars)\("
)
"""Not `get`, `delete` or `stream`: clients of HTTP have them, and their lines get fixes as well."""
_HANDED_OVER: Final = re.compile(r"(\w+), \.\.\.")
_OPEN_CALL: Final = re.compile(r"(?<![\w.])(\w+)\(\.\.\.\)")
_UNDER_A_NAME: Final = re.compile(r"(?P<head>.*:\n +)\w+ = (?P<expression>[^\n]+)", re.DOTALL)


def rewritten(line: str, part: str, code: str) -> str:
    """Put an expression in the place of a part of a line.

    Args:
        line: A line of source without indentation.
        part: What stands in it, such as ``time.sleep(1)``.
            One that begins with a dot is a name that changes, wherever it stands.
        code: An expression; or the head of a block and below it one under a made-up name, as in
            ``async with connect() as client:`` and ``response = await client.get(url)``. Then the
            user's line takes the place of the lower one.

    Returns:
        Empty where it is not certain that what comes out means what is meant.
    """
    if part.startswith(".") and line.count(part) == 1:
        return line.replace(part, code)
    named = _UNDER_A_NAME.fullmatch(code)
    head, expression = (named["head"], named["expression"]) if named else ("", code)
    if not part or line.count(part) != 1 or "\n" in expression:
        return ""
    before, _, after = line.partition(part)
    if before[-1:].isidentifier() or before.endswith("."):
        return ""  # the end of a longer name
    if _OTHER_SCOPE.search(before.removeprefix("async ")) or _OTHER_SCOPE.search(f"x{after}"):
        return ""
    if expression and after.startswith(_TRAILERS):
        expression = f"({expression})"
    if after.lstrip().startswith("#"):
        after = ""
    statement = f"{before}{expression}{after}".rstrip()
    return f"{head}{statement}" if not head or _stands_alone(statement) else ""


def filled_in(line: str, code: str) -> str:
    """Write the call of the user's line in the place of each ``name(...)`` with open arguments.

    Args:
        line: A line of source.
        code: Any code, or ``name, ...`` for a call that is to be made by another one. A call that
            does not stand in the line exactly once, or goes on in the next one, stays as it is.
    """
    handed_over = _HANDED_OVER.fullmatch(code)
    if handed_over:
        function, _, arguments = _call_of(line, handed_over[1])[:-1].partition("(")
        return f"{function}, {arguments}".removesuffix(", ") if function else code
    return _OPEN_CALL.sub(lambda match: _call_of(line, match[1]) or match[0], code)


def with_own_session(line: str, code: str) -> str:
    """Write the user's name for a session in the place of ours.

    Args:
        line: A line of source that uses the session, if only one such name is in it.
        code: Any code; our name is ``session``.
    """
    names = set(_SESSION.findall(line))
    return _OUR_SESSION.sub(names.pop(), code) if len(names) == 1 else code


def _call_of(line: str, name: str) -> str:
    """Give the call of a name with what stands before its dot; empty where that is not certain."""
    found = list(re.finditer(rf"(?<![\w.)\]])(?:\w+\.)*{re.escape(name)}\(", line))
    if len(found) != 1 or len(re.findall(rf"\b{re.escape(name)}\b", line)) != 1:
        return ""
    if line[: found[0].start()].endswith(_DEFINING):
        return ""
    begin, end = found[0].start(), _closing(line, found[0].end())
    return line[begin:end] if end else ""


def _closing(line: str, inside: int) -> int:
    """Give the place behind the bracket that closes the one before *inside*; 0 if none does."""
    depth, quote = 1, ""
    for place in range(inside, len(line)):
        mark = line[place]
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "'\"":
            quote = mark
        elif mark in "([{":
            depth += 1
        elif mark in ")]}":
            depth -= 1
        if depth == 0:
            return place + 1
        if mark in "#\\":
            return 0
    return 0


def _stands_alone(statement: str) -> bool:
    """Tell whether a line can be moved into a block without those below it."""
    opened, closed = (sum(map(statement.count, marks)) for marks in ("([{", ")]}"))
    return opened == closed and not statement.endswith((":", ",", "\\"))
