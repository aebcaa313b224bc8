"""Keeps the rest of the suite out of the collections that a corpus meets."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only_what_follows_is_collected() -> Iterator[None]:
    """Leave out of every collection what is there already, such as the rest of the suite.

    A collection would look through all that was ever imported, and hold the loop as long: a true
    finding, and none of the situation.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
