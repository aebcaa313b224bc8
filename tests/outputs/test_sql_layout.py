"""How statements are broken into lines."""

import time

import pytest

from fastapi_diagnostics.outputs.dashboard.sql_layout import laid_out


@pytest.mark.parametrize(
    ("statement", "lines"),
    [
        (
            "SELECT a.id FROM a LEFT OUTER JOIN b ON b.id = a.b_id WHERE a.x = ? AND a.y = ?",
            [
                "SELECT a.id",
                "FROM a",
                "LEFT OUTER JOIN b ON b.id = a.b_id",
                "WHERE a.x = ?",
                "  AND a.y = ?",
            ],
        ),
        (
            "SELECT id FROM a WHERE id IN (SELECT a_id FROM b WHERE x = ?) OR y = ?",
            [
                "SELECT id",
                "FROM a",
                "WHERE id IN (",
                "    SELECT a_id",
                "    FROM b",
                "    WHERE x = ?",
                "  )",
                "  OR y = ?",
            ],
        ),
        (
            "UPDATE a SET x = ? WHERE id BETWEEN ? AND ? AND y = ?",
            ["UPDATE a", "SET x = ?", "WHERE id BETWEEN ? AND ?", "  AND y = ?"],
        ),
        ("DELETE FROM a WHERE id = ?", ["DELETE FROM a", "WHERE id = ?"]),
        (
            "SELECT extract(year FROM d), max(CASE WHEN a AND b THEN 1 END) FROM t",
            ["SELECT extract(year FROM d), max(CASE WHEN a AND b THEN 1 END)", "FROM t"],
        ),
        (
            "INSERT INTO a (x) VALUES (?) ON CONFLICT (x) DO UPDATE SET x = excluded.x RETURNING x",
            [
                "INSERT INTO a (x)",
                "VALUES (?)",
                "ON CONFLICT (x) DO UPDATE SET x = excluded.x",
                "RETURNING x",
            ],
        ),
        ("SELECT 'a FROM b', \"from\" FROM t", ["SELECT 'a FROM b', \"from\"", "FROM t"]),
        ("PRAGMA foreign_keys", ["PRAGMA foreign_keys"]),
        ("", []),
    ],
)
def test_each_clause_has_its_line(statement, lines):
    assert laid_out(statement).split("\n") == (lines or [""])


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT " + ", ".join(f"t.column_{number}" for number in range(1_000)) + " FROM t",  # noqa: S608 - shown, not run
        "SELECT " + "(" * 4_000,
        "SELECT (" * 2_000,
        "'" * 16_000,
        "/*" * 8_000,
        "LEFT NATURAL GROUP " * 800,
        " " * 16_000 + "x",
        ")" * 16_000,
        "-- a\n" * 3_000,
    ],
    ids=range(9),
)
def test_any_text_keeps_its_words_and_takes_little_time(statement):
    began = time.process_time()

    shown = laid_out(statement)

    assert time.process_time() - began < 0.5
    assert "".join(shown.split()) == "".join(statement.split())
