"""Adds up the statements of many requests."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from fastapi_diagnostics.record import Cleared

MAX_STATEMENTS = 2_000
"""Different statements that are told apart; with literals gone from their texts few have more."""
MAX_PLACES = 50


class PlaceFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is read of a `Location`, out of the garbage collector's sight, for there are many."""

    file: str
    line: int
    function: str
    code: str = ""


class QueryFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is read of a `Query`."""

    index: int
    sql: str
    duration_ms: float
    location: PlaceFacts | None = None


class StatementFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a `RequestRecord`."""

    id: str
    route: str = ""
    name: str = ""
    query_count: int = 0
    queries: tuple[QueryFacts, ...] = ()
    cleared: tuple[Cleared, ...] = ()


class Tally:
    """One statement and what it cost.

    Attributes:
        number: In the order in which they were met.
        requests: Requests that ran it.
        most: Its most runs in a single request, `most_in`.
        slowest_in: The request of its slowest run.
        routes: Runs by route.
        places: Runs by line, of the first `MAX_PLACES` lines.
        cleared: What was considered and found in order, with the reason.
    """

    __slots__ = (
        "cleared",
        "most",
        "most_in",
        "number",
        "places",
        "requests",
        "routes",
        "runs",
        "slowest_in",
        "slowest_ms",
        "sql",
        "total_ms",
    )

    def __init__(self, sql: str, number: int) -> None:
        self.sql = sql
        self.number = number
        self.runs = self.requests = self.most = 0
        self.total_ms = 0.0
        self.slowest_ms = -1.0
        self.slowest_in = self.most_in = ""
        self.routes: Counter[str] = Counter()
        self.places: Counter[PlaceFacts] = Counter()
        self.cleared: Counter[tuple[str, str]] = Counter()

    @property
    def mean_ms(self) -> float:
        """Milliseconds of a run."""
        return self.total_ms / self.runs if self.runs else 0.0

    def add(self, record: StatementFacts, queries: list[QueryFacts]) -> None:
        """Add the runs of one request."""
        count = len(queries)
        self.runs += count
        self.requests += 1
        self.routes[record.route or record.name] += count
        if count > self.most:
            self.most, self.most_in = count, record.id
        for query in queries:
            self.total_ms += query.duration_ms
            if query.duration_ms > self.slowest_ms:
                self.slowest_ms, self.slowest_in = query.duration_ms, record.id
        self._note_places(queries)

    def _note_places(self, queries: list[QueryFacts]) -> None:
        for query in queries:
            place = query.location
            known = place in self.places or len(self.places) < MAX_PLACES
            if place is not None and known:
                self.places[place] += 1


class Tallies(msgspec.Struct):
    """All statements.

    Attributes:
        unseen: Runs of which only the count was kept.
        left_out: Runs of statements beyond `MAX_STATEMENTS`.
        routes: Requests by route, whatever route is looked at.
    """

    statements: list[Tally]
    requests: int = 0
    runs: int = 0
    total_ms: float = 0.0
    unseen: int = 0
    left_out: int = 0
    routes: Counter[str] = msgspec.field(default_factory=Counter)


def tallied(records: Iterable[StatementFacts], route: str | None) -> Tallies:
    """Add up the statements of *records*, or of those of one route."""
    known: dict[str, Tally] = {}
    tallies = Tallies(statements=[])
    for record in records:
        tallies.routes[record.route or record.name] += 1
        if route is None or route == (record.route or record.name):
            _add(tallies, known, record)
    tallies.statements = list(known.values())
    tallies.total_ms = sum(statement.total_ms for statement in tallies.statements)
    return tallies


def _add(tallies: Tallies, known: dict[str, Tally], record: StatementFacts) -> None:
    tallies.requests += 1
    tallies.runs += len(record.queries)
    tallies.unseen += max(0, record.query_count - len(record.queries))
    grouped: dict[str, list[QueryFacts]] = {}
    for query in record.queries:
        grouped.setdefault(query.sql, []).append(query)
    for sql, queries in grouped.items():
        tally = known.get(sql)
        if tally is None:
            if len(known) == MAX_STATEMENTS:
                tallies.left_out += len(queries)
                continue
            tally = known[sql] = Tally(sql, len(known) + 1)
        tally.add(record, queries)
    if record.cleared:
        _note_cleared(known, record)


def _note_cleared(known: dict[str, Tally], record: StatementFacts) -> None:
    texts = {query.index: query.sql for query in record.queries}
    for item in record.cleared:
        for sql in {texts[index] for index in item.queries if index in texts}:
            if sql in known:
                known[sql].cleared[item.what, item.reason] += 1
