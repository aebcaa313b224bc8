"""The list of requests."""

import msgspec

from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.dashboard.shell import Frame, Shell
from fastapi_diagnostics.outputs.dashboard.words import (
    NOTHING,
    Moment,
    cut,
    milliseconds,
    moment,
    plural,
)
from fastapi_diagnostics.store.protocol import RequestQuery, RequestSummary

ROWS = 50
MAX_PATH = 200
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "WEBSOCKET")
_SERVER_ERROR = 500
_CLIENT_ERROR = 400


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    Attributes:
        tone: Class of the status: ``ok``, ``client``, ``server`` or ``none``.
        after: What went wrong after the response; usually empty.
        share: Width of the bar that compares durations, 1 to 100.
    """

    href: str
    method: str
    path: str
    route: str
    status: str
    tone: str
    duration: str
    share: int
    queries: str
    query_time: str
    rules: tuple[str, ...]
    more_rules: str
    after: str
    running: bool
    when: Moment


class RequestList(msgspec.Struct, frozen=True, kw_only=True):
    """The page; `filters` holds what the form shows, `routes` what it proposes."""

    shell: Shell
    filters: dict[str, str]
    methods: tuple[str, ...]
    filtered: bool
    routes: tuple[str, ...]
    rows: tuple[RequestRow, ...]
    more: str
    verdict: str


def request_list(frame: Frame) -> RequestList:
    """Build the page; blocks.

    Raises:
        InvalidParameterError: A filter has a value that is not allowed.
        InvalidCursorError: The cursor did not come from this page.
    """
    params = frame.request.query_params
    query = msgspec.structs.replace(parameters.request_query(params), limit=ROWS)
    page = frame.backend.store.requests(query)
    filters = _filters(query)
    slowest = max((item.duration_ms for item in page.items), default=0.0)
    filtered = any(filters.values())
    verdict = "No request fits these filters." if filtered else "No request recorded yet."
    return RequestList(
        shell=frame.shell("Requests", "requests", watch="requests"),
        filters=filters,
        methods=METHODS,
        filtered=filtered,
        routes=tuple(sorted({item.route for item in page.items if item.route})),
        rows=tuple(_row(item, frame, slowest) for item in page.items),
        more=frame.links.requests(**filters, cursor=page.next) if page.next else "",
        verdict="" if page.items else verdict,
    )


def tone_of(status: int | None) -> str:
    """Give the class of a status."""
    if status is None:
        return "none"
    if status >= _SERVER_ERROR and status < 600:  # noqa: PLR2004 - above are websocket codes
        return "server"
    return "client" if _CLIENT_ERROR <= status < _SERVER_ERROR else "ok"


def _filters(query: RequestQuery) -> dict[str, str]:
    values = {
        "method": query.method,
        "route": query.route,
        "status": query.status,
        "min_ms": None if query.min_ms is None else f"{query.min_ms:g}",
    }
    return {key: "" if value is None else str(value) for key, value in values.items()}


def _row(item: RequestSummary, frame: Frame, slowest: float) -> RequestRow:
    pattern = item.route.removeprefix(f"{item.method} ")
    return RequestRow(
        href=frame.links.request(item.id),
        method=item.method or item.kind,
        path=cut(item.path or item.name or NOTHING, MAX_PATH),
        route=cut(pattern, MAX_PATH) if pattern not in {item.path, item.name} else "",
        status=NOTHING if item.status is None else str(item.status),
        tone=tone_of(item.status),
        duration=milliseconds(item.duration_ms),
        share=max(1, round(100 * item.duration_ms / slowest)) if slowest > 0 else 1,
        queries=f"{item.query_count:,}" if item.query_count else "",
        query_time=milliseconds(item.query_ms) if item.query_count else "",
        rules=item.findings[:3],
        more_rules=f"+{len(item.findings) - 3}" if len(item.findings) > 3 else "",  # noqa: PLR2004
        after=f"{plural(item.failed_tasks, 'task')} did not finish" if item.failed_tasks else "",
        running=item.state == "open",
        when=moment(item.started_at, frame.now),
    )
