"""Turns rows into facts; rows are data, whoever wrote them, so nothing in them is believed."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from fastapi_diagnostics.finding import Finding, Group, Occurrence
from fastapi_diagnostics.record import decode_record
from fastapi_diagnostics.store.protocol import RequestSummary

T = TypeVar("T")

_BROKEN = (msgspec.MsgspecError, ValueError, TypeError, AttributeError, RecursionError)
_FINDING_FIELDS = frozenset(Finding.__struct_fields__) & frozenset(Group.__struct_fields__)
_SUMMARY_COLUMNS = frozenset(RequestSummary.__struct_fields__) - {"findings"}
_finding = msgspec.json.Decoder(Finding)


class RowReader:
    """Reads rows and counts those that cannot be read.

    Attributes:
        unreadable: Rows left out since the start.
    """

    def __init__(self) -> None:
        self.unreadable = 0
        self._decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}

    def groups(
        self, rows: Iterable[sqlite3.Row], routes: Mapping[str, Sequence[str]]
    ) -> tuple[Group, ...]:
        """Read rows of groups; *routes* by fingerprint."""
        found = []
        for row in rows:
            try:
                found.append(_group(row, tuple(routes.get(row["fingerprint"], ()))))
            except _BROKEN:
                self.unreadable += 1
        return tuple(found)

    def occurrences(self, rows: Iterable[sqlite3.Row]) -> tuple[Occurrence, ...]:
        """Read rows of occurrences."""
        found = []
        for row in rows:
            try:
                finding = _finding.decode(row["finding"])
                found.append(
                    _checked(
                        Occurrence,
                        request_id=finding.request_id,
                        at=row["at"],
                        evidence=finding.evidence,
                    )
                )
            except _BROKEN:
                self.unreadable += 1
        return tuple(found)

    def summaries(self, rows: Iterable[sqlite3.Row]) -> tuple[RequestSummary, ...]:
        """Read rows of records without their records."""
        found = []
        for row in rows:
            try:
                columns = {name: row[name] for name in _SUMMARY_COLUMNS}
                findings = tuple(row["codes"].split())
                found.append(_checked(RequestSummary, **columns, findings=findings))
            except _BROKEN:
                self.unreadable += 1
        return tuple(found)

    def facts(self, rows: Iterable[sqlite3.Row], kind: type[T]) -> tuple[T, ...]:
        """Read some fields of records."""
        decoder = self._decoders.setdefault(kind, msgspec.json.Decoder(kind))
        found: list[T] = []
        for row in rows:
            try:
                found.append(decoder.decode(row["record"]))
            except _BROKEN:
                self.unreadable += 1
        return tuple(found)

    def record(self, data: Any) -> bytes | None:
        """Check that *data* is a record; `None` if it is not."""
        try:
            decode_record(data)
        except _BROKEN:
            self.unreadable += 1
            return None
        return bytes(data)


def _group(row: sqlite3.Row, routes: tuple[str, ...]) -> Group:
    finding = _finding.decode(row["finding"])
    fields: dict[str, Any] = {name: getattr(finding, name) for name in _FINDING_FIELDS}
    return _checked(
        Group,
        **fields | {"fingerprint": row["fingerprint"]},
        routes=routes,
        occurrences=row["occurrences"],
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        state=row["state"],
        reason=row["reason"],
    )


def _checked(kind: type[T], /, **fields: Any) -> T:
    return msgspec.convert(fields, kind)
