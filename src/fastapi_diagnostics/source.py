"""Reads the user's files: source lines for findings, snippets for pages, inline suppression.

Runs on the worker's thread or in a thread of an output, never on the application's loop.
Only Python files that belong to the user are ever opened.
"""

import hashlib
import re
from functools import lru_cache
from typing import Any, Final

import msgspec

from fastapi_diagnostics import outline
from fastapi_diagnostics.finding import Finding, Fix
from fastapi_diagnostics.missing_imports import code_of, missing_imports, names_to_import
from fastapi_diagnostics.record import Location
from fastapi_diagnostics.rewriting import filled_in, rewritten, with_own_session
from fastapi_diagnostics.source_files import SourceFile, changed, imported, on_disk, user_file

_MAX_LINE: Final = 400
_MAX_PARSED: Final = 64
_MAX_DEPTH: Final = 6
_CONTAINERS: Final = frozenset({dict, list})
_IGNORE = re.compile(r"#\s*diagnostics:\s*ignore\[([^\]]*)\]")


class SnippetLine(msgspec.Struct, frozen=True, kw_only=True):
    """One source line; `marked` where the defect is."""

    number: int
    text: str
    marked: bool = False


class Snippet(msgspec.Struct, frozen=True, kw_only=True):
    """Source lines around a place.

    Attributes:
        lines: Empty when the file cannot be shown.
        why: The reason for empty `lines`, as a sentence; empty otherwise.
        line: Where the marked line stands now; differs from the stored place when it has moved.
    """

    lines: tuple[SnippetLine, ...] = ()
    why: str = ""
    line: int = 0


def complete(finding: Finding) -> Finding:
    """Fill in what only the source tells: the lines' text, the exact line and the fingerprint.

    A finding that points at a ``def`` and has anchors moves to the line that holds one of them.
    """
    location = _moved(finding) if finding.anchors else finding.location
    ordinal = 0
    if location is not None:
        location = _with_code(location)
        ordinal = _ordinal(location)
    finding = msgspec.structs.replace(
        finding,
        location=location,
        fix=_completed_fix(finding.fix),
        evidence=_with_lines(msgspec.to_builtins(finding.evidence), 0),
        ordinal=ordinal,
    )
    return msgspec.structs.replace(finding, fingerprint=_fingerprint(finding))


def suppressed(finding: Finding) -> bool:
    """Tell whether the reported line says ``# diagnostics: ignore[SQL101]``, by code or name."""
    if finding.location is None:
        return False
    text = line_text(finding.location.file, finding.location.line) or finding.location.code
    match = _IGNORE.search(text)
    if match is None:
        return False
    named = {name.strip().lower() for name in match[1].split(",")}
    return finding.rule.lower() in named or finding.name.lower() in named


def line_text(file: str, line: int) -> str:
    """Give the text of a line as it was imported, without indentation; empty if unknown."""
    source = imported(file)
    if source is None or not 1 <= line <= len(source.lines):
        return ""
    return source.lines[line - 1].strip()[:_MAX_LINE]


def snippet(location: Location, context: int = 5) -> Snippet:
    """Give the lines around a place, as they stand on disk.

    A line that has moved since it was recorded is looked for by its text.
    """
    path = user_file(location.file)
    if path is None:
        return Snippet(why=f"{location.file} is not a Python file of this project.")
    source = on_disk(path)
    if source is None:
        return Snippet(why=f"{location.file} cannot be read here.")
    if changed(path):
        return Snippet(why=f"{location.file} has changed since it was imported.")
    line = _present_line(source, location)
    if line is None:
        return Snippet(why=f"{location.file} has changed: this line is no longer in it.")
    first, last = _window(source.lines, line, context)
    texts = source.lines[first - 1 : last]
    return Snippet(
        line=line,
        lines=tuple(
            SnippetLine(number=number, text=text[:_MAX_LINE], marked=number == line)
            for number, text in enumerate(_dedented(texts), first)
        ),
    )


def _fingerprint(finding: Finding) -> str:
    location = finding.location
    parts = (
        (finding.rule, finding.route, finding.cause)
        if location is None
        else (
            finding.rule,
            location.file,
            location.function,
            location.code,
            str(finding.ordinal),
            finding.cause,
        )
    )
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return "v1:" + hashlib.blake2b(text, digest_size=8).hexdigest()


def _completed_fix(fix: Fix | None) -> Fix | None:
    if fix is None or fix.location is None:
        return fix
    location = _with_code(fix.location)
    if fix.code.startswith("await ") and _is_plain(location):
        name = location.function.rpartition(".")[2]
        cannot = f"{name} is a plain `def`, which cannot await: make it `async def` first."
        fix = msgspec.structs.replace(fix, summary=f"{fix.summary} {cannot}")
    code, part = (filled_in(location.code, text) for text in (fix.code, fix.replaces))
    code = with_own_session(location.code, code)
    whole = rewritten(location.code, part, code) if part else ""
    return msgspec.structs.replace(
        fix,
        location=location,
        code=whole or code,
        replaces="" if whole or not code or "\n" in code else part,
        imports=_missing_imports(fix.code, location),
    )


def _is_plain(location: Location) -> bool:
    """Tell whether a line stands in a function that is no coroutine."""
    source = imported(location.file)
    if source is None or not 1 <= location.line <= len(source.lines):
        return False
    definition = outline.enclosing_def(source.lines, location.line)
    return definition is not None and source.lines[definition - 1].lstrip().startswith("def")


def _missing_imports(code: str, location: Location) -> tuple[str, ...]:
    names = names_to_import(code)
    source = imported(location.file) if names else None
    return missing_imports(names, _code_of(source)) if source is not None else ()


@lru_cache(maxsize=_MAX_PARSED)
def _code_of(source: SourceFile) -> str:
    return code_of(source.lines)


def _with_code(location: Location) -> Location:
    if location.code:
        return location
    line = _line_of_def(location.file, location.line)
    return msgspec.structs.replace(location, line=line, code=line_text(location.file, line))


def _line_of_def(file: str, line: int) -> int:
    """Go on from a decorator, which is where a code object begins, to its ``def``."""
    if not line_text(file, line).startswith("@"):
        return line
    source = imported(file)
    return (outline.def_line(source.lines, line) if source is not None else None) or line


def _with_lines(value: Any, depth: int) -> Any:
    """Add the text of the line to every place in evidence, which is of builtins."""
    if depth > _MAX_DEPTH:
        return value
    if isinstance(value, dict):
        filled = {
            key: _with_lines(item, depth + 1) if item.__class__ in _CONTAINERS else item
            for key, item in value.items()
        }
        file, line = filled.get("file"), filled.get("line")
        if isinstance(file, str) and isinstance(line, int) and not filled.get("code"):
            filled["line"] = _line_of_def(file, line)
            filled["code"] = line_text(file, filled["line"])
        return filled
    if isinstance(value, list):
        return [
            _with_lines(item, depth + 1) if item.__class__ in _CONTAINERS else item
            for item in value
        ]
    return value


def _moved(finding: Finding) -> Location | None:
    location = finding.location
    source = imported(location.file) if location is not None else None
    if location is None or source is None:
        return location
    definition = outline.def_line(source.lines, location.line)
    if definition is None:
        return location
    line = outline.anchored_line(source.lines, definition, finding.anchors) or definition
    return msgspec.structs.replace(location, line=line, code="")


def _ordinal(location: Location) -> int:
    """Count the equal lines before this one in its function."""
    source = imported(location.file)
    if source is None or not location.code or location.line > len(source.lines):
        return 0
    return _equals_before(source, location.line, location.code)


@lru_cache(maxsize=128)  # one line is found again in each request
def _equals_before(source: SourceFile, line: int, code: str) -> int:
    first = outline.enclosing_def(source.lines, line) or 1
    before = source.lines[first - 1 : line - 1]
    return sum(text.strip()[:_MAX_LINE] == code for text in before)


def _window(lines: tuple[str, ...], line: int, context: int) -> tuple[int, int]:
    """Give the first and last line to show; not beyond the top-level block that holds *line*."""
    first = last = line
    while first > max(1, line - context) and not _is_gap(lines, first - 1, first):
        first -= 1
    while last < min(len(lines), line + context) and not _is_gap(lines, last + 1, last + 2):
        last += 1
    while last > line and not lines[last - 1].strip():
        last -= 1
    return first, last


def _is_gap(lines: tuple[str, ...], empty: int, below: int) -> bool:
    """Tell whether an empty line is followed by a top-level statement or another empty line."""
    if lines[empty - 1].strip():
        return False
    return below > len(lines) or not lines[below - 1][:1].isspace()


def _present_line(source: SourceFile, location: Location) -> int | None:
    """Find where the recorded line stands now; nearest to where it was."""
    if not location.code:
        return location.line if 1 <= location.line <= len(source.lines) else None
    equal = [
        number
        for number, text in enumerate(source.lines, 1)
        if text.strip()[:_MAX_LINE] == location.code
    ]
    return min(equal, key=lambda number: abs(number - location.line), default=None)


def _dedented(texts: tuple[str, ...]) -> list[str]:
    expanded = [text.expandtabs(4).rstrip() for text in texts]
    indents = [len(text) - len(text.lstrip()) for text in expanded if text]
    common = min(indents, default=0)
    return [text[common:] for text in expanded]
