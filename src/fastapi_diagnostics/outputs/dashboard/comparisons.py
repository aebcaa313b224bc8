"""Adds up what was returned and what was sent: by route, by path."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from fastapi_diagnostics.record import Location

MAX_ROUTES = 1_000
MAX_PATHS = 200
"""Of one route; models have fewer fields."""
_MAX_TYPES = 20


class StrippedFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is read of a `StrippedField`."""

    path: str
    owner: str
    model: str
    secret: bool = False
    type_name: str = ""
    near: str | None = None


class DiffFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a `ResponseDiff`."""

    fields: tuple[StrippedFacts, ...] = ()
    endpoint: Location | None = None
    model: str = ""


class ComparedFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a `ComparedResponse`."""

    returned: str
    endpoint: Location | None = None
    model: str = ""
    sent: tuple[str, ...] = ()
    compared: bool = False


class SecretFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is read of a `SentSecret`."""

    path: str


class ResponseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a `RequestRecord`."""

    id: str
    started_at: str
    route: str = ""
    name: str = ""
    compared_responses: tuple[ComparedFacts, ...] = ()
    response_diffs: tuple[DiffFacts, ...] = ()
    sent_secrets: tuple[SecretFacts, ...] = ()


class PathTally:
    """One path that was removed, or a secret that was sent; `latest` is the newest request."""

    __slots__ = ("at", "count", "facts", "latest", "path")

    def __init__(self, path: str, record: ResponseFacts, facts: StrippedFacts | None) -> None:
        self.path = path
        self.facts = facts
        self.latest, self.at = record.id, record.started_at
        self.count = 0


class RouteTally:
    """One route.

    Attributes:
        looked: Responses that were looked at.
        compared: Those of them whose model tells what it lets through.
        sent: Declared fields that went out, and in how many responses.
        stripped: Fields that were removed.
        secrets: Fields that went out although their names look secret.
        latest: The newest request; `at` is when it was.
    """

    __slots__ = (
        "at",
        "compared",
        "endpoint",
        "latest",
        "looked",
        "models",
        "name",
        "returned",
        "secrets",
        "sent",
        "stripped",
    )

    def __init__(self, name: str, record: ResponseFacts) -> None:
        self.name = name
        self.latest, self.at = record.id, record.started_at
        self.looked = self.compared = 0
        self.endpoint: Location | None = None
        self.returned: Counter[str] = Counter()
        self.models: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.stripped: dict[str, PathTally] = {}
        self.secrets: dict[str, PathTally] = {}

    def add(self, record: ResponseFacts) -> None:
        """Count the response of one request."""
        self.looked += 1
        seen = record.compared_responses
        self.compared += any(one.compared for one in seen) or bool(record.response_diffs)
        every: tuple[ComparedFacts | DiffFacts, ...] = (*seen, *record.response_diffs)
        for one in every:
            self.endpoint = self.endpoint or one.endpoint
        _count(self.models, {one.model for one in every}, _MAX_TYPES)
        _count(self.returned, {one.returned for one in seen}, _MAX_TYPES)
        paths = dict.fromkeys(path for one in seen for path in one.sent)
        _count(self.sent, paths, MAX_PATHS)
        removed = {field.path: field for diff in record.response_diffs for field in diff.fields}
        for path, field in removed.items():
            _note(self.stripped, path, record, field)
        for path in dict.fromkeys(secret.path for secret in record.sent_secrets):
            _note(self.secrets, path, record, None)


def responses(records: Iterable[ResponseFacts]) -> list[RouteTally]:
    """Add up the responses of *records*, which come newest first."""
    routes: dict[str, RouteTally] = {}
    for record in records:
        if not (record.compared_responses or record.response_diffs or record.sent_secrets):
            continue
        name = record.route or record.name
        route = routes.get(name)
        if route is None:
            if len(routes) >= MAX_ROUTES:
                continue
            route = routes[name] = RouteTally(name, record)
        route.add(record)
    return list(routes.values())


def _count(counter: Counter[str], names: Iterable[str], most: int) -> None:
    for name in names:
        if name in counter or len(counter) < most:
            counter[name] += 1


def _note(
    tallies: dict[str, PathTally], path: str, record: ResponseFacts, facts: StrippedFacts | None
) -> None:
    tally = tallies.get(path)
    if tally is None:
        if len(tallies) >= MAX_PATHS:
            return
        tally = tallies[path] = PathTally(path, record, facts)
    tally.count += 1
