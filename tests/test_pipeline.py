"""The pipeline: rules run, findings are completed, failures are contained."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.pipeline import Amendment, Pipeline
from fastapi_diagnostics.record import Location, LooseTask, RequestRecord
from fastapi_diagnostics.rules.catalogue import LoadedRule, all_rules
from fastapi_diagnostics.store import Limits, open_store
from fastapi_diagnostics.worker import Worker
from tests.builders import a_record

RULE = next(loaded.rule for loaded in all_rules() if loaded.rule.code == "SQL101")
ACCEPTED = "for an example"  # diagnostics: ignore[SQL901] see the test that looks for it


@pytest.fixture(autouse=True)
def this_folder_is_the_project():
    USER_CODE.reset()
    USER_CODE.add_root(Path(__file__).parent)
    FAULTS.clear()
    yield
    USER_CODE.reset()
    FAULTS.clear()


def a_rule(code: str, *findings: Finding, supersedes: tuple[str, ...] = ()) -> LoadedRule:
    rule = msgspec.structs.replace(RULE, code=code, name=f"rule-{code}", supersedes=supersedes)

    def check(_: RequestRecord) -> Iterator[Finding]:
        yield from (msgspec.structs.replace(f, rule=code, name=rule.name) for f in findings)

    return LoadedRule(rule, check)


def a_pipeline(*rules: LoadedRule, tmp_path: Path | None = None) -> Pipeline:
    return Pipeline(
        rules=rules,
        open_store=lambda: open_store(
            "memory:", directory=tmp_path or Path.cwd(), clock=lambda: 1e9, limits=Limits()
        ),
        worker=Worker(),
    )


def a_conclusion(**changes) -> Finding:
    location = Location(file="test_pipeline.py", line=1, function="<module>")
    fields = {"location": location, "cause": "x", **changes}
    return RULE.finding("Something is so.", **fields)


def codes(findings) -> list[str]:
    return [finding.rule for finding in findings]


def test_a_finding_is_completed_with_request_route_line_and_fingerprint() -> None:
    pipeline = a_pipeline(a_rule("SQL901", a_conclusion()))

    [finding] = pipeline.findings(a_record(id="r1", route="GET /x"))

    assert (finding.request_id, finding.route) == ("r1", "GET /x")
    assert finding.location.code.startswith('"""The pipeline:')
    assert finding.fingerprint.startswith("v1:")


def test_equal_findings_of_one_request_are_one() -> None:
    pipeline = a_pipeline(a_rule("SQL901", a_conclusion(), a_conclusion()))

    assert len(pipeline.findings(a_record())) == 1


def test_a_rule_takes_the_place_of_another_about_the_same_fact_and_keeps_its_evidence() -> None:
    loser = a_rule("EXC901", a_conclusion(subject="exceptions[0]", evidence={"type": "KeyError"}))
    winner = a_rule(
        "SQL901",
        a_conclusion(subject="exceptions[0]", evidence={"attribute": "A.b"}),
        supersedes=("EXC901",),
    )

    [finding] = a_pipeline(loser, winner).findings(a_record())

    assert finding.rule == "SQL901"
    assert finding.evidence == {"type": "KeyError", "attribute": "A.b"}


def test_it_does_not_where_the_facts_differ_or_are_not_told() -> None:
    other = a_rule("EXC901", a_conclusion(subject="exceptions[1]"))
    untold = a_rule("EXC902", a_conclusion())
    winner = a_rule("SQL901", a_conclusion(subject="exceptions[0]"), supersedes=("EXC901",))

    findings = a_pipeline(other, untold, winner).findings(a_record())

    assert codes(findings) == ["EXC901", "EXC902", "SQL901"]


def test_a_rule_that_raises_loses_its_own_findings_only() -> None:
    def broken(_: RequestRecord) -> Iterator[Finding]:
        raise ValueError("broken rule")
        yield

    rules = (LoadedRule(RULE, broken), a_rule("SQL901", a_conclusion()))

    findings = a_pipeline(*rules).findings(a_record())

    assert codes(findings) == ["SQL901"]
    assert FAULTS.count(f"rule {RULE.code}") == 1


def test_a_rule_that_keeps_failing_is_switched_off() -> None:
    calls = []

    def broken(_: RequestRecord) -> Iterator[Finding]:
        calls.append(1)
        raise ValueError("broken rule")
        yield

    pipeline = a_pipeline(LoadedRule(RULE, broken))
    for _ in range(5):
        pipeline.findings(a_record())

    assert len(calls) == 3


def test_a_line_says_that_a_finding_is_accepted() -> None:
    lines = Path(__file__).read_text().splitlines()
    number = next(i for i, line in enumerate(lines, 1) if line.startswith("ACCEPTED"))
    location = Location(file="test_pipeline.py", line=number, function="f")
    rules = (
        a_rule("SQL901", a_conclusion(location=location)),
        a_rule("SQL902", a_conclusion(location=location)),
    )

    assert codes(a_pipeline(*rules).findings(a_record())) == ["SQL902"]


def test_an_amendment_changes_the_record_and_its_rules_run_again() -> None:
    def check(record: RequestRecord) -> Iterator[Finding]:
        if record.query_count == 7:
            yield a_conclusion()

    pipeline = a_pipeline(LoadedRule(RULE, check))
    pipeline._remember(a_record(id="r1"))

    report = pipeline.conclude(Amendment("r1", {"query_count": 7}))

    assert len(report.findings) == 1


def test_an_amendment_of_a_record_that_is_gone_does_nothing() -> None:
    assert a_pipeline().conclude(Amendment("unknown", {})) is None


def a_loose_task(fact_id: str, **changes: Any) -> LooseTask:
    defaults: dict[str, Any] = {
        "kind": "destroyed",
        "name": "notify",
        "at": "2026-11-22T10:00:01.000000Z",
    }
    return LooseTask(id=fact_id, **defaults | changes)


def test_amendments_of_one_field_add_up_and_replace_by_id() -> None:
    pipeline = a_pipeline()
    pipeline._remember(a_record(id="r1", loose_tasks=(a_loose_task("a"),)))

    pipeline.conclude(Amendment("r1", {"loose_tasks": (a_loose_task("b"),)}))
    report = pipeline.conclude(Amendment("r1", {"loose_tasks": (a_loose_task("b", name="mail"),)}))

    assert report is not None
    assert [(task.id, task.name) for task in report.record.loose_tasks] == [
        ("a", "notify"),
        ("b", "mail"),
    ]


def test_two_facts_that_wait_for_the_worker_are_both_kept() -> None:
    pipeline = a_pipeline()
    pipeline._remember(a_record(id="r1"))

    pipeline.amend("r1", loose_tasks=(a_loose_task("a"),))
    pipeline.amend("r1", loose_tasks=(a_loose_task("b"),))

    assert pipeline.drain(5)
    assert {task.id for task in pipeline._recent["r1"].loose_tasks} == {"a", "b"}


def test_what_came_before_the_final_record_is_not_lost_with_it() -> None:
    pipeline = a_pipeline()
    pipeline._remember(a_record(id="r1", state="open", loose_tasks=(a_loose_task("a"),)))

    record = pipeline._joined(a_record(id="r1", loose_tasks=(a_loose_task("b"),)))

    assert [task.id for task in record.loose_tasks] == ["a", "b"]


@pytest.mark.parametrize("record_id", [None, "gone"])
def test_a_loose_task_without_a_record_gets_one_of_the_process(record_id: str | None) -> None:
    report = a_pipeline().conclude(Amendment(record_id, {"loose_tasks": (a_loose_task("a"),)}))

    assert report is not None
    assert (report.record.kind, report.record.state) == ("process", "closed")
    assert report.record.id not in {"", record_id}
    assert [task.id for task in report.record.loose_tasks] == ["a"]


def test_a_subscriber_that_raises_does_not_keep_others_from_being_told() -> None:
    pipeline, told = a_pipeline(), []

    def broken(_reports, _new):
        raise ValueError("broken subscriber")

    pipeline.subscribe(broken)
    pipeline.subscribe(lambda reports, new: told.append((reports, new)))
    pipeline.keep([])

    assert len(told) == 1
