"""Tells what kind of loop runs at a call site, and whether it is there for repetition at all.

A ``for`` knows its items beforehand, a ``while`` may not. A loop that ends as soon as the call
succeeds (``return`` or ``break`` right behind it) is a retry: it repeats nothing.
"""

import dis
from functools import lru_cache
from types import CodeType
from typing import Final, Literal, NamedTuple

from fastapi_diagnostics.callsite import Site

LoopKind = Literal["for", "async for", "while", ""]

_LEAVES: Final = ("RETURN_VALUE", "RETURN_CONST")


class Loop(NamedTuple):
    """A loop of a function.

    Attributes:
        start: Offset of the first instruction of a turn.
        end: Offset of the jump back.
        line: Where it stands; `column` counts from zero.
    """

    start: int
    end: int
    kind: LoopKind
    line: int
    column: int


@lru_cache(maxsize=8192)
def innermost_loop(site: Site) -> Loop | None:
    """Give the innermost loop around a call site that goes on after the call succeeded."""
    code, lasti = site
    around = [loop for loop in _loops(code) if loop.start <= lasti <= loop.end]
    around.sort(key=lambda loop: loop.end - loop.start)
    return next((loop for loop in around if not _leaves(code, lasti, loop.end)), None)


@lru_cache(maxsize=2048)
def _loops(code: CodeType) -> tuple[Loop, ...]:
    """Find the backward jumps: a ``for`` jumps unconditionally to its FOR_ITER.

    An ``async for`` awaits each item, which nobody may know beforehand: it is a kind of its own.
    The jumps with which ``await`` waits for its result are called JUMP_BACKWARD_NO_INTERRUPT.
    """
    instructions = list(dis.get_instructions(code))
    iterating: set[int] = set()
    at: dict[int, dis.Instruction] = {}
    for before, item in zip([None, *instructions], instructions, strict=False):
        at[item.offset] = item
        if item.opname == "FOR_ITER":
            iterating.add(item.offset)
            if before is not None and before.opname == "EXTENDED_ARG":
                iterating.add(before.offset)
    return tuple(
        _loop(at[item.argval], item, _kind(at[item.argval], iterating))
        for item in instructions
        if "JUMP_BACKWARD" in item.opname
        and "NO_INTERRUPT" not in item.opname
        and item.argval in at
    )


def _kind(first: dis.Instruction, iterating: set[int]) -> LoopKind:
    if first.opname == "GET_ANEXT":
        return "async for"
    return "for" if first.offset in iterating else "while"


def _loop(first: dis.Instruction, last: dis.Instruction, kind: LoopKind) -> Loop:
    place = first.positions
    line = place.lineno if place is not None else None
    column = place.col_offset if place is not None else None
    return Loop(first.offset, last.offset, kind, line or 0, column or 0)


@lru_cache(maxsize=8192)
def _leaves(code: CodeType, lasti: int, end: int) -> bool:
    """Tell whether the way on from a call leads out of the loop without a choice."""
    instructions = [item for item in dis.get_instructions(code) if item.offset > lasti]
    target = 0
    for item in instructions:
        if item.offset < target:
            continue
        if item.offset > end or item.opname in _LEAVES:
            return True
        if item.opname == "JUMP_FORWARD":
            target = item.argval
        elif _chooses(item.opname):
            return False
    return False


def _chooses(name: str) -> bool:
    """Recognise a branch or a next turn; SEND waits for an ``await`` and is neither."""
    if "NO_INTERRUPT" in name or name == "SEND":
        return False
    return "JUMP" in name or name in {"FOR_ITER", "RAISE_VARARGS", "RERAISE"}
