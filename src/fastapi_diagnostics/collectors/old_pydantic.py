"""Calls of pydantic 1's methods that happen: pydantic itself knows, because it is about to warn.

The audit of the application sees a call only where it knows the receiver's class; here the class
is the receiver's own. Each of those methods begins with ``warnings.warn(...)``, so the name
``warnings`` in `pydantic.main` is what is replaced: asking it for ``warn`` notes who called the
method, and gives the real function. No frame of ours lies in between, so pydantic's warning names
the same line as ever.
"""

import sys
import warnings
from types import FrameType
from typing import Any, Final

from fastapi_diagnostics.callsite import USER, USER_CODE, Site, resolve
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import OldPydanticCall
from fastapi_diagnostics.recorder import Recorder, active

NAME: Final = "pydantic 1 methods"
PART: Final = "old pydantic"
MAX_SITES: Final = 50
"""Lines of one request that are kept."""
METHODS: Final = (
    *("dict", "json", "copy", "construct", "parse_obj", "parse_raw", "parse_file"),
    *("from_orm", "schema", "schema_json", "validate", "update_forward_refs"),
)


class OldPydanticPart:
    """The lines of one request that called such a method."""

    __slots__ = ("_absorbed", "calls")

    def __init__(self) -> None:
        self.calls: dict[Site, tuple[str, str]] = {}
        self._absorbed: list[OldPydanticCall] = []

    def seal(self, recorder: Recorder) -> dict[str, Any]:  # noqa: ARG002 - nothing of it is needed
        """Give each line with the class and the method."""
        return {"old_pydantic_calls": (*self._absorbed, *self._told())}

    def absorb(self, other: "OldPydanticPart", *, exceptions: int) -> None:  # noqa: ARG002
        """Take over the lines of a request inside this capture."""
        told = [*other._absorbed, *other._told()]  # noqa: SLF001 - one of ourselves
        self._absorbed += told[: MAX_SITES - len(self._absorbed)]

    def _told(self) -> list[OldPydanticCall]:
        return [
            OldPydanticCall(model=model, api=f".{method}()", location=resolve(*site).location)
            for site, (model, method) in self.calls.items()
        ]


def install(hooks: Hooks) -> None:
    """Watch the methods that `pydantic.BaseModel` keeps for what was written for pydantic 1."""
    module: Any = sys.modules.get("pydantic.main")
    why = _misfit(module)
    if why:
        hooks.report(NAME, on=False, why=why)
        return
    hooks.replace(module, "warnings", _Watched)
    hooks.report(NAME, on=True)


def _misfit(module: Any) -> str:
    if module is None:
        return "pydantic 2 is not imported"
    if getattr(module, "warnings", None) is not warnings and not isinstance(
        getattr(module, "warnings", None), _Watched
    ):
        return "this version of pydantic warns in another way"
    silent = [name for name in METHODS if not _warns(getattr(module.BaseModel, name, None))]
    return f"this version of pydantic does not warn in {', '.join(silent)}" if silent else ""


def _warns(method: Any) -> bool:
    function = getattr(method, "__func__", method)
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    return code is not None and {"warnings", "warn"} <= set(code.co_names)


class _Watched:
    """Stands for the module ``warnings``; whatever is asked for or set is the module's own."""

    def __init__(self, module: Any) -> None:
        object.__setattr__(self, "_module", module)

    def __getattribute__(self, name: str) -> Any:
        found = getattr(object.__getattribute__(self, "_module"), name)
        if name == "warn":
            recorder = active()
            if recorder is not None:
                _note(recorder, sys._getframe(1))  # noqa: SLF001 - the way to a frame
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "_module"), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(object.__getattribute__(self, "_module"), name)


def _note(recorder: Recorder, method: FrameType) -> None:
    """Note the line that called a method of pydantic, if it is one of those and a user's line."""
    try:
        caller, code = method.f_back, method.f_code
        if caller is None or code.co_name not in METHODS:
            return
        if USER_CODE.kind(caller.f_code.co_filename) != USER:
            return  # a library's own affair, whoever called the library
        calls = recorder.part(PART, OldPydanticPart).calls
        site = (caller.f_code, caller.f_lasti)
        if site not in calls and len(calls) < MAX_SITES:
            receiver = method.f_locals.get(code.co_varnames[0])
            model = receiver if isinstance(receiver, type) else type(receiver)
            calls[site] = (model.__name__, code.co_name)
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("old_pydantic", error)
