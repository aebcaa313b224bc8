"""Notes what the response model removed from what an endpoint returned.

The comparison runs right after `serialize_response`: before it, objects that a commit expired are
empty; after the request, the commit of a ``yield`` dependency has emptied them again.
"""

import functools
import inspect
import sys
import weakref
from collections.abc import Awaitable, Callable
from types import FunctionType
from typing import Any, Final

from fastapi_diagnostics.callsite import definition, unwrapped
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.response_diff import streams
from fastapi_diagnostics.collectors.response_diff.authors import author_of, reads
from fastapi_diagnostics.collectors.response_diff.declared import self_test
from fastapi_diagnostics.collectors.response_diff.outlines import returned_type, sent_paths
from fastapi_diagnostics.collectors.response_diff.sampling import Sampling
from fastapi_diagnostics.collectors.response_diff.sent_secrets import secrets_sent
from fastapi_diagnostics.collectors.response_diff.shapes import (
    Shape,
    field_shape,
    type_text,
)
from fastapi_diagnostics.collectors.response_diff.values import attribute_of, is_read_by_property
from fastapi_diagnostics.collectors.response_diff.walk import Candidate, Walk, confirmed
from fastapi_diagnostics.collectors.stand_ins import stand_in
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import (
    ComparedResponse,
    Location,
    ResponseDiff,
    SentSecret,
    StrippedField,
)
from fastapi_diagnostics.recorder import CURRENT, Recorder, active
from fastapi_diagnostics.redaction import is_secret_name

NAME: Final = "response fields"
MAX_FIELDS: Final = 50
MAX_DIFFS: Final = 20
MAX_SECRETS: Final = 50
_MAX_SHAPES: Final = 2000
_PARAMETERS: Final = ("field", "response_content", "exclude")

_Serialize = Callable[..., Awaitable[Any]]


class ResponseDiffPart:
    """What response models removed or let through during one request; plain values only."""

    def __init__(self) -> None:
        self.diffs: list[ResponseDiff] = []
        self.secrets: list[SentSecret] = []
        self.compared: list[ComparedResponse] = []

    def seal(self, _recorder: Recorder) -> dict[str, Any]:
        """Give the differences, and apart from them the secrets that were held back."""
        protected = (field.path for diff in self.diffs for field in diff.fields if field.secret)
        return {
            "response_diffs": tuple(self.diffs),
            "protected": tuple(dict.fromkeys(protected)),
            "sent_secrets": tuple(self.secrets),
            "compared_responses": tuple(self.compared),
        }

    def add(self, diff: ResponseDiff) -> None:
        """Keep a difference; the items of a stream mostly differ in the same way."""
        if len(self.diffs) < MAX_DIFFS and diff not in self.diffs:
            self.diffs.append(diff)

    def add_secrets(self, secrets: list[SentSecret]) -> None:
        """Keep what went out, each path once."""
        for secret in secrets:
            if len(self.secrets) < MAX_SECRETS and secret not in self.secrets:
                self.secrets.append(secret)

    def add_compared(self, compared: ComparedResponse) -> None:
        """Keep what a response was made of, alike ones once."""
        if len(self.compared) < MAX_DIFFS and compared not in self.compared:
            self.compared.append(compared)

    def absorb(self, other: "ResponseDiffPart", *, exceptions: int) -> None:  # noqa: ARG002
        """Take over the differences of a request inside this capture."""
        self.diffs += other.diffs[: MAX_DIFFS - len(self.diffs)]
        self.add_secrets(other.secrets)
        for compared in other.compared:
            self.add_compared(compared)


def install(hooks: Hooks) -> None:
    """Watch the one function through which FastAPI serialises what endpoints return."""
    try:
        # Starlette alone has no response models.
        from fastapi import responses, routing  # noqa: PLC0415
    except ImportError:
        hooks.report(NAME, on=False, why="FastAPI is not installed")
        return
    why = _misfit(routing) or self_test()
    if why:
        hooks.report(NAME, on=False, why=why)
        return
    hooks.replace(routing, "serialize_response", _observed)
    cls, remark = streams.field_class(routing)
    if cls is not None:
        observed = functools.partial(streams.observed, compare=_item)
        watch = functools.partial(hooks.replace, cls, "serialize_json", observed)
        streamed = functools.partial(streams.at_first, watch=watch)
        hooks.replace(responses.StreamingResponse, "__init__", streamed)
    hooks.report(NAME, on=True, why=remark)


def _misfit(routing: Any) -> str:
    original = getattr(routing, "serialize_response", None)
    if original is None:
        return "this version of FastAPI has no serialize_response"
    parameters = inspect.signature(original).parameters
    missing = [name for name in _PARAMETERS if name not in parameters]
    return f"serialize_response takes no {missing[0]}" if missing else ""


_STAND_IN: Final = """
async def serialize_response({parameters}):
    recorder = current()
    if recorder is None or recorder.closed:
        return await original({arguments})
    recorder.enter("serialisation")
    try:
        sent = await original({arguments})
        after(recorder, field, response_content, exclude, sent)
    except Exception as error:
        failed(recorder, error)
        raise
    finally:
        recorder.enter("response")
    return sent
"""


def _observed(original: _Serialize) -> Any:
    names = {"current": CURRENT.get, "after": _after, "failed": _failed}
    return stand_in(original, _STAND_IN, names)


def _failed(recorder: Recorder, error: Exception) -> None:
    with FAULTS.contained("response_diff.error"):
        recorder.note_exception(error, "serialisation")


def _after(recorder: Recorder, field: Any, raw: Any, exclude: Any, sent: Any) -> None:
    try:
        if raw is None:
            return
        endpoint = None
        if field is None:
            endpoint = unwrapped(_endpoint(recorder))
            if not isinstance(endpoint, FunctionType):
                return
        if _SAMPLING.wanted(endpoint if field is None else field, raw):
            endpoint = endpoint or _endpoint(recorder)
            _compare(recorder, endpoint, field, raw, sent, _named(exclude))
    except Exception as error:  # noqa: BLE001 - ours, contained: the response goes out as it is
        FAULTS.note("response_diff", error)


def _item(field: Any, raw: Any, sent: Any) -> None:
    """Look at one item of a stream."""
    try:
        recorder = active()
        if recorder is not None and raw is not None and _SAMPLING.wanted(field, raw):
            endpoint = recorder.scope.get("endpoint") if recorder.scope is not None else None
            _compare(recorder, endpoint, field, raw, sent, within="[]")
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("response_diff.stream", error)


def _compare(
    recorder: Recorder,
    endpoint: Any,
    field: Any,
    raw: Any,
    sent: Any,
    excluded: frozenset[str] = frozenset(),
    *,
    within: str = "",
) -> None:
    model = "" if field is None else type_text(field.field_info.annotation)
    _note_secrets(recorder, definition(endpoint), model, sent, within)
    shape = None if field is None else _shape_of(field)
    part = recorder.part("response_diff", ResponseDiffPart)
    paths = () if shape is None else sent_paths(shape, sent)
    part.add_compared(
        ComparedResponse(
            endpoint=definition(endpoint),
            returned=returned_type(raw),
            model=model,
            sent=tuple(f"{within}.{path}" for path in paths) if within else paths,
            compared=shape is not None,
        )
    )
    if shape is None:
        return
    candidates = Walk(shape, excluded).over(raw, within)
    found = list(confirmed(candidates, sent)) if candidates else []
    if not found:
        return
    groups: dict[tuple[str, str, type, str], list[Candidate]] = {}
    for item in found:
        groups.setdefault((item.path, item.source, item.owner, item.shape.name), []).append(item)
    fields = tuple(_stripped(group, endpoint) for group in list(groups.values())[:MAX_FIELDS])
    part.add(ResponseDiff(endpoint=definition(endpoint), model=model, fields=fields))


def _note_secrets(
    recorder: Recorder, endpoint: Location | None, model: str, sent: Any, within: str
) -> None:
    found = secrets_sent(sent)
    if found:
        prefix = f"{within}." if within else ""
        recorder.part("response_diff", ResponseDiffPart).add_secrets(
            [
                SentSecret(path=f"{prefix}{path}", hashed=hashed, endpoint=endpoint, model=model)
                for path, hashed in found
            ]
        )


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
        attribute=attribute_of(first.owner, first.key) if first.relationship else "",
        read=first.relationship and _is_read(first, endpoint),
        subclass=first.shape.cls in first.owner.__mro__[1:],
    )


def _is_read(item: Candidate, endpoint: Any) -> bool:
    fields = tuple(field.name for field in item.shape.fields)
    return is_read_by_property(item.owner, fields, item.key) or reads(item.key, endpoint)


def _type_name(types: set[type]) -> str:
    """Write the types that were seen; empty where only ``None`` was."""
    names = sorted(cls.__name__ for cls in types if cls is not type(None))
    if not names:
        return ""
    return " | ".join([*names[:3], *(["None"] if type(None) in types else [])])


def _endpoint(recorder: Recorder) -> Any:
    """Give the endpoint; the scope does not show it where a middleware made a copy of it."""
    found = recorder.scope.get("endpoint") if recorder.scope is not None else None
    if found is None:
        caller = sys._getframe(3)  # noqa: SLF001 - who awaits the stand-in that called `_after`
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
