"""Adds up what validation refused: by route, by field, by what was wrong with it."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from fastapi_diagnostics.record import Location

MAX_ROUTES = 1_000
MAX_FIELDS = 100
"""Of one route; keys of an open dictionary may be anything."""
MAX_WAYS = 20
"""Ways in which one field was wrong."""
_MAX_SAMPLES = 3


class ErrorFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is read of a `RejectionError`."""

    loc: tuple[str, ...]
    type: str
    message: str
    input: str = ""
    expected: tuple[str, ...] = ()
    came: str = ""
    keys: tuple[str, ...] = ()


class FieldFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is read of an `ExpectedField`."""

    path: tuple[str, ...]
    type: str
    required: bool
    constraints: tuple[str, ...] = ()


class RejectionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a `Rejection`."""

    errors: tuple[ErrorFacts, ...]
    content_type: str = ""
    expects: str = "none"
    body_kind: str = ""
    fields: tuple[FieldFacts, ...] = ()
    endpoint: Location | None = None
    shadowed_routes: tuple[tuple[str, Location | None], ...] = ()


class RefusalFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a `RequestRecord`."""

    id: str
    started_at: str
    method: str = ""
    path: str = ""
    route: str = ""
    name: str = ""
    rejections: tuple[RejectionFacts, ...] = ()

    @property
    def owner(self) -> str:
        """Name the route, or what else was refused."""
        return self.route or self.name or f"{self.method} {self.path}".strip()


class Way:
    """One way in which a field was wrong.

    Attributes:
        error: The newest one; likewise `rejection` and `latest`, the id of its request.
        samples: What came, the commonest first.
    """

    __slots__ = ("at", "count", "error", "latest", "rejection", "samples")

    def __init__(self, error: ErrorFacts, rejection: RejectionFacts, record: RefusalFacts) -> None:
        self.error = error
        self.rejection = rejection
        self.latest, self.at = record.id, record.started_at
        self.count = 0
        self.samples: Counter[str] = Counter()

    def add(self, error: ErrorFacts) -> None:
        """Count one more."""
        self.count += 1
        came = error.input or ", ".join(error.keys)
        if came and (came in self.samples or len(self.samples) < _MAX_SAMPLES):
            self.samples[came] += 1


class FieldTally:
    """One field of a route; `ways` from the newest to the oldest."""

    __slots__ = ("at", "count", "path", "ways")

    def __init__(self, path: str, at: str) -> None:
        self.path = path
        self.at = at
        self.count = 0
        self.ways: dict[object, Way] = {}

    def add(self, error: ErrorFacts, rejection: RejectionFacts, record: RefusalFacts) -> None:
        """Count one refusal of it."""
        self.count += 1
        shadowed = tuple(name for name, _ in rejection.shadowed_routes)
        sent_as = (rejection.body_kind, rejection.content_type)
        kind = (error.type, error.message, error.keys, sent_as, shadowed)
        way = self.ways.get(kind)
        if way is None:
            if len(self.ways) >= MAX_WAYS:
                return
            way = self.ways[kind] = Way(error, rejection, record)
        way.add(error)


class RouteTally:
    """One route.

    Attributes:
        requests: Refused requests.
        left_out: Refusals of fields beyond `MAX_FIELDS`.
    """

    __slots__ = ("at", "endpoint", "fields", "left_out", "name", "requests")

    def __init__(self, name: str, at: str) -> None:
        self.name = name
        self.at = at
        self.requests = self.left_out = 0
        self.endpoint: Location | None = None
        self.fields: dict[str, FieldTally] = {}

    def add(self, record: RefusalFacts) -> None:
        """Count one refused request."""
        self.requests += 1
        for rejection in record.rejections:
            self.endpoint = self.endpoint or rejection.endpoint
            for error in rejection.errors:
                self._add_error(error, rejection, record)

    def _add_error(
        self, error: ErrorFacts, rejection: RejectionFacts, record: RefusalFacts
    ) -> None:
        path = field_path(error)
        field = self.fields.get(path)
        if field is None:
            if len(self.fields) >= MAX_FIELDS:
                self.left_out += 1
                return
            field = self.fields[path] = FieldTally(path, record.started_at)
        field.add(error, rejection, record)


def refused(records: Iterable[RefusalFacts]) -> list[RouteTally]:
    """Add up the refusals of *records*, which come newest first."""
    routes: dict[str, RouteTally] = {}
    for record in records:
        if not any(rejection.errors for rejection in record.rejections):
            continue
        route = routes.get(record.owner)
        if route is None:
            if len(routes) >= MAX_ROUTES:
                continue
            route = routes[record.owner] = RouteTally(record.owner, record.started_at)
        route.add(record)
    return list(routes.values())


def field_path(error: ErrorFacts) -> str:
    """Write a location without list positions: ``body.items[].quantity``."""
    if error.type == "json_invalid":
        return "body"  # what follows is a position in the text
    text = ""
    for part in error.loc:
        text += "[]" if part.isdigit() and text else f"{'.' if text else ''}{part}"
    return text or "request"


def expected(error: ErrorFacts, rejection: RejectionFacts) -> str:
    """Say what is declared at the location of an error: ``int, >= 1``; empty if nothing is."""
    path = tuple(part for part in error.loc if not part.isdigit())
    field = next((field for field in rejection.fields if field.path == path), None)
    parts = [] if field is None else [field.type, *field.constraints]
    if error.type in {"enum", "literal_error"} and error.expected:
        parts.append(f"one of {', '.join(error.expected[:10])}")
    if field is not None and not field.required:
        parts.append("optional")
    if not parts and len(path) == 1:
        return {"json": "JSON", "form": "a form"}.get(rejection.expects, "")
    return ", ".join(parts)
