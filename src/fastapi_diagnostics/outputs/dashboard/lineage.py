"""Arrows from the query that loaded the parents to the queries about them, drawn beside the rows.

Each row draws its own piece, from its upper to its lower edge, so that the arrows hold together
whatever height a row has, opened or closed.
"""

from collections.abc import Mapping

import msgspec

MAX_LANES = 4
"""Parents whose arrows run side by side; a fifth one is only told in words."""
LANE = 11
NODE_Y = 18
"""Pixels from the upper edge of a row to the middle of its first line."""
_FIRST_X = 5
_HEAD = 14


class Stroke(msgspec.Struct, frozen=True):
    """A straight line; a number of pixels, or ``100%``."""

    x1: str
    y1: str
    x2: str
    y2: str


class Gutter(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn beside one row.

    Attributes:
        head: Where the arrow into this row has its point; empty without one.
        dots: Where the lanes of this row's own children begin.
    """

    width: int
    strokes: tuple[Stroke, ...]
    head: str = ""
    dots: tuple[str, ...] = ()


class _Lane(msgspec.Struct):
    parent: int
    last: int
    number: int


def gutters(parents: Mapping[int, int], rows: int) -> tuple[Gutter | None, ...]:
    """Draw the arrows of a list.

    Args:
        parents: By row, the row that its arrow comes from; only earlier rows can be drawn.
        rows: How many rows are shown.

    Returns:
        One for each row; all `None` where no arrow is drawn.
    """
    lanes = _lanes(parents, rows)
    if not lanes:
        return (None,) * rows
    width = _FIRST_X + LANE * (1 + max(lane.number for lane in lanes.values())) + _HEAD
    return tuple(_gutter(row, parents.get(row), lanes, width) for row in range(rows))


def _lanes(parents: Mapping[int, int], rows: int) -> dict[int, _Lane]:
    """Give each parent a lane that is free from its row to that of its last child."""
    last: dict[int, int] = {}
    for child, parent in parents.items():
        if parent < child < rows:
            last[parent] = max(child, last.get(parent, 0))
    lanes: dict[int, _Lane] = {}
    for parent in sorted(last):
        taken = {lane.number for lane in lanes.values() if lane.last >= parent}
        number = next((number for number in range(MAX_LANES) if number not in taken), None)
        if number is not None:
            lanes[parent] = _Lane(parent, last[parent], number)
    return lanes


def _gutter(row: int, parent: int | None, lanes: Mapping[int, _Lane], width: int) -> Gutter:
    node, end = str(NODE_Y), str(width - 3)
    strokes: list[Stroke] = []
    head, dots = "", []
    for lane in lanes.values():
        x = str(_FIRST_X + LANE * lane.number)
        goes_on = row < lane.last
        if row == lane.parent:
            strokes += [Stroke(x, node, x, "100%"), Stroke(x, node, end, node)]
            dots.append(x)
        elif lane.parent < row <= lane.last:
            arrives = parent == lane.parent
            strokes.append(Stroke(x, "0", x, "100%" if goes_on else node))
            if arrives:
                strokes.append(Stroke(x, node, end, node))
                head = f"M{width - 7} {NODE_Y - 3.5}l6 3.5-6 3.5z"
    return Gutter(width=width, strokes=tuple(strokes), head=head, dots=tuple(dots))
