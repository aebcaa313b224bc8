"""Where a statement comes from, and whether it is there because of a loop."""

from collections.abc import Iterable
from itertools import pairwise

from fastapi_diagnostics.record import Frame, Location, Query, RequestRecord

PACE_MS = 100.0
"""A pause this long between two statements is a wait for something else, not a loop over rows:
database round trips of development take one to ten milliseconds."""

Chain = tuple[tuple[Location, int | None], ...]


def looping(query: Query) -> Frame | None:
    """Give the innermost user frame that was in a loop."""
    return next((frame for frame in query.stack if frame.in_loop), None)


def over_items(query: Query, record: RequestRecord) -> bool:
    """Tell whether the loop around a statement goes over items that are known beforehand.

    An ``async for`` does where it goes over the rows of a query: one that streams them ran before.
    """
    frame = looping(query)
    if frame is None or frame.loop != "async for":
        return frame is not None and frame.loop == "for"
    return any(
        other.streamed and other.task == query.task and other.index < query.index
        for other in record.queries
    )


def chain(query: Query) -> Chain:
    """Give the lines from the statement out to the loop, or all of them without a loop.

    Statements with the same chain came the same way; other callers of a helper have another one,
    and so has another loop on the same line.
    """
    lines: list[tuple[Location, int | None]] = []
    for frame in query.stack:
        lines.append((frame.location, frame.loop_column))
        if frame.in_loop:
            break
    if lines:
        return tuple(lines)
    return ((query.location, None),) if query.location is not None else ()


def owner(query: Query) -> Location | None:
    """Give the line to show: the one in the loop, else the innermost one."""
    frame = looping(query)
    return frame.location if frame is not None else query.location


def read_by_response(query: Query) -> bool:
    """Tell whether the response read it, itself or through a property of the user's."""
    return query.phase == "serialisation" and looping(query) is None


def of_one_message(queries: list[Query]) -> list[Query]:
    """Give those that ran for one message of a websocket: for the one with most of them."""
    windows = {query.window for query in queries}
    if len(windows) < 2:  # noqa: PLR2004 - all of one
        return queries
    return max(
        ([query for query in queries if query.window == window] for window in sorted(windows)),
        key=len,
    )


def loop_mark(query: Query) -> str:
    """Tell loops on one line apart; empty where the loop begins on a line of its own.

    It becomes part of a finding's cause. The text of the line is part of its fingerprint, so that
    the column changes only when the fingerprint does anyway.
    """
    frame = looping(query)
    return "" if frame is None or not frame.loop_column else f" (column {frame.loop_column})"


def paced(queries: Iterable[Query]) -> bool:
    """Tell whether most of the statements waited for something before they ran."""
    gaps = [
        later.started_ms - earlier.started_ms - earlier.duration_ms
        for earlier, later in pairwise(queries)
    ]
    return bool(gaps) and 2 * sum(gap > PACE_MS for gap in gaps) >= len(gaps)


def short(sql: str, limit: int = 300) -> str:
    """Cut a statement for a sentence."""
    return sql if len(sql) <= limit else sql[: limit - 1] + "…"


def place(location: Location | None) -> str:
    """Name a line in a sentence."""
    return "an unknown line" if location is None else f"{location.file}:{location.line}"


def spent_ms(queries: Iterable[Query]) -> float:
    """Add up the time of statements."""
    return round(sum(query.duration_ms for query in queries), 3)
