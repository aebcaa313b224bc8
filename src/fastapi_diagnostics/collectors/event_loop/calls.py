"""Names the call that a frame is in, from its bytecode and without running any user code."""

import builtins
import dis
import functools
import inspect
from bisect import bisect_right
from types import CodeType, FrameType, ModuleType
from typing import Any, Final, NamedTuple

from fastapi_diagnostics.callsite import Site

_ROOTS: Final = frozenset(
    {"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_DEREF", "LOAD_NAME", "LOAD_GLOBAL"}
)
_ATTRIBUTES: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_CALLS: Final = frozenset({"CALL", "CALL_KW", "CALL_FUNCTION_EX"})
_MISSING: Final = object()
_PUBLIC: Final = {
    "_hashlib": "hashlib",
    "_io": "io",
    "_pickle": "pickle",
    "_json": "json",
    "_socket": "socket",
    "_sqlite3": "sqlite3",
    "_thread": "threading",
    "_queue": "queue",
    "_bcrypt": "bcrypt",
    "_ssl": "ssl",
    "posix": "os",
    "nt": "os",
    "bcrypt._bcrypt": "bcrypt",
}
"""Modules of C parts, and the names by which people import them."""


class Call(NamedTuple):
    """A call as resolved.

    Attributes:
        name: Such as ``time.sleep`` or ``sqlite3.Cursor.execute``; as written where it could not
            be resolved; empty where the frame is in no call.
        module: Of the function or of the object's class; empty when unresolved.
        written: As it stands in the source, such as ``session.execute``; empty where the function
            is the attribute of an expression.
        source: The whole call as it stands in the source; empty until it has been read.
    """

    name: str = ""
    module: str = ""
    written: str = ""
    source: str = ""


def named_call(site: Site, frame: FrameType) -> Call:
    """Name the call at a site, looking its words up in the frame's variables."""
    words = _words(*site)
    if not words:
        return _entered(site, frame)
    if not words[0]:  # called on the result of an expression
        opened = words[1] == "open" and _variable(frame, "open") is open
        return Call(words[-1], "io" if opened else "")
    owner: Any = None
    value = _variable(frame, words[0])
    for word in words[1:]:
        if value is _MISSING:
            break
        owner, value = value, inspect.getattr_static(value, word, _MISSING)
        if value is _MISSING and not isinstance(owner, ModuleType):
            value = inspect.getattr_static(type(owner), word, _MISSING)
    return _described(words, owner, value)._replace(written=".".join(words))


def _entered(site: Site, frame: FrameType) -> Call:
    """Name what a ``with`` statement enters, such as ``with lock:``; else nothing."""
    word = _context(*site)
    value = _variable(frame, word) if word else _MISSING
    if value is _MISSING:
        return Call()
    cls = type(value)
    return Call(f"{_class_name(cls)}.__enter__", public(cls.__module__))


def _described(words: tuple[str, ...], owner: Any, value: Any) -> Call:
    if isinstance(owner, ModuleType):
        module = public(owner.__name__)
        return Call(f"{module}.{words[-1]}", module)
    if type(value) in {staticmethod, classmethod}:
        value = value.__func__
    if owner is not None and not isinstance(owner, type):
        cls = type(owner)
        return Call(f"{_class_name(cls)}.{words[-1]}", public(cls.__module__))
    if isinstance(owner, type):
        # An inherited method is the doing of the library that wrote it: `Model.model_validate`.
        module = _text(value, "__module__") or owner.__module__
        return Call(f"{_class_name(owner)}.{words[-1]}", public(module))
    if value is _MISSING or value is None:
        return Call(".".join(words))
    if type(value) is functools.partial:
        value = value.func
    module = _text(value, "__module__")
    name = _text(value, "__qualname__") or words[-1]
    if module in {"", "builtins"}:
        return Call(name, module)
    return Call(f"{public(module)}.{name}", public(module))


def public(module: str) -> str:
    """Give the name under which people know a module."""
    return _PUBLIC.get(module, module)


def _class_name(cls: type) -> str:
    module = public(cls.__module__)
    return cls.__qualname__ if module == "builtins" else f"{module}.{cls.__qualname__}"


def _text(value: Any, name: str) -> str:
    """Read ``__module__`` or ``__qualname__`` of functions and classes; nothing of the user's."""
    if not isinstance(value, type) and type(value).__module__ != "builtins":
        return ""
    found = getattr(value, name, "")
    return found if isinstance(found, str) else ""


def _variable(frame: FrameType, name: str) -> Any:
    for names in (frame.f_locals, frame.f_globals, vars(builtins)):
        if name in names:
            return names[name]
    return _MISSING


@functools.lru_cache(maxsize=512)
def _words(code: CodeType, lasti: int) -> tuple[str, ...]:
    """Give the dotted name that is called at an instruction; empty if it is no such call."""
    instructions = list(dis.get_instructions(code))
    # While a Python function is called, CPython 3.11 stands on a cache entry behind the call.
    index = bisect_right([found.offset for found in instructions], lasti) - 1
    if index < 0 or "CALL" not in instructions[index].opname:
        return ()
    begin = _begin(instructions[index])
    if begin is None:
        return ()
    before = instructions[:index]
    root = _last(before, _ROOTS, begin)
    attribute = _last(before, _ATTRIBUTES, begin)
    if root is None or (_last(before, _CALLS, begin) or -1) > root:
        # Called on the result of another call, such as ``client.get(url).json()``.
        if attribute is None:
            return ()
        return (
            "",
            "" if root is None else instructions[root].argval,
            instructions[attribute].argval,
        )
    return (instructions[root].argval, *_attributes(before[root + 1 :], begin))


@functools.lru_cache(maxsize=512)
def _context(code: CodeType, lasti: int) -> str:
    """Give the name that a ``with`` statement enters at an instruction; empty if it is no name."""
    before = None
    for found in dis.get_instructions(code):
        if found.offset > lasti:
            break
        if found.opname in {"CACHE", "NOP", "PUSH_NULL"}:
            continue
        if found.offset == lasti and found.opname == "BEFORE_WITH" and before is not None:
            return str(before.argval) if before.opname in _ROOTS else ""
        before = found
    return ""


def _last(
    instructions: list[dis.Instruction], names: frozenset[str], begin: tuple[int, int]
) -> int | None:
    for index in range(len(instructions) - 1, -1, -1):
        if instructions[index].opname in names and _begin(instructions[index]) == begin:
            return index
    return None


def _attributes(instructions: list[dis.Instruction], begin: tuple[int, int]) -> tuple[str, ...]:
    names: list[str] = []
    for found in instructions:
        if found.opname in {"PUSH_NULL", "CACHE", "NOP"}:
            continue
        if found.opname not in _ATTRIBUTES or _begin(found) != begin:
            break
        names.append(found.argval)
    return tuple(names)


def _begin(instruction: dis.Instruction) -> tuple[int, int] | None:
    positions = instruction.positions
    if positions is None or positions.lineno is None or positions.col_offset is None:
        return None
    return positions.lineno, positions.col_offset
