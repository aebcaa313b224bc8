"""LOOP201: who waited for a thread, who had them, and what not to spend one on."""

import pytest

from fastapi_diagnostics.record import ThreadHolder
from fastapi_diagnostics.rules.loop.threadpool_wait import check
from tests.builders import a_record
from tests.rules.loop.blocks import CALLER, ENDPOINT, a_thread_wait

BUSY = ThreadHolder(name="export", request_id="r9", route="GET /export", threads=38)


def only(**changes):
    waits = (a_thread_wait(**changes),)
    (finding,) = check(a_record(route="GET /report", thread_waits=waits, endpoint=CALLER))
    return finding


def test_the_sentence_says_how_long_for_what_and_who_had_them() -> None:
    finding = only(holders=(BUSY,))

    assert finding.message == (
        "GET /report waited 120 ms for a thread to run `report`: all 40 were taken, "
        "38 of them by GET /export (`export`)."
    )
    assert finding.location == ENDPOINT
    assert finding.evidence["waited_ms"] == 120.0
    assert finding.evidence["holders"] == [
        {"request_id": "r9", "route": "GET /export", "function": "export", "threads": 38}
    ]


@pytest.mark.parametrize(
    ("role", "code"),
    [
        ("endpoint", "anyio.to_thread.current_default_thread_limiter().total_tokens = 100"),
        ("dependency", "async def report("),
        ("class-dependency", "async def get_report(...) -> report:\n    return report(...)"),
    ],
)
def test_the_fix_depends_on_what_took_the_thread(role, code) -> None:
    assert only(role=role).fix.code == code


def test_waits_of_one_function_add_up() -> None:
    waits = (a_thread_wait(waited_ms=30.0), a_thread_wait(waited_ms=25.0))

    (finding,) = check(a_record(thread_waits=waits))

    assert (finding.evidence["waited_ms"], finding.evidence["count"]) == (55.0, 2)


def test_a_short_wait_is_silent() -> None:
    assert list(check(a_record(thread_waits=(a_thread_wait(waited_ms=49.0),)))) == []


def test_the_endpoint_stands_for_a_library() -> None:
    finding = only(location=None, name="open_file", role="other")

    assert finding.location == CALLER
    assert "no_user_frame" in finding.evidence


@pytest.mark.parametrize(("waited", "severity"), [(120.0, "warning"), (500.0, "error")])
def test_how_serious_it_is(waited, severity) -> None:
    assert only(waited_ms=waited).severity == severity
