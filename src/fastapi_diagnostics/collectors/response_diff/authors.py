"""Finds the user's function that writes a key: the endpoint, or one that it calls.

Only byte code is looked at, once per function: opening source files has no place in a request.
Only code objects are kept, no functions: a closure would keep an application alive.
"""

import dis
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from fastapi_diagnostics.callsite import USER, USER_CODE, function_name, unwrapped
from fastapi_diagnostics.record import Location

MAX_FUNCTIONS: Final = 40
MAX_DEPTH: Final = 3
_MAX_ENDPOINTS: Final = 2000
_BUILDS: Final = frozenset({"BUILD_MAP", "MAP_ADD", "BUILD_CONST_KEY_MAP"})
_WRITES: Final = frozenset({"BUILD_MAP", "MAP_ADD", "STORE_SUBSCR"})
_READS: Final = frozenset(
    {"BINARY_SUBSCR", "CONTAINS_OP", "COMPARE_OP", "CALL", "PRECALL", "LOAD_ATTR", "LOAD_METHOD"}
)
"""What takes a constant that is compared, looked up, or handed to a call."""
_PUSHING_ONE: Final = (
    *("BUILD_", "BINARY_", "CALL", "COMPARE_", "CONTAINS_", "FORMAT_", "IS_", "UNARY_"),
    *("LOAD_ATTR", "LOAD_METHOD"),
)

_REACHABLE: dict[CodeType, tuple[CodeType, ...]] = {}


def author_of(key: str, endpoint: Any) -> Location | None:
    """Find the function that writes ``{"key": …}``, ``dict(key=…)`` or ``d["key"] = …``.

    Looks at the endpoint first, then at the user's functions and methods it names, breadth first.

    Returns:
        Where that function is defined; `None` if none does: then the dict came from elsewhere.
    """
    for code in _reachable(endpoint):
        if key in _written(code):
            return Location(
                file=USER_CODE.shown(code.co_filename),
                line=code.co_firstlineno,
                function=function_name(code),
            )
    return None


def reads(name: str, endpoint: Any) -> bool:
    """Tell whether the endpoint, or a function of the user's it calls, reads an attribute.

    ``author.books`` is read, ``Author.books`` only names the attribute for a query.
    """
    return any(name in _read(code) for code in _reachable(endpoint))


def _reachable(endpoint: Any) -> tuple[CodeType, ...]:
    first = unwrapped(endpoint)
    if not isinstance(first, FunctionType) or not _is_users(first):
        return ()
    known = _REACHABLE.get(first.__code__)
    if known is None:
        if len(_REACHABLE) >= _MAX_ENDPOINTS:
            _REACHABLE.clear()
        known = _REACHABLE[first.__code__] = _search(first)
    return known


def _search(first: FunctionType) -> tuple[CodeType, ...]:
    found = {first.__code__: first}
    layer = [first]
    for _ in range(MAX_DEPTH):
        called = {other.__code__: other for function in layer for other in _called(function)}
        layer = [other for code, other in called.items() if code not in found]
        found |= {other.__code__: other for other in layer}
        if len(found) >= MAX_FUNCTIONS:
            break
    return tuple(found)[:MAX_FUNCTIONS]


def _called(function: FunctionType) -> Iterator[FunctionType]:
    """Give the user's functions that a function mentions by name."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    mentioned = [function.__globals__[name] for name in names & function.__globals__.keys()]
    classes = (getattr(hint, "__origin__", hint) for hint in function.__annotations__.values())
    for value in (*mentioned, *(cls for cls in classes if isinstance(cls, type))):
        for member in _members(value, names):
            target = unwrapped(getattr(member, "__func__", member))
            if isinstance(target, FunctionType) and _is_users(target):
                yield target


def _members(value: Any, names: set[str]) -> list[Any]:
    """Give a function itself, else what a module, a class or an instance's class has by *names*."""
    if isinstance(value, FunctionType):
        return [value]
    held = vars(value if isinstance(value, ModuleType | type) else type(value))
    return [held[name] for name in names & held.keys()]


def _is_users(function: FunctionType) -> bool:
    return USER_CODE.kind(function.__code__.co_filename) == USER


@lru_cache(maxsize=2048)
def _written(function: CodeType) -> frozenset[str]:
    return frozenset(key for code in _codes(function) for key in _keys(code))


@lru_cache(maxsize=2048)
def _read(function: CodeType) -> frozenset[str]:
    found = set()
    for code in _codes(function):
        before = None
        for item in dis.get_instructions(code):
            if item.opname in {"LOAD_ATTR", "LOAD_METHOD"} and not _names_class(before):
                found.add(str(item.argval))
            before = item
    return frozenset(found)


def _names_class(item: dis.Instruction | None) -> bool:
    """Tell by its spelling whether a class was loaded; the value itself is not at hand."""
    return (
        item is not None
        and item.opname in {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_ATTR"}
        and str(item.argval)[:1].isupper()
    )


def _keys(code: CodeType) -> Iterator[str]:
    """Give the constants that may be keys of a dict written here; those only read are left out."""
    instructions = list(dis.get_instructions(code))
    builds_dict = any(item.opname in _BUILDS for item in instructions)
    for position, item in enumerate(instructions):
        if item.opname not in {"LOAD_CONST", "KW_NAMES"}:
            continue
        value = code.co_consts[item.arg or 0]
        if isinstance(value, tuple):  # the keys of a display, the names of keyword arguments
            yield from (name for name in value if isinstance(name, str))
        elif isinstance(value, str):
            consumer = _consumer(instructions, position)
            if consumer in _WRITES or (builds_dict and consumer not in _READS):
                yield value


def _consumer(instructions: list[dis.Instruction], position: int) -> str | None:
    """Find what takes the constant that is loaded at *position* off the stack.

    Returns:
        Its name in `dis`; `None` if a jump comes before it, or nothing within 60 instructions.
    """
    depth = 1
    for item in instructions[position + 1 : position + 61]:
        if item.opcode in dis.hasjrel or item.opcode in dis.hasjabs:
            return None
        has_argument = item.opcode >= dis.HAVE_ARGUMENT
        effect = dis.stack_effect(item.opcode, item.arg if has_argument else None, jump=False)
        if depth - _popped(item.opname, effect) < 1:
            return "BINARY_SUBSCR" if item.argrepr == "[]" else item.opname
        depth += effect
    return None


def _popped(name: str, effect: int) -> int:
    """Tell how many values an instruction takes off the stack before it pushes any."""
    return 1 - effect if name.startswith(_PUSHING_ONE) else max(0, -effect)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
