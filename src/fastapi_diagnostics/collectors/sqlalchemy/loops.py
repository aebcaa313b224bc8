"""Tells ``for`` from ``while``: a ``for`` knows its items beforehand, a ``while`` may not."""

import dis
from functools import lru_cache
from types import CodeType
from typing import Literal

from fastapi_diagnostics.callsite import Site

LoopKind = Literal["for", "while", ""]


def loop_kind(site: Site) -> LoopKind:
    """Give the kind of the innermost loop around a call site; comprehensions are ``for``."""
    code, lasti = site
    around = [loop for loop in _loops(code) if loop[0] <= lasti <= loop[1]]
    return min(around, key=lambda loop: loop[1] - loop[0])[2] if around else ""


@lru_cache(maxsize=2048)
def _loops(code: CodeType) -> tuple[tuple[int, int, LoopKind], ...]:
    """Find the backward jumps: a ``for`` jumps unconditionally to its FOR_ITER.

    An ``async for`` awaits each item, which nobody knows beforehand either: it is no ``for`` here.
    """
    instructions = list(dis.get_instructions(code))
    iterating: set[int] = set()
    for before, item in zip([None, *instructions], instructions, strict=False):
        if item.opname == "FOR_ITER":
            iterating.add(item.offset)
            if before is not None and before.opname == "EXTENDED_ARG":
                iterating.add(before.offset)
    return tuple(
        (item.argval, item.offset, "for" if item.argval in iterating else "while")
        for item in instructions
        if "JUMP_BACKWARD" in item.opname and "NO_INTERRUPT" not in item.opname
    )
