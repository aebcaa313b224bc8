"""The one mutable thing per request, and the context variable that finds it.

Hooks ask `active` and note facts on a part of their own; nothing that can wait is computed here.
"""

import functools
import itertools
import os
import secrets
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Protocol, Self, TypeVar

import msgspec

from fastapi_diagnostics.asgi import Scope
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import ExceptionFact, Kind, Phase, PhaseName, RequestRecord, State
from fastapi_diagnostics.tracebacks import describe_exception

MAX_EXCEPTIONS = 50
MAX_STEPS = 200
"""Of phases with their starts: a websocket may alternate for hours."""

CURRENT: ContextVar["Recorder | None"] = ContextVar("fastapi_diagnostics_recorder", default=None)
"""Set at the start of a request and never reset: its last step still has to find it.
A connection that is kept alive hands it on to the next request, so ask `active`, not this."""


class Part(Protocol):
    """What one collector keeps on a recorder."""

    def seal(self, recorder: "Recorder") -> dict[str, Any]:
        """Give the fields of `RequestRecord` that this part fills.

        Called on the application's own thread, when the response has been sent and again when
        the request is closed; must leave the part usable and return plain values only.
        """
        ...

    def absorb(self, other: Self, *, exceptions: int) -> None:
        """Take over the facts of a recorder that ran inside this one.

        Moments are kept as readings of the clock, so they need no change.
        Indices into the exceptions grow by *exceptions*.
        """
        ...


P = TypeVar("P", bound=Part)

PARTS_FROM_START: dict[str, Callable[[], Part]] = {}
"""Parts that every recorder has from its start, by name; filled by the collectors that have
something to tell of every request, such as the event loop."""

READINGS: dict[str, Callable[[Any], Any]] = {}
"""What turns raw readings into a field of the record, by the field's name. It runs where the
record is made, on the worker's thread; a part may then seal the readings as they are."""


NOTHING_KNOWN: Final = msgspec.Raw(msgspec.msgpack.encode({}))
"""What `packed_fields` gives for none."""


def active() -> "Recorder | None":
    """Give the recorder of the running request; `None` outside one and after it was closed."""
    recorder = CURRENT.get()
    return None if recorder is None or recorder.closed else recorder


class Recorder:
    """Facts of one request while it runs.

    Attributes:
        started: Reading of *clock* at the start, in seconds.
        started_at: Seconds since the epoch.
        phase: What the request is doing now.
        steps: The phases until now, each followed by the reading of *clock* at its start.
        parts: One for each collector that has noted something, by the collector's name.
        lingers: Whether work may follow the response, such as background tasks or teardown;
            then the record is also kept when the response has been sent.
        outer: The open `capture` around this one; takes over its facts when this one is closed.
        sealing: The state of the record that is being made, while parts seal.
        responded: Reading of *clock* after the last byte was handed to the server.
        driver: Times the request step by step where its loop cannot be watched; else `None`.
        refresh: Keeps the record as it is now, unless it is closed; `None` before the response
            was sent, and where nothing is known to follow it.
        scope: The ASGI scope; `None` for captures and once closed.
        inner: The scope as the endpoint saw it, since a middleware may have copied the outer one;
            `None` before it came there and once closed.
        timing: The part named "time", which is asked for at every callback of the loop; `None`
            once closed, and where nothing times.
        values: How bound values and inputs may be shown.
        window: How many messages a websocket has received.
    """

    __slots__ = (
        "_seen",
        "clock",
        "closed",
        "driver",
        "exceptions",
        "id",
        "inner",
        "kind",
        "lingers",
        "name",
        "outer",
        "parts",
        "phase",
        "refresh",
        "responded",
        "scope",
        "sealing",
        "started",
        "started_at",
        "status",
        "steps",
        "timing",
        "values",
        "window",
    )

    def __init__(  # noqa: PLR0913 - one for each thing that differs between requests
        self,
        record_id: str,
        kind: Kind,
        clock: Callable[[], float],
        wall: Callable[[], float],
        scope: Scope | None = None,
        outer: "Recorder | None" = None,
        values: str = "redacted",
        *,
        name: str = "",
        phase: PhaseName = "middleware",
    ) -> None:
        self.id = record_id
        self.kind: Kind = kind
        self.name = name
        self.clock = clock
        self.started = started = clock()
        self.started_at = wall()
        self.phase: PhaseName = phase
        self.steps: list[Any] = [phase, started]
        self.parts: dict[str, Any] = {}
        for part, make in PARTS_FROM_START.items():
            self.parts[part] = make()
        self.timing: Any = self.parts.get("time")
        self.outer = outer
        self.closed = self.lingers = False
        self.sealing: State = "open"
        self.scope = scope
        self.inner: Mapping[str, Any] | None = None
        self.driver: Callable[[Any, Recorder], Any] | None = None
        self.refresh: Callable[[], None] | None = None
        self.responded: float | None = None
        self.status: int | None = None
        self.values = values
        self.window = 0
        self.exceptions: list[ExceptionFact] = []
        self._seen: list[BaseException] = []

    def part(self, name: str, make: Callable[[], P]) -> P:
        """Give a collector's part, made at its first fact."""
        found: P | None = self.parts.get(name)
        if found is None:
            found = self.parts[name] = make()
        return found

    def enter(self, phase: PhaseName, now: float | None = None) -> None:
        """Note that the request goes on to another phase, at this reading of the clock if given."""
        if phase == self.phase:
            return
        try:
            self.phase = phase
            steps = self.steps
            if len(steps) < MAX_STEPS:
                steps += phase, self.clock() if now is None else now
        except Exception as error:  # noqa: BLE001 - ours, contained: hooks call this unguarded
            FAULTS.note("enter", error)

    def phase_during(self, begin: float, end: float) -> PhaseName:
        """Give the phase that took most of a stretch, between two readings of the clock."""
        names: list[PhaseName] = self.steps[::2]
        starts: list[float] = self.steps[3::2]
        bounds = [begin, *(min(max(start, begin), end) for start in starts), end]
        spent = [(bounds[i + 1] - bounds[i], name) for i, name in enumerate(names)]
        return max(spent, key=lambda item: item[0])[1]

    def note_exception(self, error: BaseException, phase: PhaseName | None = None) -> int:
        """Describe an exception at once (its traceback may be gone later); once per object.

        Returns:
            Its index in `exceptions`, or -1 when there were too many.
        """
        for index, seen in enumerate(self._seen):
            if seen is error:
                return index
        if len(self._seen) >= MAX_EXCEPTIONS:
            return -1
        self._seen.append(error)
        answered = self.status is not None
        self.exceptions.append(describe_exception(error, phase or self.phase, answered=answered))
        return len(self._seen) - 1

    def index_of(self, error: BaseException) -> int | None:
        """Find an exception that was noted before."""
        return next((i for i, seen in enumerate(self._seen) if seen is error), None)

    def noted(self) -> tuple[BaseException, ...]:
        """Give the exceptions themselves, in the order of `exceptions`; only while open."""
        return tuple(self._seen)

    def ms(self, moment: float) -> float:
        """Convert a reading of the clock to milliseconds since the start."""
        return round((moment - self.started) * 1000, 3)

    def seal(self, state: State, **fields: Any) -> RequestRecord:
        """Make the immutable record at once, where nobody waits for it."""
        return self.take(state, fields).record()

    def take(
        self, state: State, fields: dict[str, Any], known: msgspec.Raw = NOTHING_KNOWN
    ) -> "Sealed":
        """Take plain values of everything, on this thread.

        A part that fails is counted and left out.

        Args:
            state: Whether more may follow.
            fields: The caller's own; those of the parts are added.
            known: More fields, from `packed_fields`; the others take precedence.
        """
        self.sealing = state
        now = self.clock()
        for name, part in self.parts.items():
            try:
                fields |= part.seal(self)
            except Exception as error:  # noqa: BLE001 - a part of ours, contained
                FAULTS.note(f"seal {name}", error)
        if self.exceptions:
            fields["exceptions"] = self.exceptions
        times = (self.started_at, self.started, self.responded or now, now)
        core = (self.id, self.kind, state, self.name, self.status, times, self.steps)
        try:
            data = _pack((core, known, fields))
        except UnicodeEncodeError:  # half a surrogate pair, as in names of files
            core, fields = _encodable(msgspec.to_builtins((core, fields)))
            data = _pack((core, known, fields))
        return Sealed(self.id, data)

    def close(self) -> None:
        """Take no more facts, hand them to the capture around, let go of live objects."""
        self.closed = True
        outer = self.outer
        if outer is not None and not outer.closed:
            outer.absorb(self)
        self.outer = self.scope = self.inner = self.driver = self.refresh = self.timing = None
        self.parts = {}
        if self._seen:
            self._seen = []

    def absorb(self, inner: "Recorder") -> None:
        """Take over the facts of a recorder that ran inside this one."""
        for name, part in inner.parts.items():
            with FAULTS.contained(f"absorb {name}"):
                self.part(name, type(part)).absorb(part, exceptions=len(self.exceptions))
        self._seen += inner._seen  # noqa: SLF001 - another one of ourselves
        self.exceptions += inner.exceptions


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """One record as bytes: what leaves the request's path.

    Being bytes it cannot hold a live object, its size is known exactly, and the worker frees
    none of the request's own small objects: freed on another core, each would be a cache miss for
    the next request, which was measured to cost more than the packing.
    """

    id: str
    data: bytes

    def record(self) -> RequestRecord:
        """Put the values in order; needs nothing of the request any more."""
        core, known, packed = _unpack(self.data)
        times = core.times
        fields: dict[str, Any] = {
            "id": core.id,
            "kind": core.kind,
            "state": core.state,
            "name": core.name,
            "status": core.status,
            "started_at": rfc3339(times.started_at),
            "duration_ms": _ms(times.responded - times.started),
            "phases": _phases(core),
            "worker": os.getpid(),
            **_known_fields(bytes(known)),
        }
        fields |= _decoded(packed)
        return RequestRecord(**fields)


class _Times(msgspec.Struct, frozen=True, array_like=True):
    """Seconds: `started_at` since the epoch, the others as readings of the clock."""

    started_at: float
    started: float
    responded: float
    sealed: float


class _Core(msgspec.Struct, frozen=True, array_like=True):
    """What the recorder itself knows; see there."""

    id: str
    kind: Kind
    state: State
    name: str
    status: int | None
    times: _Times
    steps: list[Any]


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[_Core, msgspec.Raw, dict[str, msgspec.Raw]]).decode
_unpack_fields = msgspec.msgpack.Decoder(dict[str, msgspec.Raw]).decode
# Each field straight to its type: by way of builtins it takes twice as long.
_FIELD_DECODERS = {
    field.name: msgspec.msgpack.Decoder(field.type).decode
    for field in msgspec.structs.fields(RequestRecord)
}


def packed_fields(fields: Mapping[str, Any]) -> msgspec.Raw:
    """Pack fields that many records have in common, once; see `Recorder.take`."""
    try:
        return msgspec.Raw(_pack(fields))
    except UnicodeEncodeError:
        return msgspec.Raw(_pack(_encodable(msgspec.to_builtins(fields))))


@functools.lru_cache(maxsize=256)
def _known_fields(packed: bytes) -> dict[str, Any]:
    return _decoded(_unpack_fields(packed))


def _decoded(packed: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """Give values of fields; readings are read."""
    fields = {}
    for name, value in packed.items():
        read = READINGS.get(name)
        if read is not None:
            fields[name] = read(msgspec.msgpack.decode(value))
        elif name in _FIELD_DECODERS:
            fields[name] = _FIELD_DECODERS[name](value)
    return fields


def _encodable(value: Any) -> Any:
    """Write out what UTF-8 has no bytes for, in every text of some builtins."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(entry) for entry in value]
    return value


def _phases(core: _Core) -> tuple[Phase, ...]:
    begin = core.times.started
    names, starts = core.steps[::2], core.steps[1::2]
    ends = [*starts[1:], core.times.sealed]
    return tuple(
        Phase(name=name, started_ms=_ms(start - begin), duration_ms=_ms(end - start))
        for name, start, end in zip(names, starts, ends, strict=True)
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1_000_000) / 1000  # a third of what rounding to digits takes


def rfc3339(seconds: float) -> str:
    """Write seconds since the epoch as RFC 3339 in UTC with microseconds."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


class RecordIds:
    """Gives ids that are unique among all workers without asking for randomness each time.

    Attributes:
        following: Gives the next one; after 16 million of them `StopIteration`.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin a new series; a forked child must not continue its parent's."""
        # All of it is C: no two threads get the same one, and nothing is formatted.
        digits = itertools.product((secrets.token_hex(5),), *["0123456789abcdef"] * 6)
        self.following: Callable[[], str] = map("".join, digits).__next__

    def __call__(self) -> str:
        """Give the next id: 16 hexadecimal digits."""
        try:
            return self.following()
        except StopIteration:
            self.renew()
            return self.following()


RECORD_IDS = RecordIds()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=RECORD_IDS.renew)
