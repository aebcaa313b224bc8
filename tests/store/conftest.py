"""Stores to test: the same behaviour is asked of the file and of memory."""

import gc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fastapi_diagnostics.store import Limits, open_store

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


class Clock:
    """A clock that is set by hand; serves as wall clock and as steady clock."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def no_connection_left_open():
    """Let Python 3.13 and later tell now, in the test that left it open."""
    yield
    gc.collect()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def open_at(tmp_path, clock):
    """Open stores under `tmp_path`; they are closed in the end."""
    opened = []

    def open_it(url=None, *, directory: Path = tmp_path, steady=clock, **limits):
        store = open_store(
            url, directory=directory, clock=clock, steady=steady, limits=Limits(**limits)
        )
        opened.append(store)
        return store

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture(params=["memory:", "sqlite:///kept.db"])
def url(request):
    return request.param


@pytest.fixture
def store(url, open_at):
    """A store that must not have met anything unreadable in the end."""
    opened = open_at(url)
    yield opened
    status = opened.status()
    assert (status.problem, status.errors, status.unreadable) == ("", 0, 0)
