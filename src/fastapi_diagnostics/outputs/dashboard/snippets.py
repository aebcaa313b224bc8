"""Source lines around a place."""

import msgspec

from fastapi_diagnostics import source
from fastapi_diagnostics.outputs.dashboard.highlight import Token, python
from fastapi_diagnostics.outputs.dashboard.links import Links
from fastapi_diagnostics.outputs.dashboard.places import Place, place_of
from fastapi_diagnostics.record import Location

CONTEXT_LINES = 4


class CodeLine(msgspec.Struct, frozen=True):
    """A line of a snippet."""

    number: int
    tokens: tuple[Token, ...]
    marked: bool


class Where(msgspec.Struct, frozen=True):
    """The guilty line among its neighbours; `why` instead of lines if there are none.

    Attributes:
        moved: Where the line stands now, if that is elsewhere.
    """

    place: Place
    lines: tuple[CodeLine, ...]
    why: str
    moved: str


def snippet_of(
    location: Location | None, links: Links, context: int = CONTEXT_LINES
) -> Where | None:
    """Show a line among its neighbours; `None` stays `None`."""
    if location is None:
        return None
    found = source.snippet(location, context)
    moved = f"now line {found.line}" if found.line not in (0, location.line) else ""
    lines = tuple(CodeLine(line.number, python(line.text), line.marked) for line in found.lines)
    present = msgspec.structs.replace(location, line=found.line or location.line)
    place = place_of(present, links)
    return Where(place, lines, found.why, moved) if place else None
