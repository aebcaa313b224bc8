"""Tells which dependencies keep somebody out, as far as their types and names tell."""

import functools
import inspect
import re
import types
import typing
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

from fastapi.security.base import SecurityBase

from fastapi_diagnostics.app_record import Guarding
from fastapi_diagnostics.callsite import unwrapped

_GUARD = re.compile(
    r"auth(?!or(?!i))|current_?(?:active_?)?(?:super)?user|current_?account|login|logged|token|jwt"
    r"|api_?key|permission|require_|verify_|_?guard\b|guard_|is_?admin|only_?admin|admin_?only"
    r"|has_role|role_?(?:checker|required)|roles_allowed|credential|principal|check_access|protect",
    re.IGNORECASE,
)
_NO_GUARD = re.compile(
    r"service|repo|client|settings|config|store|cache|factory|provider|manager|dao|crud|mailer",
    re.IGNORECASE,
)
"""What such names call a thing that works for authentication and asks nobody."""
_OPTIONAL = re.compile(r"optional|maybe|or_none|or_anonymous|if_any", re.IGNORECASE)
_SEEN = frozenset({"headers", "cookies", "session", "user", "auth", "state"})
"""Attributes of a request by which an endpoint may find out who asks."""
_RAISES = re.compile(r"(?:Exception|Error|Unauthorized|Forbidden|abort)$")
_MAX_WRAPPERS = 10


def guarding(call: Any, inner: Iterable[Any]) -> Guarding:
    """Judge one dependency.

    Args:
        call: What FastAPI calls.
        inner: What it itself depends on, directly.
    """
    scheme = _scheme(call)
    if scheme is not None:
        return "guard" if getattr(scheme, "auto_error", True) else "optional"
    named = is_guarding_name(_name(call))
    # A scheme with auto_error=False leaves it to the function that asks for it.
    asks = any(getattr(_scheme(one), "auto_error", True) is False for one in inner)
    if not named and not asks:
        return ""
    if _OPTIONAL.search(_name(call)) or _may_give_none(call):
        return "optional"
    return "guard" if named or _can_refuse(call) else "optional"


def looks_itself(endpoint: Any) -> bool:
    """Tell whether an endpoint or a decorator around it may check who asks."""
    return any(_looks(code) for code in _codes(endpoint))


def is_guarding_name(name: str) -> bool:
    """Tell whether a name, such as that of a middleware, speaks of authentication."""
    return bool(_GUARD.search(name)) and not _NO_GUARD.search(name)


def _looks(code: CodeType) -> bool:
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    names = (*code.co_names, *parameters, code.co_qualname)
    return not _SEEN.isdisjoint(code.co_names) or any(map(_GUARD.search, names))


def _codes(function: Any) -> Iterator[CodeType]:
    for _ in range(_MAX_WRAPPERS):
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType):
            yield code
        inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
        if inner is None:
            break
        function = inner
    if not hasattr(function, "__code__"):
        code = getattr(unwrapped(function), "__code__", None)
        if isinstance(code, CodeType):
            yield code


def _scheme(call: Any) -> Any:
    """Give the security scheme that is called, itself or as a bound method."""
    target = inspect.unwrap(call) if callable(call) else call
    while isinstance(target, functools.partial):
        target = target.func
    target = getattr(target, "__self__", target)
    return target if isinstance(target, SecurityBase) else None


def _name(call: Any) -> str:
    target = call
    while isinstance(target, functools.partial):
        target = target.func
    name = getattr(target, "__qualname__", None) or type(target).__qualname__
    return str(name).replace(".<locals>", "").removesuffix(".__call__")


def _may_give_none(call: Any) -> bool:
    annotation = getattr(unwrapped(call), "__annotations__", {}).get("return", inspect.Signature)
    if isinstance(annotation, str):
        return bool(re.search(r"\bNone\b|\bOptional\b", annotation)) and annotation != "None"
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        return type(None) in typing.get_args(annotation)
    return False


def _can_refuse(call: Any) -> bool:
    code = getattr(unwrapped(call), "__code__", None)
    return isinstance(code, CodeType) and any(map(_RAISES.search, code.co_names))
