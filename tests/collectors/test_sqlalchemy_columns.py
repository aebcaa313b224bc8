"""Columns of bound values are found in the text of a statement; the time grows with its length."""

import time

import pytest

from fastapi_diagnostics.collectors.sqlalchemy.columns import secret_columns


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        ("UPDATE users SET api_key=? WHERE id=?", ("api_key", "")),
        ("SELECT * FROM u WHERE lower(u.password) = ? AND id = ?", ("password", "")),
        ("SELECT 1 FROM u WHERE u.password = lower(:p)", ("password",)),
        ("SELECT 1 FROM u WHERE cast(api_key AS text) = %s", ("api_key",)),
        ("SELECT 1 FROM u WHERE token::text = $1::text AND x = $2", ("token", "")),
        ("SELECT 1 FROM u WHERE ? = u.password", ("password",)),
        ("SELECT 1 FROM u WHERE token IN (?, ?) AND id IN (?, ?)", ("token", "token", "", "")),
        ('UPDATE u SET "password" = %(p)s', ("password",)),
        ("INSERT INTO u (name, password) VALUES (?, ?), (?, ?)", ("", "password", "", "password")),
        ("INSERT INTO u (name, password) VALUES (?, hash(?, 1))", ("", "password")),
        ("SELECT 'password = ?', x FROM u WHERE token = ?", ("token",)),
        ("-- password = ?\nSELECT 1 FROM u WHERE token = ?", ("token",)),
        ("SELECT password FROM u WHERE name = ? LIMIT ?", ()),
        ("SELECT name FROM u WHERE name = ?", ()),
        ("", ()),
    ],
)
def test_the_columns_of_secrets_are_found(statement, columns) -> None:
    assert secret_columns(statement)[1] == columns


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO u (name, password) VALUES " + ", ".join(["(?, ?)"] * 8000),  # noqa: S608
        "INSERT INTO u (" + "a," * 10_000 + "password) VALUES (" + "?," * 10_001,
        "SELECT password " + "((((password" * 5000 + "=?",
        "INSERT password " * 4000,
        "SELECT password " + "a ) " * 15_000 + "= ?",
        "password /*" * 6000,
        "password '" + "'" * 60_001,
    ],
    ids=lambda statement: statement[:20],
)
def test_the_time_grows_with_the_length_only(statement) -> None:
    began = time.thread_time()

    secret_columns.__wrapped__(statement)

    assert time.thread_time() - began < 0.5  # it takes a few ms; squared it would be seconds
