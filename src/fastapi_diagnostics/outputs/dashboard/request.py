"""One request: what happened, when, and what was concluded."""

from itertools import islice

import msgspec

from fastapi_diagnostics.outputs import parameters
from fastapi_diagnostics.outputs.dashboard.dependencies import DependencyTree, dependency_tree
from fastapi_diagnostics.outputs.dashboard.happenings import (
    ExceptionView,
    RejectionView,
    TaskView,
    exception_views,
    rejection_views,
    task_views,
)
from fastapi_diagnostics.outputs.dashboard.queries import QueryList, query_list
from fastapi_diagnostics.outputs.dashboard.requests import tone_of
from fastapi_diagnostics.outputs.dashboard.rows import RANK, FindingRow, finding_row
from fastapi_diagnostics.outputs.dashboard.shell import Frame, Shell
from fastapi_diagnostics.outputs.dashboard.split import Part, time_parts
from fastapi_diagnostics.outputs.dashboard.timeline import Timeline, timeline
from fastapi_diagnostics.outputs.dashboard.words import (
    NOTHING,
    Moment,
    cut,
    milliseconds,
    moment,
    plural,
    times,
)
from fastapi_diagnostics.outputs.resource import AnswerError
from fastapi_diagnostics.record import RequestRecord, decode_record

QUERIES_SHOWN = 30
ALL_QUERIES = 1_000
MAX_LISTED = 50


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A number with its label; `detail` in small print."""

    label: str
    value: str
    detail: str = ""


class Stripped(msgspec.Struct, frozen=True, kw_only=True):
    """A field that the response model removed."""

    path: str
    detail: str


class WaitView(msgspec.Struct, frozen=True, kw_only=True):
    """Time lost to another request, and the block that took it."""

    href: str
    block_href: str
    request: str
    waited: str


class BlockLink(msgspec.Struct, frozen=True, kw_only=True):
    """A block of the event loop that this request made."""

    href: str
    what: str
    took: str
    victims: str


class ClearedView(msgspec.Struct, frozen=True, kw_only=True):
    """What was considered and found in order."""

    what: str
    times: str
    reason: str


class RequestPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page.

    Attributes:
        more_queries: Link that shows the rest of the queries; empty if all are shown.
        sql_note: What to say where no query was seen; empty if some were.
    """

    shell: Shell
    id: str
    method: str
    path: str
    query: str
    route: str
    route_href: str
    status: str
    tone: str
    running: bool
    when: Moment
    figures: tuple[Figure, ...]
    split: tuple[Part, ...]
    split_note: str
    findings: tuple[FindingRow, ...]
    timeline: Timeline | None
    dependencies: DependencyTree
    queries: QueryList
    query_summary: str
    sql_note: str
    more_queries: str
    more_queries_label: str
    tasks: tuple[TaskView, ...]
    exceptions: tuple[ExceptionView, ...]
    rejections: tuple[RejectionView, ...]
    stripped: tuple[Stripped, ...]
    protected: tuple[str, ...]
    blocks: tuple[BlockLink, ...]
    waits: tuple[WaitView, ...]
    cleared: tuple[ClearedView, ...]
    truncated: str


def request_page(frame: Frame, record_id: str) -> RequestPage:
    """Build the page; blocks.

    Raises:
        AnswerError: There is no such request.
    """
    stored = frame.backend.store.request(record_id)
    if stored is None:
        text = "There is no such request, or no longer: the oldest are pruned first."
        raise AnswerError(404, "not-found", text)
    record = decode_record(stored.record)
    links = frame.links
    everything = parameters.choice(frame.request.query_params, "queries", ("all",)) is not None
    chart = timeline(record)
    queries = query_list(
        record,
        stored.findings,
        links,
        whole_ms=chart.whole_ms if chart else 1.0,
        most=ALL_QUERIES if everything else QUERIES_SHOWN,
    )
    rest = queries.total - len(queries.rows)
    findings = sorted(stored.findings, key=lambda group: RANK[group.severity])
    title = record.route or f"{record.method} {record.path}".strip() or record.name or record.kind
    return RequestPage(
        shell=frame.shell(cut(title, 100), "requests"),
        id=record.id,
        method=record.method or record.kind,
        path=record.path or record.name or NOTHING,
        query=record.query,
        route=record.route,
        route_href=links.requests(route=record.route),
        status="no response" if record.status is None else str(record.status),
        tone=tone_of(record.status),
        running=record.state == "open",
        when=moment(record.started_at, frame.now),
        figures=_figures(record),
        split=time_parts(record.time),
        split_note=_split_note(record),
        findings=tuple(finding_row(group, links, frame.now) for group in findings),
        timeline=chart,
        dependencies=dependency_tree(record.dependencies),
        queries=queries,
        query_summary=_query_summary(record, queries.total),
        sql_note=_sql_note(record, frame),
        more_queries=links.request(record.id, queries="all") if rest and not everything else "",
        more_queries_label=f"Show {plural(rest, 'more statement')}",
        tasks=task_views(record, links),
        exceptions=exception_views(record, links),
        rejections=rejection_views(record),
        stripped=_stripped(record),
        protected=record.protected[:MAX_LISTED],
        blocks=_blocks(record, frame),
        waits=_waits(record, frame),
        cleared=_cleared(record),
        truncated=", ".join(record.truncated),
    )


def _figures(record: RequestRecord) -> tuple[Figure, ...]:
    figures = [Figure(label="Duration", value=milliseconds(record.duration_ms))]
    if record.query_count:
        spent = sum(query.duration_ms for query in record.queries)
        value = plural(record.query_count, "query", "queries")
        figures.append(Figure(label="SQL", value=value, detail=milliseconds(spent)))
    if record.overhead_ms is not None:
        figures.append(Figure(label="Diagnostics itself", value=milliseconds(record.overhead_ms)))
    return tuple(figures)


def _split_note(record: RequestRecord) -> str:
    """Say why the parts may be more than the duration."""
    later = any(phase.name in {"background", "teardown"} for phase in record.phases)
    return "what ran after the response included" if later else ""


def _query_summary(record: RequestRecord, groups: int) -> str:
    if not record.query_count:
        return ""
    text = plural(record.query_count, "query", "queries")
    if groups < len(record.queries):
        text += f", {groups:,} different"
    if len(record.queries) < record.query_count:
        text += f"; the first {len(record.queries):,} were kept"
    return text


def _sql_note(record: RequestRecord, frame: Frame) -> str:
    """Tell no query from no watching."""
    if record.query_count:
        return ""
    sql = frame.sql_hook()
    if sql is not None and not sql.on:
        return f"SQL is not watched: {sql.why or 'the hook is off'}."
    return "No query was made through SQLAlchemy."


def _stripped(record: RequestRecord) -> tuple[Stripped, ...]:
    fields = (field for diff in record.response_diffs for field in diff.fields if not field.secret)
    return tuple(
        Stripped(
            path=field.path,
            detail=f"in {field.owner}, not declared by {field.model}"
            + (f"; near {field.near}" if field.near else ""),
        )
        for field in islice(fields, MAX_LISTED)
    )


def _blocks(record: RequestRecord, frame: Frame) -> tuple[BlockLink, ...]:
    return tuple(
        BlockLink(
            href=frame.links.page("/loop", block=block.id, request=record.id),
            what=cut(block.call or block.kind, 120),
            took=milliseconds(block.duration_ms),
            victims=f"{plural(len(block.victims), 'request')} waited" if block.victims else "",
        )
        for block in record.blocks[:MAX_LISTED]
    )


def _waits(record: RequestRecord, frame: Frame) -> tuple[WaitView, ...]:
    return tuple(
        WaitView(
            href=frame.links.request(wait.culprit_id),
            block_href=frame.links.page("/loop", block=wait.block_id, request=wait.culprit_id),
            request=cut(wait.culprit_id, 12),
            waited=milliseconds(wait.waited_ms),
        )
        for wait in record.waits[:MAX_LISTED]
    )


def _cleared(record: RequestRecord) -> tuple[ClearedView, ...]:
    return tuple(
        ClearedView(what=item.what, times=times(item.count), reason=item.reason)
        for item in record.cleared[:MAX_LISTED]
    )
