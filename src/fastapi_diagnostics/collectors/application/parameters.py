"""Finds parameters such as ``q: str = None`` of endpoints and dependencies."""

from collections.abc import Iterator
from typing import Any

from fastapi_diagnostics.app_record import ImplicitOptional
from fastapi_diagnostics.callsite import unwrapped
from fastapi_diagnostics.collectors.application.pydantic_models import is_implicit
from fastapi_diagnostics.collectors.application.text import Sources
from fastapi_diagnostics.collectors.names import callable_name, type_text

_GROUPS = ("path_params", "query_params", "header_params", "cookie_params", "body_params")


def implicit_parameters(dependant: Any, sources: Sources) -> Iterator[ImplicitOptional]:
    """Look at what one function, an endpoint or a dependency, declares itself."""
    function = dependant.call
    if isinstance(function, type):
        function = vars(function).get("__init__")
    for name, info in _declared(dependant):
        if function is None or not is_implicit(info):
            continue
        place = sources.of_parameter(function, name)
        if place is not None:
            annotation, default = sources.declaration(place, name)
            yield ImplicitOptional(
                owner=callable_name(function),
                name=name,
                annotation=annotation or type_text(info.annotation),
                location=place,
                default=default or _default(function, name),
            )


def _declared(dependant: Any) -> Iterator[tuple[str, Any]]:
    for group in _GROUPS:
        for parameter in getattr(dependant, group, ()):
            info = getattr(parameter, "field_info", None)
            if info is not None and hasattr(info, "is_required"):
                yield parameter.name, info


def _default(function: Any, name: str) -> str:
    """Write the default as it stands there: ``None``, or ``Query(None)``."""
    target: Any = unwrapped(function)
    code = target.__code__
    names = code.co_varnames[: code.co_argcount]
    values = target.__defaults__ or ()
    defaults = dict(zip(names[len(names) - len(values) :], values, strict=True))
    value = (defaults | (target.__kwdefaults__ or {})).get(name)
    return "None" if value is None else f"{type(value).__name__}(None)"
