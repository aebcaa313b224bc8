"""Makes functions that stand in for others and take exactly the same parameters.

A stand-in that takes ``*args, **kwargs`` has the interpreter pack every call into a dictionary and
match its names again: 3 µs on each request for a function with eleven keywords, where one with the
parameters written out costs a tenth of that. Which parameters there are differs from release to
release, so they are written out when the stand-in is made, as `dataclasses` does.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

_KINDS = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def stand_in(original: Callable[..., Any], source: str, names: Mapping[str, Any]) -> Any:
    """Compile what stands in for a function.

    Args:
        original: The function; the source knows it by this name.
        source: Of one function, in which ``{parameters}`` stands for the parameters of *original*
            and ``{arguments}`` for handing them on. It is our own text and holds nothing else in
            braces.
        names: What else the source refers to.

    Raises:
        ValueError: It is not known which parameters *original* has, or one of them is of a kind
            that cannot be handed on by name.
    """
    parameters = inspect.signature(original).parameters.values()
    strange = [parameter.name for parameter in parameters if parameter.kind not in _KINDS]
    if strange:
        raise ValueError(f"{original.__qualname__} takes {strange[0]} in a way of its own")
    defaults = {f"default_of_{p.name}": p.default for p in parameters if p.default is not p.empty}
    filled = source.format(
        parameters=", ".join(_declared(parameters)), arguments=", ".join(_handed_on(parameters))
    )
    made: dict[str, Any] = {"original": original, **names, **defaults}
    code = compile(filled, f"<fastapi_diagnostics: {original.__name__}>", "exec")
    before = made.keys() | {"__builtins__"}
    exec(code, made)  # noqa: S102 - see above
    (name,) = made.keys() - before
    return functools.update_wrapper(made[name], original)


def _declared(parameters: Any) -> list[str]:
    texts = []
    star = False
    for parameter in parameters:
        if parameter.kind is Parameter.KEYWORD_ONLY and not star:
            texts.append("*")
            star = True
        default = "" if parameter.default is parameter.empty else f"=default_of_{parameter.name}"
        texts.append(parameter.name + default)
    return texts


def _handed_on(parameters: Any) -> list[str]:
    return [
        f"{parameter.name}={parameter.name}"
        if parameter.kind is Parameter.KEYWORD_ONLY
        else parameter.name
        for parameter in parameters
    ]
