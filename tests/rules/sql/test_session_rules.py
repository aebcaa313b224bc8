"""What the rules about sessions and connections conclude from facts alone."""

from typing import Any

import pytest

from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.record import (
    ConnectionHolder,
    FailedCommit,
    IdleConnection,
    LoopBlock,
    LooseTask,
    LostWrites,
    OpenConnection,
    PoolWait,
    RequestRecord,
    SessionClash,
    SessionReuse,
    TaskRun,
    Wait,
)
from fastapi_diagnostics.rules.catalogue import all_rules
from tests.builders import a_location, a_query, a_record

RULES = {loaded.rule.code: loaded.check for loaded in all_rules()}


def found(code: str, **facts: Any) -> list[Finding]:
    return list(RULES[code](a_record(**facts)))


def at(line: int) -> Any:
    return a_location(line=line)


# SQL203


def overlapping(**second: Any) -> tuple[Any, ...]:
    first = a_query(index=0, started_ms=1.0, duration_ms=2.0, connection=0, task=0)
    defaults = {"index": 1, "started_ms": 2.0, "duration_ms": 2.0, "connection": 0, "task": 1}
    return first, a_query(**defaults | second)


def test_overlapping_statements_of_two_tasks_on_one_connection() -> None:
    (finding,) = found("SQL203", queries=overlapping(location=at(20)))

    assert finding.location == at(20)
    assert "2 tasks" in finding.message


@pytest.mark.parametrize(
    "second",
    [{"task": 0}, {"connection": 1}, {"started_ms": 3.0}, {"started_ms": 2.995}],
    ids=["one task", "own connection", "one after the other", "rounding"],
)
def test_look_alikes_of_a_shared_session(second) -> None:
    assert found("SQL203", queries=overlapping(**second)) == []


def test_refusals_are_one_finding_and_those_while_closing_none() -> None:
    clash = SessionClash(error="concurrent operations", phase="endpoint", exception=0)
    later = SessionClash(error="again", phase="endpoint", exception=1)
    closing = SessionClash(error="close()", phase="endpoint", closing=True)

    (finding,) = found("SQL203", session_clashes=(clash, later, closing))

    assert (finding.subject, finding.also) == ("exceptions[0]", ("exceptions[1]",))
    assert found("SQL203", session_clashes=(closing,)) == []


# SQL301


def a_wait(**changes: Any) -> PoolWait:
    defaults: dict[str, Any] = {
        "started_ms": 1.0,
        "waited_ms": 120.0,
        "phase": "endpoint",
        "capacity": 2,
        "location": at(7),
    }
    return PoolWait(**defaults | changes)


def test_short_waits_add_up_at_a_line() -> None:
    assert found("SQL301", pool_waits=(a_wait(waited_ms=30.0),)) == []
    (finding,) = found("SQL301", pool_waits=(a_wait(waited_ms=30.0), a_wait(waited_ms=30.0)))

    assert (finding.evidence["waited_ms"], finding.severity) == (60.0, "warning")


@pytest.mark.parametrize("wait", [a_wait(waited_ms=600.0), a_wait(timed_out=True, exception=3)])
def test_long_waits_and_timeouts_are_errors(wait) -> None:
    (finding,) = found("SQL301", pool_waits=(wait,))

    assert finding.severity == "error"
    assert finding.subject == ("exceptions[3]" if wait.timed_out else "")


@pytest.mark.parametrize(
    ("holder", "words"),
    [
        (ConnectionHolder(own=True, held_ms=9.0), "session that this request has already"),
        (ConnectionHolder(route="GET /x", held_ms=100.0, idle_ms=90.0), "end its transaction"),
        (ConnectionHolder(route="GET /x", held_ms=100.0, idle_ms=5.0), "allow more"),
    ],
)
def test_the_fix_follows_what_the_holder_did(holder, words) -> None:
    (finding,) = found("SQL301", pool_waits=(a_wait(holders=(holder,)),))

    assert words in finding.fix.summary


# SQL302


def an_idle(**changes: Any) -> IdleConnection:
    defaults: dict[str, Any] = {
        "started_ms": 10.0,
        "idle_ms": 300.0,
        "phase": "endpoint",
        "waited_at": at(9),
        "in_transaction": True,
    }
    return IdleConnection(**defaults | changes)


def test_a_held_connection_is_an_error_once_rows_were_changed() -> None:
    (read,) = found("SQL302", idle_connections=(an_idle(),))
    (wrote,) = found("SQL302", idle_connections=(an_idle(writes=1), an_idle()))

    assert (read.severity, wrote.severity) == ("warning", "error")
    assert wrote.evidence["idle_ms"] == 600.0


@pytest.mark.parametrize(
    "changes", [{"streaming": True}, {"scarce": False}, {"database": 0.8}, {"idle_ms": 150.0}]
)
def test_look_alikes_of_holding(changes) -> None:
    assert found("SQL302", idle_connections=(an_idle(**changes),)) == []


def test_time_in_which_nobody_could_go_on_does_not_count() -> None:
    block = LoopBlock(
        id="b",
        kind="cpu",
        call="",
        started_at="",
        started_ms=50.0,
        duration_ms=150.0,
        phase="endpoint",
    )
    lost = Wait(block_id="b", culprit_id="r2", waited_ms=150.0)
    query = a_query(started_ms=20.0, duration_ms=150.0)

    for facts in ({"blocks": (block,)}, {"waits": (lost,)}, {"queries": (query,)}):
        assert found("SQL302", idle_connections=(an_idle(),), **facts) == []


# SQL303 and SQL304


def a_leak(**changes: Any) -> OpenConnection:
    defaults: dict[str, Any] = {
        "started_ms": 1.0,
        "held_ms": 5.0,
        "phase": "endpoint",
        "opened_at": at(3),
        "took_at": at(4),
    }
    return OpenConnection(**defaults | changes)


def a_reuse(**changes: Any) -> SessionReuse:
    defaults: dict[str, Any] = {
        "used_ms": 20.0,
        "closed_ms": 10.0,
        "phase": "background",
        "closed_phase": "endpoint",
        "used_at": at(30),
        "closed_at": at(3),
    }
    return SessionReuse(**defaults | changes)


def test_connections_of_one_line_are_one_finding() -> None:
    (finding,) = found("SQL303", open_connections=(a_leak(writes=2), a_leak()))

    assert finding.location == at(3)
    assert finding.evidence["connections"] == 2
    assert "2 statements that changed rows not committed" in finding.message


def test_a_leak_by_a_task_with_a_closed_session_is_the_other_rules_finding() -> None:
    facts = {
        "open_connections": (a_leak(closed_before=True, phase="background"),),
        "session_reuses": (a_reuse(),),
        "tasks": (TaskRun(name="thank", state="done", started_ms=15.0, duration_ms=10.0),),
    }

    (finding,) = found("SQL304", **facts)

    assert found("SQL303", **facts) == []
    assert finding.evidence["task"] == "thank"
    assert finding.evidence["connections_left"] == 1


@pytest.mark.parametrize(
    "changes",
    [{"phase": "endpoint"}, {"closed_again": True}, {"closed_phase": "background"}],
)
def test_look_alikes_of_use_after_close(changes) -> None:
    assert found("SQL304", session_reuses=(a_reuse(**changes),)) == []


def test_a_task_that_may_still_close_its_session_is_not_judged() -> None:
    assert found("SQL304", state="open", session_reuses=(a_reuse(),)) == []


# SQL305


def test_statements_on_the_loop_are_one_finding_per_engine() -> None:
    queries = tuple(a_query(index=n, on_loop=True, location=at(n + 1)) for n in range(3))

    (finding,) = found("SQL305", queries=queries)

    assert finding.subject == "blocks app/services.py:1"
    assert finding.also == ("blocks app/services.py:2", "blocks app/services.py:3")


@pytest.mark.parametrize(
    ("phase", "what"), [("dependencies", "the dependency"), ("endpoint", "the endpoint")]
)
def test_the_function_that_is_to_be_a_plain_def_is_told(phase, what) -> None:
    (finding,) = found("SQL305", queries=(a_query(on_loop=True, phase=phase, location=at(1)),))

    assert finding.fix.summary.startswith(f"Make {what} a plain `def`")


@pytest.mark.parametrize(
    "facts",
    [
        {"queries": (a_query(),)},
        {"queries": (a_query(on_loop=True, phase="startup"),)},
        {"queries": (a_query(on_loop=True),), "kind": "capture"},
    ],
)
def test_look_alikes_of_a_driver_on_the_loop(facts) -> None:
    assert found("SQL305", **facts) == []


# SQL306


LOST = LostWrites(phase="teardown", queries=(0,), statements=1, opened_at=at(3))
PENDING = LostWrites(phase="teardown", added=("Book",), added_at=at(8), opened_at=at(3))
INSERT = a_query(verb="INSERT", location=at(12))


def lost(*facts: LostWrites, **changes: Any) -> list[Finding]:
    return found("SQL306", queries=(INSERT,), lost_writes=facts, **{"method": "POST"} | changes)


def test_lost_statements_stand_for_what_was_pending_in_the_same_session() -> None:
    (finding,) = lost(PENDING, LOST)

    assert (finding.location, finding.confidence) == (at(12), "proven")


@pytest.mark.parametrize("changes", [{"status": 409}, {"status": None}, {"kind": "capture"}])
def test_nothing_is_lost_that_was_not_promised(changes) -> None:
    assert lost(LOST, **changes) == []


def test_added_objects_are_likely_meant_to_be_written_by_methods_that_change() -> None:
    (finding,) = lost(PENDING)

    assert (finding.confidence, finding.severity) == ("likely", "warning")
    assert lost(PENDING, method="GET") == []


def test_a_commit_that_was_called_and_not_awaited_is_told_as_that_alone() -> None:
    defaults: dict[str, Any] = {"id": "a", "kind": "never-awaited", "at": "2026-11-22T10:00:01Z"}
    commit = LooseTask(name="AsyncSession.commit", **defaults)
    other = LooseTask(name="notify", **defaults)

    assert lost(PENDING, loose_tasks=(commit,)) == []
    assert len(lost(PENDING, loose_tasks=(other,))) == 1


# SQL307


def a_failure(**changes: Any) -> FailedCommit:
    defaults: dict[str, Any] = {
        "phase": "teardown",
        "error": "IntegrityError: twice",
        "location": at(5),
        "answered": True,
    }
    return FailedCommit(**defaults | changes)


def test_a_late_failure_is_found_also_when_it_was_caught() -> None:
    (seen,) = found("SQL307", failed_commits=(a_failure(exception=0),))
    (caught,) = found("SQL307", failed_commits=(a_failure(),))

    assert seen.subject == "exceptions[0]"
    assert "caught" in caught.message


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"answered": False}, 200),
        ({"repeated": True}, 200),
        ({"phase": "background"}, 200),
        ({}, 500),
    ],
)
def test_look_alikes_of_a_late_commit(changes, status) -> None:
    assert found("SQL307", failed_commits=(a_failure(**changes),), status=status) == []


def test_none_of_them_needs_more_than_its_facts() -> None:
    record = RequestRecord(id="r", kind="http", state="closed", started_at="", duration_ms=1.0)

    for code in ("SQL202", "SQL203", *(f"SQL30{n}" for n in range(1, 8))):
        assert list(RULES[code](record)) == []
