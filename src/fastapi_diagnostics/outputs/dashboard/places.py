"""Places in the user's code, ready to print."""

from typing import Any

import msgspec

from fastapi_diagnostics.outputs.dashboard.highlight import Token, python
from fastapi_diagnostics.outputs.dashboard.links import Links
from fastapi_diagnostics.record import Location


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the user's code.

    Attributes:
        label: ``app/authors.py:42``.
        folder: The part of `label` before the file's name, which may be dimmed.
        name: The rest of it.
        editor: Link into the editor; empty without the setting.
        code: The line's text, coloured.
    """

    label: str
    folder: str
    name: str
    function: str
    editor: str
    code: tuple[Token, ...] = ()


def place_of(location: Location | None, links: Links) -> Place | None:
    """Describe a place; `None` stays `None`."""
    if location is None:
        return None
    label = f"{location.file}:{location.line}"
    folder, slash, name = label.rpartition("/")
    return Place(
        label=label,
        folder=folder + slash,
        name=name,
        function=location.function if location.function != "<module>" else "",
        editor=links.editor(location.file, location.line),
        code=python(location.code),
    )


def location_in(value: Any) -> Location | None:
    """Read a place out of evidence; `None` if *value* is not one."""
    if not isinstance(value, dict):
        return None
    file, line = value.get("file"), value.get("line")
    if not isinstance(file, str) or not isinstance(line, int):
        return None
    return Location(
        file=file,
        line=line,
        function=str(value.get("function") or ""),
        code=str(value.get("code") or ""),
    )
