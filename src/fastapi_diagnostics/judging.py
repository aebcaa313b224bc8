"""Judges records by the rules, and passes over rules that can have nothing to say.

A built-in rule's conclusions follow from the record alone. So what it reads of a record without
facts, and finds nothing in, tells which facts it needs; while all of them are absent it is not
run. Most requests have no facts at all.
"""

from functools import lru_cache
from itertools import compress
from operator import attrgetter
from typing import Any, Final

import msgspec

from fastapi_diagnostics.app_record import AppRecord
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.finding import Finding, Rule, Subject
from fastapi_diagnostics.record import Kind, RequestRecord, State
from fastapi_diagnostics.rules.catalogue import LoadedRule

FAULTS_ALLOWED = 3
"""A rule that failed this often is switched off for the process."""

_OWN: Final = "fastapi_diagnostics.rules."
_SCALARS: Final = ("kind", "state", "status")
"""Told apart where it is decided which rules to run; a rule that reads any other is always run."""
_FACTS: Final = tuple(
    field.name
    for field in msgspec.structs.fields(RequestRecord)
    if field.default in ((), None) and field.name not in _SCALARS
)
_facts_of = attrgetter(*_FACTS)
_faulty: Final[set[str]] = set()


class Judge:
    """Runs rules over records and over applications.

    Args:
        rules: In the order of their findings.
    """

    def __init__(self, rules: tuple[LoadedRule, ...]) -> None:
        self.rules = rules
        self._for_applications = _about("application", rules)
        self._for_requests = _about("request", rules)
        self._due = lru_cache(maxsize=1024)(self._having_facts)
        self._needs = lru_cache(maxsize=128)(self._read_of_blank)

    def of_request(self, record: RequestRecord) -> list[tuple[Rule, Finding]]:
        """Give the findings of a request with their rules."""
        present = frozenset(compress(_FACTS, _facts_of(record)))
        return _found(self._due(record.kind, record.state, record.status, present), record)

    def of_application(self, record: AppRecord) -> list[tuple[Rule, Finding]]:
        """Give the findings of an application with their rules."""
        return _found(self._for_applications, record)

    def _having_facts(
        self, kind: Kind, state: State, status: int | None, present: frozenset[str]
    ) -> tuple[LoadedRule, ...]:
        needs = self._needs(kind, state, status)
        return tuple(
            loaded
            for loaded, needed in zip(self._for_requests, needs, strict=True)
            if needed is None or not needed.isdisjoint(present)
        )

    def _read_of_blank(
        self, kind: Kind, state: State, status: int | None
    ) -> tuple[frozenset[str] | None, ...]:
        blank = RequestRecord(
            id="", kind=kind, state=state, status=status, started_at="", duration_ms=0.0, worker=0
        )
        return tuple(_needed(loaded, blank) for loaded in self._for_requests)


class _Read:
    """Stands in for a record and notes what is read of it."""

    def __init__(self, record: RequestRecord) -> None:
        self._record = record
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.names.add(name)
        return getattr(self._record, name)


def _needed(loaded: LoadedRule, blank: RequestRecord) -> frozenset[str] | None:
    """Give the facts without which a rule says nothing; `None` if it has to be run always.

    They are none at all where status and the like already settle it.
    """
    if not getattr(loaded.check, "__module__", "").startswith(_OWN):
        return None  # a third party's may count requests, or look at the clock
    read = _Read(blank)
    try:
        silent = not list(loaded.check(read))
    except Exception:  # noqa: BLE001 - it wants a real record, and shall have it
        return None
    names = read.names.difference(_SCALARS)
    return frozenset(names) if silent and read.names and names.issubset(_FACTS) else None


def _about(subject: Subject, rules: tuple[LoadedRule, ...]) -> tuple[LoadedRule, ...]:
    return tuple(loaded for loaded in rules if subject in loaded.rule.subjects)


def _found(
    rules: tuple[LoadedRule, ...], record: RequestRecord | AppRecord
) -> list[tuple[Rule, Finding]]:
    found: list[tuple[Rule, Finding]] = []
    for loaded in rules:
        rule = loaded.rule
        if rule.code in _faulty and FAULTS.count(_place(rule)) >= FAULTS_ALLOWED:
            continue
        try:
            for finding in loaded.check(record):
                found.append((rule, finding))  # noqa: PERF401 - kept also if the next one fails
        except Exception as error:  # noqa: BLE001 - a rule, ours or a third party's, contained
            _faulty.add(rule.code)
            FAULTS.note(_place(rule), error)
    return found


def _place(rule: Rule) -> str:
    return f"rule {rule.code}"
