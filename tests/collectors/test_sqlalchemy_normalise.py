"""Statements as they are compared and shown."""

import time

import pytest

from fastapi_diagnostics.collectors.sqlalchemy.normalise import MAX_SQL, normalise


@pytest.mark.parametrize(
    ("raw", "dialect", "normal"),
    [
        ("SELECT a1.x FROM a1 WHERE a1.id = 12", "sqlite", "SELECT a1.x FROM a1 WHERE a1.id = ?"),
        ("SELECT 'it''s', \"co'l\" FROM t", "sqlite", 'SELECT ?, "co\'l" FROM t'),
        ("SELECT 1 -- who's\nFROM t /* 'x */", "sqlite", "SELECT ? FROM t"),
        ("x = 'C:\\' AND y = 'z'", "postgresql", "x = ? AND y = ?"),
        ("x = 'it\\'s' AND y = \"z\"", "mysql", "x = ? AND y = ?"),
        ("x = E'it\\'s' AND y = 'z'", "postgresql", "x = ? AND y = ?"),
        ("x = $a$it's$a$ AND y = $$z$$", "postgresql", "x = ? AND y = ?"),
        ("x = $1::INTEGER AND y = $2::VARCHAR(9)", "postgresql", "x = ? AND y = ?"),
        ("t < $1::TIMESTAMP WITHOUT TIME ZONE", "postgresql", "t < ?"),
        ("x = %(id_1)s AND y = %s AND z = :z", "postgresql", "x = ? AND y = ? AND z = ?"),
        ("a::int = 1.5e3 AND b = 0x1F", "postgresql", "a::int = ? AND b = ?"),
        ("x IN (?, ?, ?)", "sqlite", "x IN (?)"),
        ("x IN (1,2, 3)", "sqlite", "x IN (?)"),
        ("(a, b) IN ((?, ?), (?, ?))", "sqlite", "(a, b) IN ((?, ?))"),
        ("VALUES (?, lower(?)), (?, lower(?))", "sqlite", "VALUES (?, lower(?))"),
        ("x = 'open", "sqlite", "x = ?"),
        ("x = /* open", "sqlite", "x ="),
    ],
)
def test_literals_and_placeholders_become_marks(raw, dialect, normal) -> None:
    assert normalise(raw, dialect).sql == normal


@pytest.mark.parametrize(
    ("raw", "verb"),
    [
        ("select 1", "SELECT"),
        ("(SELECT 1) UNION (SELECT 2)", "SELECT"),
        ("/* c */ Insert INTO t VALUES (1)", "INSERT"),
        ("WITH a AS (SELECT 1) SELECT * FROM a FOR UPDATE", "SELECT"),
        ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", "DELETE"),
        ("", ""),
    ],
)
def test_verbs(raw, verb) -> None:
    assert normalise(raw, "postgresql").verb == verb


@pytest.mark.parametrize(
    ("raw", "batch"),
    [
        ("x IN (?, ?)", True),
        ("x IN (?)", False),
        ("x IN (SELECT y FROM t)", False),
        ("(a, b) IN ((?, ?), (?, ?))", True),
        ("x = ANY($1)", True),
        ("x = ?", False),
    ],
)
def test_statements_that_serve_several_keys(raw, batch) -> None:
    assert normalise(raw, "postgresql").batch is batch


def test_written_out_values_tell_statements_apart() -> None:
    one, two, again = (normalise(f"x = {n}", "sqlite") for n in (1, 2, 1))

    assert one.sql == two.sql
    assert one.literals == again.literals != two.literals
    assert normalise("x = ?", "sqlite").literals == ""


@pytest.mark.parametrize(
    "piece", ["(", "'", "/*", "$a$", "(?, ", "(a (b) ", "IN (?, ", '"', "1", ":a ", "--", "E'\\"]
)
def test_long_statements_are_cut_in_linear_time(piece) -> None:
    raw = "SELECT " + piece * (200_000 // len(piece))

    started = time.process_time()
    normal = normalise(raw, "postgresql")

    assert len(normal.sql) <= MAX_SQL
    assert time.process_time() - started < 3
