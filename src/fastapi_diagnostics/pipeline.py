"""record → rules → store → subscribers; runs on the worker's thread.

Failures of rules, of the store and of subscribers are contained here and counted.
"""

import os
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from fastapi_diagnostics import source
from fastapi_diagnostics.app_record import NAME, AppRecord
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.finding import Finding, Rule
from fastapi_diagnostics.judging import Judge
from fastapi_diagnostics.locks import Lock
from fastapi_diagnostics.record import LooseTask, RequestRecord, decode_record
from fastapi_diagnostics.recorder import RECORD_IDS, Sealed
from fastapi_diagnostics.rules.catalogue import LoadedRule
from fastapi_diagnostics.rules.ledger import with_ledger
from fastapi_diagnostics.store.protocol import Report, Store
from fastapi_diagnostics.worker import Load, Worker

RECENT = 256
"""Records kept at hand for facts that come later, such as the victims of a block."""

Subscriber = Callable[[Sequence[Report], frozenset[str]], None]
"""Told of a batch's reports and of the fingerprints never seen before."""


class Amendment(msgspec.Struct, frozen=True):
    """Facts that became known after their record was submitted, or that belong to none.

    Attributes:
        record_id: `None` for facts of no request.
        fields: Values of fields of the record. Facts with an ``id`` (a tuple of them) take the
            place of those with the same id and are added to the others.
    """

    record_id: str | None
    fields: dict[str, Any]


class Audit(msgspec.Struct, frozen=True):
    """An application that is to be looked at without a request.

    Attributes:
        collect: Called on the worker's thread; `None` if the application is gone.
        record_id: Of the record of kind ``process`` that its findings are kept with.
        at: RFC 3339, UTC, microseconds.
    """

    collect: Callable[[], AppRecord | None]
    record_id: str
    at: str


class Pipeline:
    """Takes the records of one application."""

    def __init__(
        self, *, rules: tuple[LoadedRule, ...], open_store: Callable[[], Store], worker: Worker
    ) -> None:
        self._judge = Judge(rules)
        self.conclude_cpu_s = 0.0
        self.concluded = 0
        self._open_store = open_store
        self._store: Store | None = None
        self._opening = Lock()
        self._worker = worker
        self._subscribers: list[Subscriber] = []
        self._recent: OrderedDict[str, RequestRecord] = OrderedDict()

    @property
    def rules(self) -> tuple[LoadedRule, ...]:
        """The rules that judge."""
        return self._judge.rules

    @rules.setter
    def rules(self, rules: tuple[LoadedRule, ...]) -> None:
        self._judge = Judge(rules)

    @property
    def store(self) -> Store:
        """The store, opened at its first use; may block."""
        with self._opening:
            if self._store is None:
                self._store = self._open_store()
                # An application that is dropped, as in tests, leaves no connection behind.
                weakref.finalize(self, self._store.close).atexit = False
            return self._store

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call *subscriber* on the worker's thread after each batch was stored."""
        self._subscribers.append(subscriber)

    def submit(self, sealed: Sealed) -> bool:
        """Queue a record; `False` if it was dropped. Never blocks and never raises."""
        return self._worker.submit(self, sealed.id, sealed, len(sealed.data))

    def amend(self, record_id: str | None, **fields: tuple[Any, ...]) -> bool:
        """Queue facts that came after a record; its rules run again.

        Args:
            record_id: `None` for facts that belong to no request: they get a record of kind
                ``process``, as do loose tasks of a record that is no longer kept.
            fields: Facts with an ``id`` by the name of the record's field, see `Amendment`.
        """
        key = (record_id, *((name, *(fact.id for fact in fields[name])) for name in sorted(fields)))
        return self._worker.submit(self, key, Amendment(record_id, fields), 1024)

    def audit(self, audit: Audit) -> bool:
        """Queue a look at the application itself; `False` if it was dropped. Never blocks."""
        return self._worker.submit(self, audit.record_id, audit, 1024)

    def knows(self, record_id: str) -> bool:
        """Tell whether a record is at hand, or waits to be concluded; safe from any thread."""
        return record_id in self._recent or self._worker.holds(self, record_id)

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything submitted before now is stored."""
        return self._worker.flush(timeout_s)

    def conclude(self, job: Sealed | Amendment | Audit) -> Report | None:
        """Run the rules over a record, again over an amended one, or over an application."""
        if isinstance(job, Audit):
            return self._audited(job)
        began = time.thread_time()
        record = self._amended(job) if isinstance(job, Amendment) else self._joined(job.record())
        if record is None:
            return None
        findings = self.findings(record)
        with FAULTS.contained("ledger"):
            record = with_ledger(record, findings)
        self._remember(record)
        report = Report(record=record, findings=findings)
        self.conclude_cpu_s += time.thread_time() - began
        self.concluded += 1
        return report

    def findings(self, record: RequestRecord) -> tuple[Finding, ...]:
        """Judge a record: what its rules find, less what is superseded or suppressed."""
        found = self._judge.of_request(record)
        return tuple(_completed(_surviving(found), record)) if found else ()

    def _audited(self, audit: Audit) -> Report | None:
        """Judge an application; what is found is kept with a record of no request."""
        began = time.perf_counter()
        application = audit.collect()
        if application is None:
            return None
        found = self._judge.of_application(application)
        record = RequestRecord(
            id=audit.record_id,
            kind="process",
            state="closed",
            name=NAME,
            started_at=audit.at,
            duration_ms=round((time.perf_counter() - began) * 1000, 3),
            worker=os.getpid(),
        )
        return Report(record=record, findings=tuple(_completed(_surviving(found), record)))

    def keep(self, reports: Sequence[Report]) -> None:
        """Store a batch and tell the subscribers."""
        new: frozenset[str] = frozenset()
        with FAULTS.contained("store save"):
            new = self.store.save(reports)
        for subscriber in self._subscribers:
            with FAULTS.contained("subscriber"):
                subscriber(reports, new)

    def load(self) -> Load:
        """Tell how busy the worker is."""
        return self._worker.load()

    def conclude_us(self) -> float:
        """Mean CPU time of a conclusion, in µs; 0 before the first."""
        return round(self.conclude_cpu_s / self.concluded * 1e6, 1) if self.concluded else 0.0

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()

    def _remember(self, record: RequestRecord) -> None:
        self._recent[record.id] = record
        self._recent.move_to_end(record.id)
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    def _joined(self, record: RequestRecord) -> RequestRecord:
        """Keep what became known before the final record arrived: victims and loose tasks."""
        before = self._recent.get(record.id)
        if before is None or not (before.blocks or before.loose_tasks):
            return record
        known = {block.id: block.victims for block in before.blocks}
        blocks = tuple(
            block
            if block.victims
            else msgspec.structs.replace(block, victims=known.get(block.id, ()))
            for block in record.blocks
        )
        tasks = _merged(before.loose_tasks, record.loose_tasks)
        return msgspec.structs.replace(record, blocks=blocks, loose_tasks=tasks)

    def _amended(self, amendment: Amendment) -> RequestRecord | None:
        record = self._kept(amendment.record_id) or _process_record(amendment)
        if record is None:
            return None
        fields = {
            name: _merged(getattr(record, name), value) if isinstance(value, tuple) else value
            for name, value in amendment.fields.items()
        }
        return msgspec.structs.replace(record, **fields)

    def _kept(self, record_id: str | None) -> RequestRecord | None:
        if record_id is None:
            return None
        record = self._recent.get(record_id)
        if record is None:
            stored = self.store.request(record_id)
            record = decode_record(stored.record) if stored is not None else None
        return record


def _merged(before: tuple[Any, ...], facts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Put *facts* in the place of those with the same id, and the others behind."""
    return tuple(({fact.id: fact for fact in before} | {fact.id: fact for fact in facts}).values())


def _process_record(amendment: Amendment) -> RequestRecord | None:
    """Make a record for facts of nobody; `None` for those that say nothing without their own."""
    tasks: tuple[LooseTask, ...] = amendment.fields.get("loose_tasks", ())
    if not tasks:
        return None
    return RequestRecord(
        id=RECORD_IDS(),
        kind="process",
        state="closed",
        started_at=tasks[0].at,
        duration_ms=0.0,
        worker=os.getpid(),
    )


def _surviving(found: list[tuple[Rule, Finding]]) -> Iterator[Finding]:
    """Drop findings that another one about the same fact supersedes, keeping their evidence."""
    beaten: dict[int, dict[str, Any]] = {}
    merged: dict[int, dict[str, Any]] = {}
    for position, (rule, finding) in enumerate(found):
        for other, (_, rival) in enumerate(found):
            same = rival.subject in {finding.subject, *finding.also}
            if rival.rule in rule.supersedes and rival.subject and same:
                beaten[other] = rival.evidence
                merged[position] = rival.evidence | merged.get(position, {})
    for position, (_, finding) in enumerate(found):
        if position in beaten:
            continue
        if position in merged:
            evidence = merged[position] | finding.evidence
            finding = msgspec.structs.replace(finding, evidence=evidence)  # noqa: PLW2901
        yield finding


def _completed(findings: Iterator[Finding], record: RequestRecord) -> Iterator[Finding]:
    seen: set[str] = set()
    for finding in findings:
        request_id = None if record.kind == "process" else record.id
        placed = msgspec.structs.replace(finding, request_id=request_id, route=record.route)
        complete = source.complete(placed)
        if complete.fingerprint in seen or source.suppressed(complete):
            continue
        seen.add(complete.fingerprint)
        yield complete
