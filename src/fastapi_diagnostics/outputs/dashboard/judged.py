"""What was concluded of single requests, each asked for once in a page."""

from typing import Any

from fastapi_diagnostics.finding import Group
from fastapi_diagnostics.outputs.parameters import MAX_LIMIT
from fastapi_diagnostics.store.protocol import FindingQuery, Store


class Judged:
    """The findings of requests as they were made there.

    Args:
        store: Where they are kept.
        family: Letters with which the codes of the wanted rules begin.
    """

    def __init__(self, store: Store, family: str) -> None:
        self._store = store
        self._family = family
        self._known: dict[str, tuple[Group, ...]] = {}

    def of(self, record_id: str) -> tuple[Group, ...]:
        """Give the findings of a request; empty if it is no longer kept."""
        found = self._known.get(record_id)
        if found is None:
            query = FindingQuery(request_id=record_id, limit=MAX_LIMIT)
            groups = self._store.findings(query).items
            found = tuple(group for group in groups if group.rule.startswith(self._family))
            self._known[record_id] = found
        return found


def texts_in(value: Any) -> tuple[str, ...]:
    """Read a list of texts out of evidence; empty if *value* is not one."""
    if not isinstance(value, list | tuple):
        return ()
    return tuple(item for item in value if isinstance(item, str))
