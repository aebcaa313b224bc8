"""Finds the call that made a coroutine which nobody awaited.

A coroutine object does not know who made it, unless the interpreter is asked to note that for
every coroutine. But it is mostly dropped by the very statement that made it; and where it is
not, there is often only one call in the user's code whose result is not awaited.
"""

import dis
import sys
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from types import CodeType, FrameType, FunctionType
from typing import Any, Final, NamedTuple

from fastapi_diagnostics.callsite import USER, USER_CODE, Site, unwrapped

_MAX_DEPTH: Final = 6
_MAX_CLASSES: Final = 2
_MAX_FUNCTIONS: Final = 20_000
_CALLS: Final = frozenset({"CALL", "CALL_FUNCTION_EX", "CALL_KW"})


def dropped_by(frame: FrameType | None, name: str) -> Site | None:
    """Tell whether the statement that drops a coroutine also made it.

    Args:
        frame: What runs while the coroutine is dropped.
        name: Of the coroutine function.
    """
    if frame is None or USER_CODE.kind(frame.f_code.co_filename) != USER:
        return None
    code, lasti = frame.f_code, frame.f_lasti
    line = _line_at(code, lasti)
    for call in _unawaited(code):
        # A call that is dropped at once is the one, whatever name it goes by here.
        if call.dropped_at == lasti or (call.name == name and call.line <= line <= call.end):
            return code, call.offset
    return None


@lru_cache(maxsize=512)
def only_call_of(coroutine: CodeType) -> Site | None:
    """Find the one call in the user's modules whose result is not awaited; `None` if several."""
    name = coroutine.co_name
    found = {
        (code.co_filename, call.line): (code, call.offset)
        for code in _user_codes()
        if _mentions(code, name)
        for call in _unawaited(code)
        if call.name == name and call.dropped_at < 0  # else its own statement had dropped it
    }
    return found.popitem()[1] if len(found) == 1 else None


def kept_by(function: Any, name: str) -> Site | None:
    """Find the one call in a user's coroutine function that keeps its result in a variable.

    Args:
        function: Such as the endpoint, which has just returned and let its variables go.
        name: Of the coroutine function that was called; it may be a library's.
    """
    code = getattr(unwrapped(function), "__code__", None)
    if not isinstance(code, CodeType) or USER_CODE.kind(code.co_filename) != USER:
        return None
    kept = [call for call in _unawaited(code) if call.name == name and call.kept]
    return (code, kept[0].offset) if len(kept) == 1 else None


class _Call(NamedTuple):
    """A call whose result is not awaited at once.

    Attributes:
        dropped_at: Offset of the instruction that drops its result; -1 if something else is done.
        kept: Whether the result goes into a variable that nobody awaits here.
    """

    name: str
    line: int
    end: int
    offset: int
    dropped_at: int
    kept: bool


@lru_cache(maxsize=1024)
def _unawaited(code: CodeType) -> tuple[_Call, ...]:
    instructions = [i for i in dis.get_instructions(code) if i.opname not in {"CACHE", "PRECALL"}]
    awaited = _awaited_variables(instructions)
    starts: dict[Any, str] = {}
    found = []
    for this, following in zip(instructions, [*instructions[1:], None], strict=True):
        place = this.positions
        if place is None or place.lineno is None:
            continue
        start = (place.lineno, place.col_offset)
        if this.opname.startswith("LOAD_") and isinstance(this.argval, str):
            starts[start] = this.argval  # of ``a.b.c(...)`` the last name that begins here
        elif this.opname in _CALLS and (following is None or following.opname != "GET_AWAITABLE"):
            dropped = following.offset if following and following.opname == "POP_TOP" else -1
            kept = _stored_in(following) not in {"", *awaited}
            end = place.end_lineno or place.lineno
            name = starts.get(start, "")
            found.append(_Call(name, place.lineno, end, this.offset, dropped, kept))
    return tuple(found)


def _awaited_variables(instructions: list[dis.Instruction]) -> set[str]:
    return {
        str(this.argval[-1] if isinstance(this.argval, tuple) else this.argval)
        for this, following in pairwise(instructions)
        if following.opname == "GET_AWAITABLE" and "LOAD_FAST" in this.opname
    }


def _stored_in(instruction: dis.Instruction | None) -> str:
    """Name the variable that takes the result of the instruction before; empty if none does."""
    if instruction is None or not instruction.opname.startswith("STORE_FAST"):
        return ""
    names = instruction.argval
    return str(names[0] if isinstance(names, tuple) else names)


def _line_at(code: CodeType, lasti: int) -> int:
    for start, end, line in code.co_lines():
        if line is not None and start <= lasti < end:
            return line
    return code.co_firstlineno


def _mentions(code: CodeType, name: str) -> bool:
    return any(name in names for names in (code.co_names, code.co_varnames, code.co_freevars))


def _user_codes() -> Iterator[CodeType]:
    """Give the code of every function in the user's modules, at most so many."""
    count = 0
    for module in tuple(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or USER_CODE.kind(file) != USER:
            continue
        for code in _codes_in(vars(module), file, 0):
            yield code
            count += 1
            if count >= _MAX_FUNCTIONS:
                return


def _codes_in(names: Any, file: str, depth: int) -> Iterator[CodeType]:
    """Look at functions and classes only, by type: another object may do things when looked at."""
    for value in tuple(names.values()):
        if type(value) in {staticmethod, classmethod}:
            value = value.__func__  # noqa: PLW2901 - what it holds
        if type(value) is FunctionType:
            yield from _code_of(value, file)
        elif type(value) is type and depth < _MAX_CLASSES:
            yield from _codes_in(vars(value), file, depth + 1)


def _code_of(function: FunctionType, file: str) -> Iterator[CodeType]:
    for _ in range(_MAX_DEPTH):
        inner = vars(function).get("__wrapped__")
        if type(inner) is not FunctionType:
            break
        function = inner
    if function.__code__.co_filename == file:
        yield from _nested(function.__code__, 0)


def _nested(code: CodeType, depth: int) -> Iterator[CodeType]:
    yield code
    if depth < _MAX_DEPTH:
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                yield from _nested(constant, depth + 1)
