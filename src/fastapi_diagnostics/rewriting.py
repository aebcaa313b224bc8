"""Writes the user's line anew, with another expression in it, so that it can be copied whole.

Without `ast`: see `fastapi_diagnostics.outline` for why nothing of ours parses.
"""

import re
from typing import Final

_TRAILERS: Final = (".", "[", "(")
"""What follows an ``await`` without parentheses would belong to what is awaited."""
_OTHER_SCOPE: Final = re.compile(r"\blambda\b|\S\s+for\b|\bawait\s*$")
"""Where ``await`` means something else or nothing: functions without a name, comprehensions."""
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
    if _OTHER_SCOPE.search(before) or _OTHER_SCOPE.search(f"x{after}"):
        return ""
    if after.startswith(_TRAILERS):
        expression = f"({expression})"
    if after.lstrip().startswith("#"):
        after = ""
    statement = f"{before}{expression}{after}".rstrip()
    return f"{head}{statement}" if not head or _stands_alone(statement) else ""


def _stands_alone(statement: str) -> bool:
    """Tell whether a line can be moved into a block without those below it."""
    opened, closed = (sum(map(statement.count, marks)) for marks in ("([{", ")]}"))
    return opened == closed and not statement.endswith((":", ",", "\\"))
