"""SQL106: slow statements, and what only looks slow."""

import time

import pytest
from sqlalchemy import event, select, text

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.record import Query
from fastapi_diagnostics.rules.sql.slow_query import check
from tests.builders import a_location, a_query, a_record
from tests.rules.sql.shop import Author, line_of, recorded


def slow_query(duration_ms: float = 400.0, **changes: object) -> Query:
    return a_query(duration_ms=duration_ms, own_ms=duration_ms, **changes)


def test_a_statement_that_takes_long_is_found_at_its_line(engine, hooks):
    event_loop.install(hooks)

    @event.listens_for(engine, "connect")
    def add_function(connection, _):
        connection.create_function("pause", 1, lambda seconds: time.sleep(seconds) or 1)

    engine.dispose()

    def use(s):
        s.execute(text("SELECT pause(0.2)")).scalar()  # slow
        s.execute(text("SELECT pause(0.0)")).scalar()

    (finding,) = recorded(engine, use).findings("SQL106")

    assert finding.severity == "warning"
    assert finding.location.line == line_of("slow", __file__)
    assert finding.evidence["slowest_ms"] >= 100
    assert finding.fix.code.startswith("EXPLAIN QUERY PLAN SELECT pause(?)")


def test_quick_ones_are_clean(engine, hooks):
    event_loop.install(hooks)

    assert recorded(engine, lambda s: s.scalars(select(Author)).all()).findings("SQL106") == []


def test_slow_runs_of_one_line_are_one_finding():
    queries = tuple(slow_query(150.0 + n, index=n) for n in range(3))

    (finding,) = check(a_record(queries=queries))

    assert finding.evidence["count"] == 3
    assert "took 152 ms, 1 row, the slowest of 3 such runs" in finding.message


def test_time_that_was_lost_in_waiting_is_taken_off():
    hardly = a_query(duration_ms=336.0, own_ms=320.0)
    mostly = a_query(duration_ms=336.0, own_ms=1.0)

    (finding,) = check(a_record(queries=(hardly,)))

    assert finding.evidence["slowest_ms"] == 320.0
    assert list(check(a_record(queries=(mostly,)))) == []


def test_what_nobody_watched_is_not_judged():
    assert list(check(a_record(queries=(a_query(duration_ms=336.0),)))) == []


@pytest.mark.parametrize(
    "changes", [{"phase": "background"}, {"phase": "startup"}], ids=["background", "startup"]
)
def test_where_nobody_waits_it_is_a_note(changes):
    (finding,) = check(a_record(queries=(slow_query(**changes),)))

    assert finding.severity == "info"


def test_a_lock_is_named_as_what_it_may_be():
    slow = slow_query(sql="SELECT a.id FROM a WHERE a.id = ? FOR UPDATE")

    (finding,) = check(a_record(queries=(slow,)))

    assert "locks" in finding.fix.summary


def test_schema_changes_are_passed_over():
    slow = slow_query(sql="CREATE TABLE a (id INTEGER)", verb="CREATE")

    assert list(check(a_record(queries=(slow,)))) == []


def test_without_a_user_frame_the_endpoint_stands_for_it():
    endpoint = a_location(line=3)
    slow = slow_query(location=None, phase="serialisation")

    (finding,) = check(a_record(queries=(slow,), endpoint=endpoint))

    assert finding.location == endpoint
