"""LOOP103: another thread's line and request, and nothing where the thread is not known."""

from fastapi_diagnostics.rules.loop import blocked_event_loop
from fastapi_diagnostics.rules.loop.gil_held_by_thread import check
from tests.builders import a_record
from tests.rules.loop.blocks import HERE, a_block, a_victim

HELD = a_block(
    kind="gil",
    call="re.Pattern.match",
    written="pattern.match",
    source="pattern.match(text)",
    thread="AnyIO worker thread",
    coroutine=None,
)


def test_the_thread_its_line_and_its_request_are_named() -> None:
    (finding,) = check(a_record(route="GET /scan", blocks=(HELD,)))

    assert finding.message == (
        "A thread of GET /scan (AnyIO worker thread) kept the GIL for 412 ms at "
        "`re.Pattern.match(...)`, and the event loop could not run."
    )
    assert (finding.location, finding.severity) == (HERE, "warning")
    assert finding.evidence["thread"] == "AnyIO worker thread"
    assert "A thread does not help" in finding.fix.summary


def test_what_another_process_can_be_sent_goes_there_without_await() -> None:
    held = a_block(
        kind="gil", call="json.loads", written="json.loads", source="json.loads(text)", thread="x"
    )

    (finding,) = check(a_record(blocks=(held,)))

    assert finding.fix.code == "process_pool.submit(json.loads, text).result()"
    assert finding.fix.replaces == "json.loads(text)"


def test_what_cannot_be_sent_needs_a_function_around_it() -> None:
    (finding,) = check(a_record(blocks=(HELD,)))  # a match cannot come back

    assert finding.fix.code == "process_pool.submit(work, ...).result()"
    assert "`work` is a function at the top of a module that you write" in finding.fix.summary
    assert finding.fix.replaces == ""


def test_it_is_an_error_where_a_request_waited() -> None:
    held = a_block(kind="gil", thread="indexer", victims=(a_victim(1),))

    (finding,) = check(a_record(blocks=(held,)))

    assert finding.severity == "error"
    assert "1 other request waited" in finding.message


def test_a_thread_of_no_request_is_nobodys() -> None:
    held = a_block(kind="gil", call="json.loads", thread="indexer")

    (finding,) = check(a_record(kind="process", route="", method="", path="", blocks=(held,)))

    assert finding.message.startswith("A thread (indexer) kept the GIL for 412 ms")


def test_an_unknown_thread_is_not_accused() -> None:
    blocks = (a_block(kind="gil"), a_block(kind="gil", thread="x", location=None))

    assert list(check(a_record(blocks=blocks))) == []


def test_it_is_not_told_twice() -> None:
    assert list(blocked_event_loop.check(a_record(blocks=(HELD,)))) == []
    assert list(check(a_record(blocks=(a_block(),)))) == []
