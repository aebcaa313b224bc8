"""LOOP102: short stretches add up; few or cheap ones do not."""

import pytest

from fastapi_diagnostics.rules.loop.blocked_event_loop import check as blocked
from fastapi_diagnostics.rules.loop.many_short_blocks import check
from tests.builders import a_location, a_record
from tests.rules.loop.blocks import CALLER, HERE, a_block, shorts


def test_many_short_stretches_in_one_function_are_one_finding() -> None:
    record = a_record(route="GET /report", short_blocks=(shorts(12, 430.0),))

    (finding,) = check(record)

    assert finding.message == (
        "GET /report held the event loop 12 times for up to 45 ms, 430 ms in all, "
        "computing in `report`."
    )
    assert (finding.location, finding.severity) == (HERE, "warning")
    assert (finding.evidence["count"], finding.evidence["total_ms"]) == (12, 430.0)
    assert finding.evidence["victims"] == []


@pytest.mark.parametrize("innocent", [shorts(4, 190.0), shorts(9, 199.0), shorts(4, 230.0)])
def test_a_few_are_silent(innocent) -> None:
    assert list(check(a_record(short_blocks=(innocent,)))) == []


def test_a_line_that_blocks_anyway_is_reported_once() -> None:
    record = a_record(short_blocks=(shorts(12, 430.0),), blocks=(a_block(),))

    assert list(check(record)) == []
    assert [finding.rule for finding in blocked(record)] == ["LOOP101"]


def test_a_stretch_that_a_busy_machine_made_a_block_is_one_of_many() -> None:
    stretched = a_block(duration_ms=61.0)
    record = a_record(short_blocks=(shorts(12, 430.0),), blocks=(stretched,))

    (finding,) = check(record)

    assert (finding.evidence["count"], finding.evidence["total_ms"]) == (13, 491.0)
    assert "13 times for up to 61 ms, 491 ms in all" in finding.message
    assert list(blocked(record)) == []


def test_a_block_of_another_thread_is_not_one_of_them() -> None:
    held = a_block(kind="gil", thread="worker", duration_ms=61.0)
    record = a_record(short_blocks=(shorts(12, 430.0),), blocks=(held,))

    (finding,) = check(record)

    assert finding.evidence["count"] == 12


def test_two_functions_are_told_apart() -> None:
    record = a_record(short_blocks=(shorts(12, 430.0), shorts(8, 300.0, location=CALLER)))

    assert [finding.location for finding in check(record)] == [HERE, CALLER]


def test_the_lines_of_one_function_add_up_and_the_costliest_is_named() -> None:
    other = a_location(file=HERE.file, line=13, function=HERE.function)
    record = a_record(short_blocks=(shorts(4, 140.0), shorts(6, 210.0, location=other)))

    (finding,) = check(record)

    assert finding.location == other
    assert (finding.evidence["count"], finding.evidence["total_ms"]) == (10, 350.0)
