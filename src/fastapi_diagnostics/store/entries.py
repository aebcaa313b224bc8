"""Reports in the form in which they are written."""

from typing import Any

import msgspec

from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.record import RequestRecord, encode
from fastapi_diagnostics.store.protocol import Report

_RANK = {"error": 0, "warning": 1, "info": 2}
_FAILED = ("failed", "never-ran")


class FindingEntry(msgspec.Struct, frozen=True):
    """A finding and the columns by which it is looked up."""

    fingerprint: str
    rule: str
    severity: str
    route: str
    data: bytes


class Entry(msgspec.Struct, frozen=True):
    """A report, ready to be written.

    Attributes:
        columns: Values of the row in ``records`` from ``id`` on.
        findings: By fingerprint; the first of a kind stands for the others of the same request.
        size: Bytes it takes, roughly.
    """

    id: str
    at: str
    columns: tuple[Any, ...]
    findings: dict[str, FindingEntry]
    size: int


def encode_report(report: Report) -> Entry:
    """Encode a report; text that is not valid Unicode is mended.

    Raises:
        Exception: Whatever encoding a value that is not plain may raise.
    """
    try:
        return _encode(report)
    except UnicodeEncodeError:
        mended = _mend(msgspec.to_builtins(report))
        return _encode(msgspec.convert(mended, Report))


def _encode(report: Report) -> Entry:
    record = report.record
    data = encode(record)
    findings: dict[str, FindingEntry] = {}
    for finding in report.findings:
        findings.setdefault(finding.fingerprint, _encode_finding(finding))
    columns = (*_columns(record), _codes(report.findings), _failed(record), record.worker, data)
    size = len(data) + sum(2 * len(entry.data) for entry in findings.values())
    return Entry(record.id, record.started_at, columns, findings, size)


def _columns(record: RequestRecord) -> tuple[Any, ...]:
    return (
        record.id,
        record.kind,
        record.state,
        record.name,
        record.method,
        record.path,
        record.route,
        record.status,
        record.started_at,
        record.duration_ms,
        record.query_count,
        sum(query.duration_ms for query in record.queries) if record.queries else 0.0,
    )


def _encode_finding(finding: Finding) -> FindingEntry:
    return FindingEntry(
        finding.fingerprint, finding.rule, finding.severity, finding.route, encode(finding)
    )


def _codes(findings: tuple[Finding, ...]) -> str:
    if not findings:
        return ""
    worst_first = sorted(findings, key=lambda finding: _RANK.get(finding.severity, len(_RANK)))
    return " ".join(dict.fromkeys(finding.rule for finding in worst_first))


def _failed(record: RequestRecord) -> int:
    return sum(task.state in _FAILED for task in record.tasks) if record.tasks else 0


def _mend(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mend(item) for item in value]
    return value
