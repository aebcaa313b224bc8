"""What the worker spends on a request with a thousand statements: issue 3 allows 10 ms."""

import time

import pytest
from sqlalchemy import select, text

from fastapi_diagnostics.pipeline import Pipeline
from fastapi_diagnostics.rules.catalogue import all_rules
from fastapi_diagnostics.rules.ledger import with_ledger
from fastapi_diagnostics.worker import Worker
from tests.pace import slowness
from tests.rules.sql.shop import Author, Book, Shelf, recorded

STATEMENTS = 1000
MOST_MS = 10.0
TRIES = 9
"""Other processes take away caches and clock speed, so the best of a few counts, each measured in
what the machine does just then; a rule that looks at pairs of statements misses by far anyway."""


def lookups(session):
    for number in range(500):
        session.scalar(select(Book.title).where(Book.id == number))
    for number in range(500):
        session.scalar(select(Author.name).where(Author.id == number % 7))


def different_statements(session):
    for number in range(STATEMENTS):
        session.scalar(text(f"SELECT {number} AS n{number}, name FROM author WHERE id = 1"))  # noqa: S608


def writes(session):
    for number in range(500):
        session.add(Shelf(id=1000 + number))
        session.flush()
        session.scalar(select(Shelf.id).where(Shelf.id == number))


def _no_store():
    raise AssertionError("nothing is stored here")


@pytest.mark.parametrize("use", [lookups, different_statements, writes])
def test_a_thousand_statements_are_concluded_in_ten_milliseconds(engine, use) -> None:
    record = recorded(engine, use).record
    judge = Pipeline(rules=all_rules(), open_store=_no_store, worker=Worker())
    spent_ms = []

    for _ in range(TRIES):
        began = time.thread_time()
        with_ledger(record, judge.findings(record))
        spent_ms.append((time.thread_time() - began) * 1000 / slowness())

    assert len(record.queries) == STATEMENTS
    assert min(spent_ms) <= MOST_MS
