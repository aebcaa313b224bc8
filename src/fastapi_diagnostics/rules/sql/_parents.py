"""Groups loads of attributes by the way they came, and finds the query that loaded the parents."""

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from fastapi_diagnostics.record import Query, RequestRecord
from fastapi_diagnostics.rules.sql._chains import chain, of_one_message


class Loads(msgspec.Struct):
    """Loads of one attribute that came the same way.

    Attributes:
        attribute: ``Author.books``.
        source: The query that loaded most of the parents.
        together: How many parents that was.
    """

    attribute: str
    queries: list[Query]
    source: Query
    together: int

    @property
    def parents(self) -> int:
        """Different objects whose attribute was loaded."""
        return len({query.parent_key for query in self.queries})

    @property
    def ids(self) -> set[int]:
        """Indices of the statements."""
        return {query.index for query in self.queries}

    @property
    def entity(self) -> str:
        """Class of the parents."""
        return self.attribute.partition(".")[0]


def indexed(record: RequestRecord) -> dict[int, Query]:
    """Find statements by their index."""
    return {query.index: query for query in record.queries}


def loads_of(record: RequestRecord, by_index: dict[int, Query], kind: str) -> Iterator[Loads]:
    """Group the loads of a kind whose parents came from a known query."""
    found: dict[tuple[object, ...], list[Query]] = defaultdict(list)
    for query in record.queries:
        if query.kind != kind or not query.attribute or query.error or query.parent_key is None:
            continue
        source = by_index.get(query.parent_query) if query.parent_query is not None else None
        if source is None:
            continue
        lines = chain(query)
        # Without a line of the user, what was loaded together is what tells loops apart.
        apart = None if lines else (query.phase, source.location)
        found[query.attribute, query.engine, lines, apart].append(query)
    for loads in found.values():
        queries = of_one_message(loads)
        source, together = _proof(queries, by_index)
        name = queries[0].attribute or ""
        yield Loads(attribute=name, queries=queries, source=source, together=together)


def _proof(queries: list[Query], by_index: dict[int, Query]) -> tuple[Query, int]:
    """Find the query that loaded most of the parents, and how many of them."""
    parents: dict[object, set[str]] = defaultdict(set)
    sources: dict[object, Query] = {}
    for query in queries:
        source = by_index[query.parent_query or 0]
        # One eager load may come in several statements, 500 parents each.
        together = (source.sql, source.location) if source.kind == "eager" else source.index
        sources.setdefault(together, source)
        parents[together].add(query.parent_key or "")
    best = max(parents, key=lambda together: len(parents[together]))
    return sources[best], len(parents[best])
