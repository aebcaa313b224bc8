"""record → rules → store → subscribers; runs on the worker's thread.

Failures of rules, of the store and of subscribers are contained here and counted.
"""

import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from fastapi_diagnostics import source
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.finding import Finding, Rule
from fastapi_diagnostics.locks import Lock
from fastapi_diagnostics.record import RequestRecord, decode_record
from fastapi_diagnostics.recorder import Sealed
from fastapi_diagnostics.rules.catalogue import LoadedRule
from fastapi_diagnostics.store.protocol import Report, Store
from fastapi_diagnostics.worker import Load, Worker

RECENT = 256
"""Records kept at hand for facts that come later, such as the victims of a block."""
RULE_FAULTS_ALLOWED = 3
"""A rule that failed this often is switched off for the process."""

Subscriber = Callable[[Sequence[Report], frozenset[str]], None]
"""Told of a batch's reports and of the fingerprints never seen before."""


class Amendment(msgspec.Struct, frozen=True):
    """Fields of a record that became known after it was submitted."""

    record_id: str
    fields: dict[str, Any]


class Pipeline:
    """Takes the records of one application."""

    def __init__(
        self, *, rules: tuple[LoadedRule, ...], open_store: Callable[[], Store], worker: Worker
    ) -> None:
        self.rules = rules
        self.conclude_cpu_s = 0.0
        self.concluded = 0
        self._open_store = open_store
        self._store: Store | None = None
        self._opening = Lock()
        self._worker = worker
        self._subscribers: list[Subscriber] = []
        self._recent: OrderedDict[str, RequestRecord] = OrderedDict()

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

    def amend(self, record_id: str, **fields: Any) -> bool:
        """Queue facts that came after a record; its rules run again."""
        key = (record_id, tuple(sorted(fields)))
        return self._worker.submit(self, key, Amendment(record_id, fields), 1024)

    def knows(self, record_id: str) -> bool:
        """Tell whether a record is at hand, or waits to be concluded; safe from any thread."""
        return record_id in self._recent or self._worker.holds(self, record_id)

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything submitted before now is stored."""
        return self._worker.flush(timeout_s)

    def conclude(self, job: Sealed | Amendment) -> Report | None:
        """Run the rules over a record, or again over an amended one."""
        began = time.thread_time()
        record = self._amended(job) if isinstance(job, Amendment) else self._joined(job.record())
        if record is None:
            return None
        self._remember(record)
        report = Report(record=record, findings=self.findings(record))
        self.conclude_cpu_s += time.thread_time() - began
        self.concluded += 1
        return report

    def findings(self, record: RequestRecord) -> tuple[Finding, ...]:
        """Judge a record: what its rules find, less what is superseded or suppressed."""
        found: list[tuple[Rule, Finding]] = []
        for loaded in self.rules:
            found += ((loaded.rule, finding) for finding in _checked(loaded, record))
        if not found:
            return ()
        return tuple(_completed(_surviving(found), record))

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
        """Keep victims that became known before the final record arrived."""
        before = self._recent.get(record.id)
        if before is None or not before.blocks:
            return record
        known = {block.id: block.victims for block in before.blocks}
        blocks = tuple(
            block
            if block.victims
            else msgspec.structs.replace(block, victims=known.get(block.id, ()))
            for block in record.blocks
        )
        return msgspec.structs.replace(record, blocks=blocks)

    def _amended(self, amendment: Amendment) -> RequestRecord | None:
        record = self._recent.get(amendment.record_id)
        if record is None:
            stored = self.store.request(amendment.record_id)
            if stored is None:
                return None
            record = decode_record(stored.record)
        return msgspec.structs.replace(record, **amendment.fields)


def _checked(loaded: LoadedRule, record: RequestRecord) -> Iterator[Finding]:
    place = f"rule {loaded.rule.code}"
    if FAULTS.count(place) >= RULE_FAULTS_ALLOWED:
        return
    try:
        yield from loaded.check(record)
    except Exception as error:  # noqa: BLE001 - a rule, ours or a third party's, contained
        FAULTS.note(place, error)


def _surviving(found: list[tuple[Rule, Finding]]) -> Iterator[Finding]:
    """Drop findings that another one about the same fact supersedes, keeping their evidence."""
    beaten: dict[int, dict[str, Any]] = {}
    merged: dict[int, dict[str, Any]] = {}
    for position, (rule, finding) in enumerate(found):
        for other, (_, rival) in enumerate(found):
            if rival.rule in rule.supersedes and rival.subject and rival.subject == finding.subject:
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
