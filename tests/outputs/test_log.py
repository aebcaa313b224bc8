"""The log: one event for each new finding, a repeat at most once a minute."""

import logging

import pytest
import structlog

from fastapi_diagnostics.outputs.log import FindingLog, log_store_problem
from tests.builders import a_finding, a_report

LINK = "http://localhost/_diagnostics/findings/{}".format


class Clock:
    """A clock turned by hand, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock, caplog) -> FindingLog:
    caplog.set_level(logging.DEBUG)
    return FindingLog(clock=clock, link=LINK)


def test_a_finding_is_one_readable_line_with_its_link(log, caplog) -> None:
    log([a_report(a_finding())], frozenset({"f1"}))

    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "SQL101 n-plus-one-relationship at app/services.py:12: Book.author was loaded 20 times, "
        "once for each of 20 books. http://localhost/_diagnostics/findings/f1"
    )


def test_its_facts_are_attributes_of_the_record(log, caplog) -> None:
    log([a_report(a_finding())], frozenset({"f1"}))

    [record] = caplog.records
    assert (record.rule, record.severity, record.route) == ("SQL101", "warning", "GET /books")
    assert (record.location, record.request_id, record.count) == ("app/services.py:12", "r1", 1)


def test_a_repeat_is_logged_once_a_minute_with_its_count(log, clock, caplog) -> None:
    for number in range(4):
        log([a_report(a_finding(), id=f"r{number}")], frozenset())
    clock.now += 61
    log([a_report(a_finding(), id="r9")], frozenset())

    assert [record.count for record in caplog.records] == [1, 4]


def test_a_record_stored_again_at_its_close_is_no_repeat(log, clock, caplog) -> None:
    log([a_report(a_finding(), state="open")], frozenset({"f1"}))
    clock.now += 61
    log([a_report(a_finding(), state="closed")], frozenset())

    assert len(caplog.records) == 1


def test_notes_are_not_logged(log, caplog) -> None:
    log([a_report(a_finding(severity="info"))], frozenset({"f1"}))

    assert caplog.records == []


def test_errors_are_logged_as_warnings_so_that_no_alarm_is_raised(log, caplog) -> None:
    log([a_report(a_finding(severity="error"))], frozenset({"f1"}))

    [record] = caplog.records
    assert (record.levelno, record.severity) == (logging.WARNING, "error")


def test_hostile_text_stays_on_one_line(log, caplog) -> None:
    log([a_report(a_finding(message="first\nERROR second\x1b[2J"))], frozenset({"f1"}))

    assert "\n" not in caplog.records[0].getMessage()
    assert "\x1b" not in caplog.records[0].getMessage()


def test_a_configured_structlog_gets_the_event_with_its_keys(log) -> None:
    structlog.configure(processors=[structlog.testing.LogCapture()])
    try:
        log([a_report(a_finding())], frozenset({"f1"}))
        [entry] = structlog.get_config()["processors"][0].entries
    finally:
        structlog.reset_defaults()

    assert entry["event"] == "n-plus-one-relationship"
    assert entry["log_level"] == "warning"
    keys = "rule severity route location request_id count duration_ms fix url"
    assert set(keys.split()) <= set(entry)


def test_a_store_that_is_not_as_wished_is_a_warning_with_a_link(caplog) -> None:
    log_store_problem("kept.db is locked by another process.", "/_diagnostics/status")

    [record] = caplog.records
    assert (record.name, record.levelno) == ("fastapi_diagnostics", logging.WARNING)
    assert record.getMessage() == "kept.db is locked by another process. /_diagnostics/status"
    assert record.event == "store-problem"


def test_a_store_that_is_not_as_wished_is_told_to_structlog_too() -> None:
    with structlog.testing.capture_logs() as events:
        structlog.configure(processors=structlog.get_config()["processors"])
        log_store_problem("kept.db is locked by another process.", "/_diagnostics/status")
    structlog.reset_defaults()

    assert [(event["event"], event["log_level"]) for event in events] == [
        ("store-problem", "warning")
    ]
