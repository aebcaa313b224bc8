"""Reads what the store holds from end to end, within bounds."""

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from fastapi_diagnostics.finding import Group
from fastapi_diagnostics.outputs.parameters import MAX_LIMIT
from fastapi_diagnostics.store.protocol import FindingQuery, ScanQuery, Store

T = TypeVar("T")

MAX_GROUP_PAGES = 4
"""A store keeps 2,000 groups at most."""
MAX_SCAN_PAGES = 25
"""At most 12,500 records or 100 MiB of them, the size of a full store: some 0.3 s."""


class Extent(msgspec.Struct):
    """How far a scan came; filled while it runs.

    Attributes:
        whole: Whether nothing was left that fitted the question.
    """

    records: int = 0
    whole: bool = True


def all_groups(store: Store, state: str) -> Iterator[Group]:
    """Read every group of a state: only counting them tells what filters would show."""
    cursor: str | None = None
    for _ in range(MAX_GROUP_PAGES):
        query = FindingQuery(state=state, limit=MAX_LIMIT, cursor=cursor)  # type: ignore[arg-type]  # checked
        page = store.findings(query)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def scanned(store: Store, query: ScanQuery, facts: type[T], extent: Extent) -> Iterator[T]:
    """Read the fields *facts* of the records that *query* wants, newest first."""
    for _ in range(MAX_SCAN_PAGES):
        page = store.scan(query, facts)
        extent.records += len(page.items)
        yield from page.items
        if page.next is None:
            return
        query = msgspec.structs.replace(query, cursor=page.next)
    extent.whole = False
