"""LOOP104: a note about the lifespan, and only about the lifespan."""

from fastapi_diagnostics.rules.loop import blocked_event_loop
from fastapi_diagnostics.rules.loop.blocked_at_startup import check
from tests.builders import a_record
from tests.rules.loop.blocks import HERE, a_block

AT_START = a_block(phase="startup")


def test_a_sleep_in_the_lifespan_is_a_note() -> None:
    record = a_record(kind="process", name="startup", blocks=(AT_START,))

    (finding,) = check(record)

    assert finding.message == "Start-up held the event loop for 412 ms at `time.sleep(...)`."
    assert (finding.location, finding.severity) == (HERE, "info")
    assert list(blocked_event_loop.check(record)) == []


def test_what_is_over_at_once_is_silent() -> None:
    record = a_record(blocks=(a_block(phase="startup", duration_ms=90.0),))

    assert list(check(record)) == []


def test_a_request_is_none_of_its_business() -> None:
    assert list(check(a_record(blocks=(a_block(),)))) == []
