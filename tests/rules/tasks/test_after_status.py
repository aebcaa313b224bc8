"""TASK105 and TASK106 over records."""

from typing import Any

import pytest

from fastapi_diagnostics.record import (
    BrokenStream,
    DependencyRun,
    ExceptionFact,
    Frame,
    Location,
    TaskRun,
)
from fastapi_diagnostics.rules.tasks import failed_response_stream, failed_teardown
from tests.builders import a_location, a_record

COMMIT = a_location(file="app/db.py", line=30, function="Session.commit", code="")
YIELD = a_location(file="app/db.py", line=12, function="get_db", code="")


def a_dependency(name: str = "get_db", **changes: Any) -> DependencyRun:
    return DependencyRun(name=name, started_ms=1.0, duration_ms=1.0, **changes)


def an_error(*places: Location, **changes: Any) -> ExceptionFact:
    defaults: dict[str, Any] = {
        "type": "ValueError",
        "message": "the commit failed",
        "phase": "teardown",
        "location": places[0] if places else None,
        "stack": tuple(Frame(location=place) for place in places),
        "answered": True,
    }
    return ExceptionFact(**defaults | changes)


def teardown_findings(error: ExceptionFact, **changes: Any) -> list[Any]:
    defaults = {"dependencies": (a_dependency(),), "exceptions": (error,)}
    return list(failed_teardown.check(a_record(**defaults | changes)))


def test_a_failed_teardown_names_the_dependency_and_the_line() -> None:
    (finding,) = teardown_findings(an_error(COMMIT, YIELD))

    assert finding.location == COMMIT
    assert finding.evidence["task"] == "get_db"
    assert finding.evidence["after_response"] is True
    assert finding.evidence["exception"]["location"] == COMMIT
    assert finding.subject == "exceptions[0]"
    assert "teardown of the dependency get_db() failed with ValueError" in finding.message
    assert "already received its answer (200)" in finding.message


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("app_of.<locals>.get_db", "get_db"),
        ("Session.__call__", "Session"),
        ("Shop.session", "Shop.session"),
        ("get_db", "get_db (overrides real_db)"),
    ],
)
def test_dependencies_of_every_kind_are_recognised(function: str, name: str) -> None:
    place = a_location(function=function)

    assert teardown_findings(an_error(place), dependencies=(a_dependency(name),))


@pytest.mark.parametrize("phase", ["response", "background", "teardown"])
def test_behind_some_middleware_the_phase_may_be_another(phase: Any) -> None:
    assert teardown_findings(an_error(YIELD, phase=phase))


@pytest.mark.parametrize(
    "error",
    [
        an_error(YIELD, phase="dependencies"),
        an_error(YIELD, phase="endpoint"),
        an_error(YIELD, phase="response", answered=False),
        an_error(a_location(function="my_middleware")),
        an_error(),
    ],
    ids=["before-the-yield", "endpoint", "before-the-answer", "middleware", "no-user-line"],
)
def test_what_is_no_teardown_is_not_called_one(error: ExceptionFact) -> None:
    assert teardown_findings(error) == []


def test_what_a_task_or_a_stream_raised_is_their_matter() -> None:
    error = an_error(YIELD)
    task = TaskRun(name="mail", state="failed", exception=0)
    stream = BrokenStream(response="StreamingResponse", exception=0)

    assert teardown_findings(error, tasks=(task,)) == []
    assert teardown_findings(error, broken_streams=(stream,)) == []


def test_what_a_dependency_makes_of_a_failed_task_is_no_second_defect() -> None:
    first = an_error(a_location(function="mail"), message="no such order", phase="background")
    second = an_error(YIELD, causes=("ValueError: no such order",))
    task = TaskRun(name="mail", state="failed", exception=0)

    assert teardown_findings(first, exceptions=(first, second), tasks=(task,)) == []


def a_broken_stream(*errors: ExceptionFact, **changes: Any) -> list[Any]:
    stream = BrokenStream(response="StreamingResponse", exception=len(errors) - 1)
    return list(
        failed_response_stream.check(
            a_record(exceptions=errors, broken_streams=(stream,), **changes)
        )
    )


def test_a_broken_stream_names_the_generator_and_the_line() -> None:
    inner = a_location(file="app/rows.py", line=9, function="load", code="")
    outer = a_location(file="app/rows.py", line=4, function="export.<locals>.rows", code="")

    (finding,) = a_broken_stream(an_error(inner, outer, phase="response"))

    assert finding.location == inner
    assert finding.evidence["task"] == "rows"
    assert finding.evidence["response"] == "StreamingResponse"
    assert "The response (200) broke off because rows() failed with ValueError" in finding.message


def test_a_broken_stream_without_a_user_line_is_placed_at_the_endpoint() -> None:
    endpoint = a_location(function="export")

    (finding,) = a_broken_stream(an_error(phase="response"), endpoint=endpoint)

    assert finding.location == endpoint
    assert finding.evidence["task"] == "StreamingResponse"


def test_an_exception_while_sending_alone_is_no_broken_stream() -> None:
    record = a_record(exceptions=(an_error(YIELD, phase="response"),))

    assert list(failed_response_stream.check(record)) == []
