"""TASK101 and TASK102 over records."""

from typing import Any

import pytest

from fastapi_diagnostics.record import ExceptionFact, Location, TaskRun
from fastapi_diagnostics.rules.tasks import background_task_never_ran, failed_background_task
from tests.builders import a_location, a_record

RAISED = a_location(file="app/tasks.py", line=20, function="send_mail", code="raise ValueError")
ADDED = a_location(file="app/orders.py", line=7, function="create", code="tasks.add_task(...)")
DEFINED = a_location(file="app/tasks.py", line=18, function="send_mail", code="")


def an_error(**changes: Any) -> ExceptionFact:
    defaults: dict[str, Any] = {
        "type": "ValueError",
        "message": "no such order",
        "phase": "background",
        "location": RAISED,
    }
    return ExceptionFact(**defaults | changes)


def a_failed_task(**changes: Any) -> TaskRun:
    defaults: dict[str, Any] = {
        "name": "send_mail",
        "state": "failed",
        "arguments": ("order_id=7",),
        "registered_at": ADDED,
        "defined_at": DEFINED,
        "started_ms": 5.0,
        "duration_ms": 1.0,
        "exception": 0,
        "after_response": True,
    }
    return TaskRun(**defaults | changes)


def a_lost_task(name: str, reason: Any = "earlier-task-failed", **changes: Any) -> TaskRun:
    defaults: dict[str, Any] = {"registered_at": ADDED, "cause": 0}
    return TaskRun(name=name, state="never-ran", reason=reason, **defaults | changes)


def test_a_failed_task_is_told_with_arguments_error_and_answer() -> None:
    record = a_record(tasks=(a_failed_task(),), exceptions=(an_error(),), status=201)

    (finding,) = failed_background_task.check(record)

    assert finding.location == RAISED
    assert finding.severity == "error"
    assert finding.confidence == "proven"
    assert finding.subject == "exceptions[0]"
    assert "send_mail(order_id=7) failed with ValueError: no such order" in finding.message
    assert "already received its answer (201)" in finding.message
    assert finding.evidence["task"] == "send_mail"
    assert finding.evidence["after_response"] is True
    assert finding.evidence["exception"] == {
        "type": "ValueError",
        "message": "no such order",
        "location": RAISED,
    }


def test_an_error_without_a_user_line_is_placed_where_the_task_is() -> None:
    def place(task: TaskRun) -> Location | None:
        record = a_record(tasks=(task,), exceptions=(an_error(location=None),))
        (finding,) = failed_background_task.check(record)
        return finding.location

    assert place(a_failed_task()) == DEFINED
    assert place(a_failed_task(defined_at=None)) == ADDED


@pytest.mark.parametrize(
    "task",
    [
        a_failed_task(state="done", exception=None),
        a_failed_task(state="running", exception=None),
        a_failed_task(exception=None),
        a_lost_task("update_stock", "exception"),
    ],
    ids=["done", "running", "cancelled", "never-ran"],
)
def test_tasks_that_did_not_fail_are_no_failed_tasks(task: TaskRun) -> None:
    record = a_record(tasks=(task,), exceptions=(an_error(),))

    assert list(failed_background_task.check(record)) == []


@pytest.mark.parametrize(
    ("uncallable", "words", "code"),
    [
        ("coroutine", "send_mail() was called where the function itself", "send_mail, ..."),
        ("NoneType", "got a value of NoneType in place of a function", "add_task(function, ...)"),
    ],
)
def test_a_result_in_place_of_a_function_is_told_where_it_was_added(uncallable, words, code):
    task = a_failed_task(uncallable=uncallable)
    behind = a_lost_task("notify")
    record = a_record(tasks=(task, behind), exceptions=(an_error(),))

    (finding,) = failed_background_task.check(record)
    (lost,) = background_task_never_ran.check(record)

    assert finding.location == ADDED
    assert words in finding.message
    assert finding.message.endswith("what the task had to do is lost.")
    assert (finding.fix.code, finding.fix.location) == (code, ADDED)
    assert lost.fix == finding.fix


def test_lost_tasks_are_one_finding_that_names_the_failed_one() -> None:
    record = a_record(
        tasks=(a_failed_task(), a_lost_task("update_stock"), a_lost_task("notify")),
        exceptions=(an_error(),),
    )

    (finding,) = background_task_never_ran.check(record)

    assert finding.location == ADDED
    assert finding.evidence["tasks"] == ["update_stock", "notify"]
    assert finding.evidence["reason"] == "earlier-task-failed"
    assert "update_stock() and notify() were added" in finding.message
    assert "send_mail() before them failed with ValueError: no such order" in finding.message
    assert "app/tasks.py:20" in finding.message
    assert finding.fix is not None
    assert finding.fix.location == DEFINED


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("exception", "ended with ValueError"),
        ("replaced", "background of its own"),
        ("stream-broken", "broke off with ValueError"),
        ("client-gone", "client was gone"),
    ],
)
def test_each_reason_has_its_words_and_its_cure(reason: str, words: str) -> None:
    record = a_record(tasks=(a_lost_task("notify", reason),), exceptions=(an_error(),))

    (finding,) = background_task_never_ran.check(record)

    assert words in finding.message
    assert finding.evidence["reason"] == reason
    assert finding.fix is not None
    assert finding.fix.code


def test_tasks_that_may_still_run_or_did_run_are_not_lost() -> None:
    tasks = tuple(TaskRun(name="notify", state=state) for state in ("pending", "running", "done"))

    assert list(background_task_never_ran.check(a_record(tasks=tasks))) == []
