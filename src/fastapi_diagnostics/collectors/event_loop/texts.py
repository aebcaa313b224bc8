"""The text of a call as it stands in the user's file, for a fix that can be copied.

Runs in the watchdog's thread: the application's own never waits for a file.
"""

from functools import lru_cache
from types import CodeType
from typing import Final

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.source_files import imported

MAX_TEXT: Final = 300
_MAX_LINES: Final = 12


@lru_cache(maxsize=512)
def call_text(code: CodeType, lasti: int) -> str:
    """Give the expression that runs at an instruction; empty if its file cannot be read."""
    span = _span(code, lasti)
    if span is None:
        return ""
    source = imported(USER_CODE.shown(code.co_filename))
    line, end_line, column, end_column = span
    if source is None or end_line > len(source.lines) or end_line - line >= _MAX_LINES:
        return ""
    lines = [text.encode() for text in source.lines[line - 1 : end_line]]
    lines[-1] = lines[-1][:end_column]
    indent = len(lines[0]) - len(lines[0].lstrip())
    lines[0] = lines[0][column:]
    rest = [_dedented(text, indent) for text in lines[1:]]
    text = b"\n".join([lines[0], *rest]).decode(errors="replace").replace("\r", "")
    return text if len(text) <= MAX_TEXT else ""


def _span(code: CodeType, lasti: int) -> tuple[int, int, int, int] | None:
    """Give first and last line, and the columns in bytes, of what runs at an instruction."""
    for index, found in enumerate(code.co_positions()):
        if index == lasti // 2:
            line, end_line, column, end_column = found
            if line is None or end_line is None or column is None or end_column is None:
                return None
            return line, end_line, column, end_column
    return None


def _dedented(text: bytes, indent: int) -> bytes:
    own = len(text) - len(text.lstrip())
    return text[min(own, indent) :]
