"""Functions that hold the loop for many short stretches: told by LOOP102, and not by LOOP101."""

from typing import Final, NamedTuple, TypeAlias

from fastapi_diagnostics.record import Location, LoopBlock, RequestRecord, ShortBlocks

Function: TypeAlias = tuple[str, str]
"""File and name."""

MIN_COUNT: Final = 5
"""Fewer are the ordinary unevenness of an endpoint."""
MIN_TOTAL_MS: Final = 200
"""Twice what feels instant (Nielsen, 1993): others meet one of these steps at every turn."""
STRETCHED: Final = 2.0
"""A busy machine makes one of many steps longer than the others; more than twice as long is a
block of its own."""


class Many(NamedTuple):
    """Short stretches in one function.

    Attributes:
        shorts: By line.
        stretched: Those of them that came out as blocks.
    """

    shorts: list[ShortBlocks]
    stretched: list[LoopBlock]

    @property
    def times(self) -> int:
        """How many there were."""
        return sum(shorts.count for shorts in self.shorts) + len(self.stretched)

    @property
    def total_ms(self) -> float:
        """How long they held the loop together."""
        spent = sum(shorts.total_ms for shorts in self.shorts)
        return round(spent + sum(block.duration_ms for block in self.stretched), 3)


def many_short(record: RequestRecord) -> dict[Function, Many]:
    """Find the functions whose short stretches add up."""
    found: dict[Function, Many] = {}
    for shorts in record.short_blocks:
        place = shorts.longest.location
        if place is not None:
            found.setdefault(function_of(place), Many([], [])).shorts.append(shorts)
    for block in record.blocks if found else ():
        # What another thread did is not this function's, wherever that thread was.
        if block.location is not None and not block.thread and function_of(block.location) in found:
            found[function_of(block.location)].stretched.append(block)
    return {function: many for function, many in found.items() if _are_many(many)}


def function_of(place: Location) -> Function:
    """Name the function of a line."""
    return place.file, place.function


def _are_many(many: Many) -> bool:
    """Tell whether they add up, and whether no block among them is one in its own right."""
    short_count = sum(shorts.count for shorts in many.shorts)
    longest = max(shorts.longest.duration_ms for shorts in many.shorts)
    return (
        short_count >= MIN_COUNT
        and many.total_ms >= MIN_TOTAL_MS
        and len(many.stretched) < short_count
        and all(block.duration_ms <= longest * STRETCHED for block in many.stretched)
    )
