"""TASK103, TASK104 and TASK107 over records."""

from typing import Any

import pytest

from fastapi_diagnostics.record import ExceptionFact, LooseTask
from fastapi_diagnostics.rules.tasks import (
    coroutine_never_awaited,
    failed_fire_and_forget_task,
    task_destroyed_while_pending,
)
from tests.builders import a_location, a_record

STARTED = a_location(file="app/orders.py", line=7, function="create", code="")
DEFINED = a_location(file="app/tasks.py", line=18, function="notify", code="")
RAISED = a_location(file="app/tasks.py", line=20, function="notify", code="")
ERROR = ExceptionFact(type="ValueError", message="no such order", phase="outside", location=RAISED)
CHECKS = (
    failed_fire_and_forget_task.check,
    task_destroyed_while_pending.check,
    coroutine_never_awaited.check,
)


def a_loose_task(kind: Any, **changes: Any) -> LooseTask:
    defaults: dict[str, Any] = {
        "id": "a-1",
        "name": "Shop.notify",
        "at": "2026-11-22T10:00:01.000000Z",
        "created_at": STARTED,
        "defined_at": DEFINED,
        "exception": ERROR if kind == "failed" else None,
    }
    return LooseTask(kind=kind, **defaults | changes)


def test_a_failed_task_is_told_at_the_line_that_started_it() -> None:
    task = a_loose_task("failed", after_response=True)

    (finding,) = failed_fire_and_forget_task.check(a_record(loose_tasks=(task,)))

    assert finding.location == STARTED
    assert finding.severity == "error"
    assert finding.confidence == "proven"
    assert "Shop.notify(), started at app/orders.py:7," in finding.message
    assert "failed with ValueError: no such order at app/tasks.py:20" in finding.message
    assert "The client had its answer (200) regardless." in finding.message
    assert finding.evidence["task"] == "Shop.notify"
    assert finding.evidence["after_response"] is True
    assert finding.evidence["exception"] == {
        "type": "ValueError",
        "message": "no such order",
        "location": RAISED,
    }


def test_a_failed_task_of_a_library_that_runs_user_code_is_told_where_it_raised() -> None:
    task = a_loose_task("failed", created_at=None)

    (finding,) = failed_fire_and_forget_task.check(a_record(loose_tasks=(task,)))

    assert finding.location == RAISED
    assert "started at" not in finding.message


def test_a_failed_task_of_no_request_says_nothing_of_a_client() -> None:
    task = a_loose_task("failed", after_response=True)

    (finding,) = failed_fire_and_forget_task.check(
        a_record(kind="process", status=None, loose_tasks=(task,))
    )

    assert "client" not in finding.message


def test_a_destroyed_task_is_told_at_the_line_that_started_it() -> None:
    task = a_loose_task("destroyed")

    (finding,) = task_destroyed_while_pending.check(a_record(loose_tasks=(task,)))

    assert finding.location == STARTED
    assert "nothing held a reference" in finding.message
    assert finding.fix is not None
    assert "create_task(notify(...))" in finding.fix.code


def test_a_coroutine_is_told_at_the_call_that_made_it() -> None:
    task = a_loose_task("never-awaited")

    (finding,) = coroutine_never_awaited.check(a_record(loose_tasks=(task,)))

    assert finding.location == STARTED
    assert finding.confidence == "proven"
    assert "Shop.notify() was called at app/orders.py:7 and was never awaited" in finding.message
    assert finding.fix is not None
    assert (finding.fix.code, finding.fix.replaces) == ("await notify(...)", "notify(...)")
    assert "BackgroundTasks: add_task(notify, ...)" in finding.fix.summary


def test_a_coroutine_of_a_library_is_only_to_be_awaited() -> None:
    task = a_loose_task("never-awaited", name="AsyncSession.commit", defined_at=None)

    (finding,) = coroutine_never_awaited.check(a_record(loose_tasks=(task,)))

    assert finding.fix is not None
    assert finding.fix.summary == "Put await before the call of commit()."


@pytest.mark.parametrize(
    ("tasks", "also"),
    [
        ((a_loose_task("never-awaited"),), ("exceptions[0]",)),
        ((a_loose_task("never-awaited", created_at=None),), ()),
        ((a_loose_task("never-awaited"), a_loose_task("never-awaited", id="a-2")), ()),
    ],
)
def test_an_error_that_came_of_it_is_the_same_defect_where_that_is_certain(tasks, also) -> None:
    error = ExceptionFact(
        type="TypeError", message="'coroutine' object is not iterable", phase="endpoint"
    )
    record = a_record(loose_tasks=tasks, exceptions=(error,), status=500)

    finding, *_ = coroutine_never_awaited.check(record)

    assert finding.also == also
    assert ("The request was answered with 500 for it." in finding.message) == bool(also)


def test_a_concluded_line_is_only_likely() -> None:
    task = a_loose_task("never-awaited", exact=False)

    (finding,) = coroutine_never_awaited.check(a_record(loose_tasks=(task,)))

    assert finding.confidence == "likely"


def test_without_a_line_the_definition_stands_for_it_and_the_fact_is_certain() -> None:
    task = a_loose_task("never-awaited", created_at=None)

    (finding,) = coroutine_never_awaited.check(a_record(loose_tasks=(task,)))

    assert (finding.location, finding.confidence) == (DEFINED, "proven")
    assert finding.message == "Shop.notify() was never awaited, so nothing of it ever ran."


@pytest.mark.parametrize("kind", ["failed", "destroyed", "never-awaited"])
def test_each_kind_is_the_matter_of_one_rule(kind: Any) -> None:
    record = a_record(loose_tasks=(a_loose_task(kind),))

    found = [finding.rule for check in CHECKS for finding in check(record)]

    assert len(found) == 1
