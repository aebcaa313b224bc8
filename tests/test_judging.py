"""Judging: a rule whose facts are absent is passed over, and nothing is lost by that."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.judging import Judge
from fastapi_diagnostics.record import RequestRecord
from fastapi_diagnostics.rules.catalogue import LoadedRule, all_rules
from tests.builders import a_query, a_record

RULE = next(loaded.rule for loaded in all_rules() if loaded.rule.code == "SQL101")
OURS = "fastapi_diagnostics.rules.sql.made_up"

Judgement = Callable[[Any], bool]


class Counted:
    """A rule that accuses where *guilty* says so, and counts the real records it was shown."""

    def __init__(self, guilty: Judgement, module: str) -> None:
        self.shown = 0

        def check(record: Any) -> Iterator[Finding]:
            self.shown += isinstance(record, RequestRecord)
            if guilty(record):
                yield RULE.finding("Something is so.", location=None)

        check.__module__ = module
        rule = msgspec.structs.replace(RULE, code="SQL901", name="counted")
        self.loaded = LoadedRule(rule, check)


def judged(guilty: Judgement, *records: RequestRecord, module: str = OURS) -> tuple[int, list[int]]:
    """Say how many records a rule was shown, and what it found in each."""
    counted = Counted(guilty, module)
    judge = Judge((counted.loaded,))
    found = [len(judge.of_request(record)) for record in records]
    return counted.shown, found


def test_a_rule_is_passed_over_while_its_facts_are_absent() -> None:
    shown, found = judged(
        lambda record: len(record.queries) > 1,
        a_record(),
        a_record(queries=(a_query(), a_query(index=1))),
        a_record(),
    )

    assert (shown, found) == (1, [0, 1, 0])


def test_a_rule_that_reads_one_of_several_facts_runs_where_any_of_them_is_there() -> None:
    shown, found = judged(
        lambda record: bool(record.joined_rows) or bool(record.queries),
        a_record(),
        a_record(queries=(a_query(),)),
    )

    assert (shown, found) == (1, [0, 1])


def test_what_a_rule_needs_is_told_anew_for_each_status() -> None:
    shown, found = judged(
        lambda record: record.status == 500 or bool(record.queries),
        a_record(status=200),
        a_record(status=500),
        a_record(status=200),
    )

    assert (shown, found) == (1, [0, 1, 0])


@pytest.mark.parametrize(
    "guilty",
    [
        lambda record: record.duration_ms > 1000,
        lambda record: record.path == "/slow" or bool(record.queries),
        lambda record: isinstance(record, RequestRecord) and record.path == "/slow",
        lambda record: msgspec.structs.replace(record, status=1).path == "/slow",
    ],
    ids=["by-duration", "by-path", "by-class", "by-a-copy"],
)
def test_a_rule_that_judges_by_more_than_facts_is_always_run(guilty) -> None:
    _, found = judged(guilty, a_record(), a_record(path="/slow", duration_ms=2000.0))

    assert found == [0, 1]


def test_a_third_partys_rule_is_always_run() -> None:
    shown, _ = judged(lambda record: bool(record.queries), a_record(), module="somebody.rules")

    assert shown == 1


def test_none_of_our_rules_is_run_over_a_request_without_facts() -> None:
    shown: list[str] = []

    def watched(loaded: LoadedRule) -> LoadedRule:
        def check(record: Any) -> Iterator[Finding]:
            if isinstance(record, RequestRecord):
                shown.append(loaded.rule.code)
            yield from loaded.check(record)

        check.__module__ = loaded.check.__module__
        return LoadedRule(loaded.rule, check)

    Judge(tuple(watched(loaded) for loaded in all_rules())).of_request(a_record())

    assert shown == []
