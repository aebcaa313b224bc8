"""Notes what the response model removed from what an endpoint returned.

The comparison runs right after `serialize_response`: before it, objects that a commit expired are
empty; after the request, the commit of a ``yield`` dependency has emptied them again.
"""

import functools
import inspect
import sys
import weakref
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, Final

from fastapi_diagnostics.callsite import definition
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.response_diff.authors import author_of
from fastapi_diagnostics.collectors.response_diff.declared import self_test
from fastapi_diagnostics.collectors.response_diff.sampling import Sampling
from fastapi_diagnostics.collectors.response_diff.shapes import (
    Shape,
    field_shape,
    type_text,
)
from fastapi_diagnostics.collectors.response_diff.walk import Candidate, Walk, confirmed
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import ResponseDiff, StrippedField
from fastapi_diagnostics.recorder import Recorder, active
from fastapi_diagnostics.redaction import is_secret_name

NAME: Final = "response fields"
MAX_FIELDS: Final = 50
MAX_DIFFS: Final = 20
_MAX_SHAPES: Final = 2000

_Serialize = Callable[..., Awaitable[Any]]


class ResponseDiffPart:
    """What response models removed during one request; plain values only."""

    def __init__(self) -> None:
        self.diffs: list[ResponseDiff] = []

    def seal(self, _recorder: Recorder) -> dict[str, Any]:
        """Give the differences, and apart from them the secrets that were held back."""
        protected = (field.path for diff in self.diffs for field in diff.fields if field.secret)
        return {
            "response_diffs": tuple(self.diffs),
            "protected": tuple(dict.fromkeys(protected)),
        }

    def absorb(self, other: "ResponseDiffPart", *, exceptions: int) -> None:  # noqa: ARG002
        """Take over the differences of a request inside this capture."""
        self.diffs += other.diffs[: MAX_DIFFS - len(self.diffs)]


def install(hooks: Hooks) -> None:
    """Watch the one function through which FastAPI serialises what endpoints return."""
    try:
        from fastapi import routing  # noqa: PLC0415 - Starlette alone has no response models
    except ImportError:
        hooks.report(NAME, on=False, why="FastAPI is not installed")
        return
    why = _misfit(routing) or self_test()
    if why:
        hooks.report(NAME, on=False, why=why)
        return
    hooks.replace(routing, "serialize_response", _observed)
    hooks.report(NAME, on=True)


def _misfit(routing: Any) -> str:
    original = getattr(routing, "serialize_response", None)
    if original is None:
        return "this version of FastAPI has no serialize_response"
    parameters = inspect.signature(original).parameters
    missing = [name for name in ("field", "response_content") if name not in parameters]
    return f"serialize_response takes no {missing[0]}" if missing else ""


def _observed(original: _Serialize) -> _Serialize:
    @functools.wraps(original)
    async def serialize_response(*args: Any, **kwargs: Any) -> Any:
        recorder = active()
        if recorder is None:
            return await original(*args, **kwargs)
        caller = sys._getframe(1)  # noqa: SLF001 - who awaits us knows the endpoint
        recorder.enter("serialisation")
        try:
            sent = await original(*args, **kwargs)
            _after(recorder, caller, kwargs, sent)
        except Exception as error:
            with FAULTS.contained("response_diff.error"):
                recorder.note_exception(error, "serialisation")
            raise
        finally:
            del caller
            recorder.enter("response")
        return sent

    return serialize_response


def _after(recorder: Recorder, caller: FrameType, options: dict[str, Any], sent: Any) -> None:
    try:
        field = options.get("field")
        raw = options.get("response_content")
        if field is None or raw is None or not _SAMPLING.wanted(field, raw):
            return
        shape = _shape_of(field)
        if shape is None:
            return
        candidates = Walk(shape, _named(options.get("exclude"))).over(raw)
        if candidates:
            _note(recorder, caller, field, list(confirmed(candidates, sent)))
    except Exception as error:  # noqa: BLE001 - ours, contained: the response goes out as it is
        FAULTS.note("response_diff", error)


def _note(recorder: Recorder, caller: FrameType, field: Any, candidates: list[Candidate]) -> None:
    if not candidates:
        return
    endpoint = _endpoint(recorder, caller)
    groups: dict[tuple[str, str, type, str], list[Candidate]] = {}
    for item in candidates:
        groups.setdefault((item.path, item.source, item.owner, item.shape.name), []).append(item)
    fields = tuple(_stripped(group, endpoint) for group in list(groups.values())[:MAX_FIELDS])
    diff = ResponseDiff(
        endpoint=definition(endpoint),
        model=type_text(field.field_info.annotation),
        fields=fields,
    )
    part = recorder.part("response_diff", ResponseDiffPart)
    if len(part.diffs) < MAX_DIFFS:
        part.diffs.append(diff)


def _stripped(group: list[Candidate], endpoint: Any) -> StrippedField:
    first = group[0]
    secret = is_secret_name(first.key)
    wrote = author_of(first.key, endpoint) if first.source == "dict" and not secret else None
    return StrippedField(
        path=first.path,
        source=first.source,
        owner=first.owner.__name__,
        model=first.shape.name,
        count=len(group),
        secret=secret,
        relationship=first.relationship,
        near=first.near,
        type_name=_type_name({item.type for item in group}),
        model_module=first.shape.module,
        model_bases=first.shape.bases,
        written_in=wrote,
    )


def _type_name(types: set[type]) -> str:
    """Write the types that were seen; empty where only ``None`` was."""
    names = sorted(cls.__name__ for cls in types if cls is not type(None))
    if not names:
        return ""
    return " | ".join([*names[:3], *(["None"] if type(None) in types else [])])


def _endpoint(recorder: Recorder, caller: FrameType) -> Any:
    """Give the endpoint; the scope does not show it where a middleware made a copy of it."""
    found = recorder.scope.get("endpoint") if recorder.scope is not None else None
    if found is None:
        found = getattr(caller.f_locals.get("dependant"), "call", None)
    return found


def _named(names: Any) -> frozenset[str]:
    if isinstance(names, set | frozenset | dict):
        return frozenset(name for name in names if isinstance(name, str))
    return frozenset()


def _shape_of(field: Any) -> Shape | None:
    """Give the shape of a route's response field; made once, forgotten with the route."""
    held = _SHAPES.get(id(field))
    if held is None or held[0]() is not field:
        if len(_SHAPES) >= _MAX_SHAPES:
            _SHAPES.clear()
        held = _SHAPES[id(field)] = (weakref.ref(field), field_shape(field.field_info))
    return held[1]


_SHAPES: dict[int, tuple[weakref.ref[Any], Shape | None]] = {}
_SAMPLING = Sampling()
