"""What the pipeline and the outputs ask of a store."""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from fastapi_diagnostics.finding import Finding, FindingState, Group, Occurrence, Severity
from fastapi_diagnostics.record import Kind, RequestRecord, State

T = TypeVar("T")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A record and what was concluded from it; saving it again replaces what was known of it.

    Attributes:
        findings: Complete: with fingerprint, request and route.
    """

    record: RequestRecord
    findings: tuple[Finding, ...] = ()


class FindingQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which findings to list; `None` means any.

    Attributes:
        request_id: Only those of one request, as made there; otherwise groups.
        limit: 1 to 500.
        cursor: From the page before; `None` for the first.
    """

    request_id: str | None = None
    rule: str | None = None
    route: str | None = None
    severity: Severity | None = None
    state: FindingState | None = None
    limit: int = 50
    cursor: str | None = None


class RequestQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests to list; `None` means any."""

    method: str | None = None
    route: str | None = None
    status: int | None = None
    min_ms: float | None = None
    limit: int = 50
    cursor: str | None = None


class ScanQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which records to look through, of every kind; `None` means any.

    Attributes:
        since: RFC 3339 in UTC; what started before is left out.
        with_queries: Only those in which a statement ran.
        limit: 1 to 500; a page also ends after 4 MiB of records.
        cursor: From the page before; `None` for the first.
    """

    route: str | None = None
    since: str | None = None
    with_queries: bool = False
    limit: int = 200
    cursor: str | None = None


class RequestSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of requests.

    Attributes:
        findings: Codes of the rules that found something, worst first.
        failed_tasks: Background tasks that failed or never ran.
    """

    id: str
    kind: Kind
    state: State
    name: str
    method: str
    path: str
    route: str
    status: int | None
    started_at: str
    duration_ms: float
    query_count: int
    query_ms: float
    findings: tuple[str, ...] = ()
    failed_tasks: int = 0
    worker: int = 0


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list, newest first; `next` is `None` on the last one."""

    items: tuple[T, ...]
    next: str | None = None


class StoredRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A record as kept, with its findings as groups (counts are those of the whole group).

    Attributes:
        record: The bytes of its JSON, ready to serve; `decode_record` reads them.
    """

    record: bytes
    findings: tuple[Group, ...]


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is new since a token.

    Attributes:
        token: Ask with it next time.
        requests: Records that are new or were replaced since.
        findings: Findings made in requests since.
        groups: Fingerprints never seen before.
    """

    token: str
    requests: int
    findings: int
    groups: int


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept."""

    requests: int
    queries: int
    groups_open: int
    groups_resolved: int
    groups_ignored: int
    bytes: int


class StoreStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the store is.

    Attributes:
        kind: ``sqlite`` or ``memory``.
        wanted: The URL that was asked for, without secrets.
        where: The file, or ``""``.
        problem: Why memory is used instead of what was asked for; ``""`` when all is well.
        errors: Failed writes since the start.
        waiting: Reports that are held back until the store can be written again.
        dropped: Reports lost because too many waited or because they could not be encoded.
        unreadable: Rows left out and reads that failed since the start.
    """

    kind: str
    wanted: str
    where: str
    problem: str
    errors: int
    max_requests: int
    max_age_hours: float
    max_bytes: int
    totals: Totals
    waiting: int = 0
    dropped: int = 0
    unreadable: int = 0


class InvalidCursorError(ValueError):
    """The cursor did not come from this list."""


class Store(Protocol):
    """Keeps reports within bounds; every method may block and may be called from any thread.

    Reads never raise because of what was stored: an unreadable row is left out and counted.
    """

    def save(self, reports: Sequence[Report]) -> frozenset[str]:
        """Keep *reports*, replacing those with the same record id.

        Returns the fingerprints that were never seen before (or were resolved and came back).
        """
        ...

    def findings(self, query: FindingQuery) -> Page[Group]:
        """List groups, last seen first (or the findings of one request).

        Raises:
            InvalidCursorError: The cursor is not one of this list.
        """
        ...

    def finding(self, fingerprint: str) -> Group | None:
        """Give one group, `None` if there is none."""
        ...

    def occurrences(
        self, fingerprint: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Occurrence]:
        """List the requests of one group, newest first.

        Raises:
            InvalidCursorError: The cursor is not one of this list.
        """
        ...

    def set_state(self, fingerprint: str, state: FindingState, reason: str = "") -> bool:
        """Mark a group; `False` if there is none."""
        ...

    def requests(self, query: RequestQuery) -> Page[RequestSummary]:
        """List requests and captures, newest first; records of kind ``process`` are left out.

        Raises:
            InvalidCursorError: The cursor is not one of this list.
        """
        ...

    def request(self, record_id: str) -> StoredRequest | None:
        """Give one request, `None` if it is not (or no longer) kept."""
        ...

    def scan(self, query: ScanQuery, facts: type[T]) -> Page[T]:
        """Read a few fields of many records, newest first: those that the struct *facts* declares.

        Its fields are fields of `RequestRecord`, as shallow as the caller needs them. A page is
        short enough for the others who want the store; ask for as many as you can afford.

        Raises:
            InvalidCursorError: The cursor is not one of this list.
        """
        ...

    def changes(self, since: str | None) -> Changes:
        """Count what is new since a token; an unknown or missing token counts nothing."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...

    def status(self) -> StoreStatus:
        """Tell how the store is."""
        ...

    def close(self) -> None:
        """Let go of files and connections; idempotent."""
        ...
