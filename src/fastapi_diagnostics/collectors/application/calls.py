"""Finds calls of pydantic 1's methods on models of pydantic 2, in the byte code of functions.

Byte code and not text: nothing is parsed, comments and strings cannot be mistaken for calls, and
names can be looked up where the function itself would. Only receivers whose class is known are
told of: a class by its name, ``self`` and ``cls``, and parameters that are annotated with a model.
"""

import dis
import inspect
import types
import typing
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any, Final

import msgspec

from fastapi_diagnostics.app_record import OldPydanticUse
from fastapi_diagnostics.callsite import function_name
from fastapi_diagnostics.collectors.application.pydantic_models import is_model
from fastapi_diagnostics.collectors.application.text import Sources, user_file_of
from fastapi_diagnostics.record import Location

METHODS: Final = frozenset(
    {
        *("dict", "json", "copy", "construct", "parse_obj", "parse_raw", "parse_file"),
        *("from_orm", "schema", "schema_json", "validate", "update_forward_refs"),
    }
)
_LIBRARIES: Final = ("pydantic.", "sqlmodel.")
_MAX_NESTING: Final = 5
_STORE_AND_LOAD: Final = "STORE_FAST_LOAD_FAST"  # since CPython 3.13


class _Place(msgspec.Struct, frozen=True):
    """A function whose byte code is looked at, and what is known of its names."""

    code: CodeType
    function: Any
    owner: Any
    annotations: dict[str, Any]


def old_calls(
    function: Any, sources: Sources, owner: type | None = None
) -> Iterator[OldPydanticUse]:
    """Look through a function and those inside of it.

    Args:
        function: A plain function, or a method as the class holds it.
        sources: To show the line.
        owner: The class it is a method of.
    """
    for plain in _functions(function):
        annotations = dict(getattr(plain, "__annotations__", {}))
        place = _Place(plain.__code__, plain, owner, annotations)
        yield from _in_code(place, sources, 0)


def _functions(value: Any) -> Iterator[FunctionType]:
    if isinstance(value, property):
        value = value.fget
    value = inspect.unwrap(getattr(value, "__func__", value)) if value is not None else None
    if isinstance(value, FunctionType):
        yield value


def _in_code(place: _Place, sources: Sources, nesting: int) -> Iterator[OldPydanticUse]:
    code = place.code
    if not METHODS.isdisjoint(code.co_names):
        yield from _calls(place, sources)
    for constant in code.co_consts if nesting < _MAX_NESTING else ():
        if isinstance(constant, CodeType) and constant.co_name != "<module>":
            # Parameters of an inner function hide those of the outer one.
            own = constant.co_varnames
            known = {name: one for name, one in place.annotations.items() if name not in own}
            inner = msgspec.structs.replace(place, code=constant, annotations=known)
            yield from _in_code(inner, sources, nesting + 1)


def _calls(place: _Place, sources: Sources) -> Iterator[OldPydanticUse]:
    file = user_file_of(place.function)
    instructions = [one for one in dis.get_instructions(place.code) if one.opname != "CACHE"]
    stored = {name for one in instructions for name in _stored(one)}
    line = place.code.co_firstlineno
    for position, instruction in enumerate(instructions):
        line = _line_of(instruction) or line
        if instruction.argval not in METHODS or not instruction.opname.startswith("LOAD_"):
            continue
        if instruction.opname not in {"LOAD_ATTR", "LOAD_METHOD"} or position == 0 or not file:
            continue
        model, exact = _receiver(place, instructions, position - 1, stored)
        if model is not None and _is_old(model, instruction.argval):
            here = Location(file=file, line=line, function=function_name(place.code))
            api = f".{instruction.argval}()"
            yield OldPydanticUse(
                model=model.__name__, api=api, location=sources.at(here), exact=exact
            )


def _stored(instruction: dis.Instruction) -> tuple[str, ...]:
    """Name the variables that an instruction gives a new value."""
    if not instruction.opname.startswith(("STORE_FAST", "STORE_DEREF", "DELETE_FAST")):
        return ()
    names = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
    return names[:1] if instruction.opname == _STORE_AND_LOAD else names


def _line_of(instruction: dis.Instruction) -> int | None:
    positions = getattr(instruction, "positions", None)
    return positions.lineno if positions is not None else None


def _receiver(
    place: _Place, instructions: list[dis.Instruction], position: int, stored: set[str]
) -> tuple[Any, bool]:
    """Find the model whose method is loaded, and whether its class itself was named."""
    instruction = instructions[position]
    name = instruction.argval
    if instruction.opname.startswith(("LOAD_FAST", "LOAD_DEREF", _STORE_AND_LOAD)):
        name = name[-1] if isinstance(name, tuple) else name
        if name in stored:
            return None, False
        if name in {"self", "cls"} and place.owner is not None and _is_first(place, name):
            return place.owner, True
        return _model_in(place.annotations.get(name), place.function.__globals__), False
    value = _named(place, instructions, position)
    return (value, True) if is_model(value) else (None, False)


def _is_first(place: _Place, name: str) -> bool:
    return bool(place.function.__code__.co_varnames[:1] == (name,))


def _named(place: _Place, instructions: list[dis.Instruction], position: int) -> Any:
    """Follow ``Item`` or ``schemas.Item`` to what it names, through modules only."""
    instruction = instructions[position]
    if instruction.opname == "LOAD_GLOBAL":
        return place.function.__globals__.get(instruction.argval)
    if instruction.opname in {"LOAD_ATTR", "LOAD_METHOD"} and position > 0:
        holder = _named(place, instructions, position - 1)
        return (
            vars(holder).get(instruction.argval) if isinstance(holder, types.ModuleType) else None
        )
    return None


def _model_in(annotation: Any, names: dict[str, Any]) -> Any:
    """Give the only model class that an annotation allows, besides `None`."""
    if isinstance(annotation, str):
        annotation = names.get(annotation)
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        others = [one for one in typing.get_args(annotation) if one is not type(None)]
        annotation = others[0] if len(others) == 1 else None
    return annotation if is_model(annotation) else None


def _is_old(model: type, method: str) -> bool:
    """Tell whether the method is pydantic's own: a class may have one of that name itself."""
    definer = next((cls for cls in model.__mro__ if method in vars(cls)), None)
    return definer is not None and definer.__module__.startswith(_LIBRARIES)
