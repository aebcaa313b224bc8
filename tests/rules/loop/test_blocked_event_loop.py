"""LOOP101 over hand-made records: one finding a line, how serious, and what to write."""

from typing import Any

import pytest

from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.record import Frame, HotLine, LoopBlock, Victim
from fastapi_diagnostics.rules.loop._cures import CURES
from fastapi_diagnostics.rules.loop.blocked_event_loop import check
from tests.builders import a_location, a_record

HERE = a_location(file="app/service.py", line=12, function="report")
CALLER = a_location(file="app/routes.py", line=40, function="get_report")


def a_block(**changes: Any) -> LoopBlock:
    defaults: dict[str, Any] = {
        "id": "b1",
        "kind": "sleep",
        "call": "time.sleep",
        "started_at": "2026-01-01T00:00:00.000000Z",
        "started_ms": 1.0,
        "duration_ms": 412.3,
        "phase": "endpoint",
        "location": HERE,
        "coroutine": HERE,
        "stack": (Frame(location=HERE),),
        "hot_lines": (HotLine(file="app/service.py", line=12, ms=412.0),),
    }
    return LoopBlock(**defaults | changes)


def a_victim(number: int, waited_ms: float = 300.0, **changes: Any) -> Victim:
    return Victim(request_id=f"v{number}", route="GET /fast", waited_ms=waited_ms, **changes)


def findings(*blocks: LoopBlock, **changes: Any) -> list[Finding]:
    return list(check(a_record(route="GET /report", blocks=blocks, **changes)))


def only(*blocks: LoopBlock, **changes: Any) -> Finding:
    (finding,) = findings(*blocks, **changes)
    return finding


def test_the_sentence_says_who_how_long_where_and_who_waited() -> None:
    finding = only(a_block(victims=(a_victim(1), a_victim(2), a_victim(3))))

    assert finding.message == (
        "GET /report held the event loop for 412 ms at `time.sleep(...)`; 3 other requests waited."
    )
    assert finding.location == HERE
    assert finding.cause == "time.sleep"
    assert finding.confidence == "proven"


def test_the_evidence_has_the_promised_keys() -> None:
    evidence = only(a_block(victims=(a_victim(1, at_most=True),))).evidence

    assert evidence["kind"] == "sleep"
    assert evidence["call"] == "time.sleep"
    assert evidence["duration_ms"] == 412.3
    assert evidence["started_at"] == "2026-01-01T00:00:00.000000Z"
    assert evidence["hot_lines"] == [{"file": "app/service.py", "line": 12, "ms": 412.0}]
    assert evidence["victims"] == [
        {"request_id": "v1", "route": "GET /fast", "waited_ms": 300.0, "at_most": True}
    ]


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"duration_ms": 60.0}, "warning"),
        ({"duration_ms": 100.0}, "error"),
        ({"duration_ms": 60.0, "victims": (a_victim(1, 40.0),)}, "error"),
        ({"kind": "import", "first_call": True}, "info"),
        ({"kind": "validation", "first_call": True, "builds": True}, "info"),
        ({"kind": "validation", "first_call": True}, "error"),
        ({"kind": "validation", "builds": True}, "error"),
        ({"kind": "import", "first_call": False}, "error"),
        ({"kind": "sleep", "first_call": True}, "error"),
    ],
)
def test_how_serious_it_is(changes, severity) -> None:
    assert only(a_block(**changes)).severity == severity


def test_several_blocks_of_one_line_are_one_finding() -> None:
    finding = only(
        a_block(id="b1", duration_ms=60.0, victims=(a_victim(1, 10.0),)),
        a_block(id="b2", duration_ms=80.0, victims=(a_victim(1, 20.0), a_victim(2, 5.0))),
    )

    assert "2 times, for 140 ms in all" in finding.message
    assert (finding.evidence["count"], finding.evidence["total_ms"]) == (2, 140.0)
    assert finding.evidence["duration_ms"] == 80.0
    assert [(v["request_id"], v["waited_ms"]) for v in finding.evidence["victims"]] == [
        ("v1", 30.0),
        ("v2", 5.0),
    ]


@pytest.mark.parametrize(
    ("kind", "calls", "causes"),
    [("cpu", ("sum", "range"), 1), ("sleep", ("a.sleep", "b.sleep"), 2)],
)
def test_chance_decides_which_call_of_a_computing_line_is_seen(kind, calls, causes) -> None:
    found = [only(a_block(kind=kind, call=call)) for call in calls]

    assert len({finding.cause for finding in found}) == causes


def test_blocks_at_two_lines_are_two_findings() -> None:
    assert len(findings(a_block(), a_block(location=CALLER))) == 2


@pytest.mark.parametrize(
    "innocent",
    [
        a_block(kind="unknown", call="", location=None, coroutine=None, stack=()),
        a_block(kind="cpu", call="", location=None, coroutine=None, stack=(), phase="dependencies"),
        a_block(kind="gil", call="", location=None, coroutine=None, stack=()),
        a_block(kind="gil"),
    ],
    ids=["unknown", "cpu-without-line", "gil-without-line", "gil"],
)
def test_what_is_nobodys_line_is_no_finding(innocent) -> None:
    assert findings(innocent, endpoint=CALLER) == []


def test_where_nobody_could_look_the_endpoint_stands_for_its_line() -> None:
    block = a_block(kind="cpu", call="", location=None, coroutine=None, stack=(), hot_lines=())

    finding = only(block, endpoint=CALLER)

    assert (finding.location, finding.confidence) == (CALLER, "likely")
    assert "nobody saw the line" in finding.message
    assert "no_user_frame" in finding.evidence


def test_a_task_that_outlives_its_request_is_named_as_one() -> None:
    finding = only(a_block(phase="outside"))

    assert finding.message.startswith("A task started by GET /report held the event loop for")


def test_the_endpoint_stands_for_the_serialisation_of_its_response() -> None:
    block = a_block(
        kind="validation", call="", location=None, coroutine=None, stack=(), phase="serialisation"
    )

    finding = only(block, endpoint=CALLER)

    assert finding.location == CALLER
    assert "no_user_frame" in finding.evidence


def test_a_call_in_the_coroutine_is_replaced_in_place() -> None:
    fix = only(a_block()).fix

    assert fix.code == "await asyncio.sleep(...)"
    assert fix.location == HERE


def test_a_call_in_a_plain_helper_is_mended_where_await_can_be_written() -> None:
    block = a_block(coroutine=CALLER, stack=(Frame(location=HERE), Frame(location=CALLER)))

    fix = only(block).fix

    assert fix.code == "await run_in_threadpool(report, ...)"
    assert fix.location == CALLER


def test_a_hash_goes_to_a_thread_by_its_name() -> None:
    fix = only(a_block(kind="password-hash", call="bcrypt.hashpw", written="hashpw")).fix

    assert fix.code == "await run_in_threadpool(hashpw, ...)"


@pytest.mark.parametrize("kind", ["json", "pickle", "regex", "validation"])
def test_where_the_gil_is_kept_no_thread_is_advised(kind) -> None:
    fix = only(a_block(kind=kind, call="")).fix

    assert "A thread does not help" in fix.summary
    assert "run_in_threadpool" not in fix.code


@pytest.mark.parametrize("kind", [*CURES, "something-new", "unknown"])
def test_every_kind_has_words(kind) -> None:
    finding = only(a_block(kind=kind, call=""))

    assert "held the event loop for 412 ms" in finding.message
    assert finding.fix.summary.endswith(".")
    assert "{" not in finding.fix.code


def test_the_first_request_of_a_route_is_said_to_be_one() -> None:
    message = only(a_block(kind="import", call="", first_call=True)).message

    assert "it was the first request of this route" in message


def test_the_share_of_the_garbage_collector_is_told() -> None:
    finding = only(a_block(kind="json", call="json.loads", gc_ms=250.0))

    assert "; 250 ms of it went to the garbage collector." in finding.message
    assert finding.evidence["gc_ms"] == 250.0


def test_a_block_that_is_not_over_says_so() -> None:
    finding = only(a_block(duration_ms=10_050.0, ended=False))

    assert finding.message == (
        "GET /report has held the event loop for 10 s at `time.sleep(...)`, "
        "and has not let go of it yet."
    )
