"""SQL108: collections that were joined side by side multiply one another's rows."""

from collections.abc import Iterator
from math import prod

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import JoinedRows, Query, RequestRecord
from fastapi_diagnostics.rules.sql._chains import place

MANY_ROWS = 100
"""Below this the multiplied rows cost less than another round trip (a row takes some µs)."""
FACTOR = 2.0
"""Twice the rows of separate loads: by then those are the cheaper ones, extra statements
included."""

RULE = Rule(
    code="SQL108",
    name="multiplied-rows",
    family="sql",
    severity="warning",
    title="Collections that are joined side by side multiply the rows",
    what=(
        "Reports a query that joined two or more collections of the same parent, so that every "
        "element of one came with every element of the other: the rows that were fetched, and how "
        "many different objects were in them. It is a note below 100 rows, or where the rows are "
        "fewer than twice those of separate loads."
    ),
    why=(
        "Ten books and ten notes of an author are a hundred rows instead of twenty, and the "
        "factor grows with the data. The database sends them, and the ORM throws most away."
    ),
    example=("select(Author).options(joinedload(Author.books), joinedload(Author.notes))"),
    instead="select(Author).options(selectinload(Author.books), selectinload(Author.notes))",
    limits=(
        "Joins written by hand, also with contains_eager, are passed over: they may filter.",
        "Collections of classes with joined-table inheritance are passed over.",
        "Of one statement the first 10,000 rows are looked at.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find results with more rows than separate loads would have brought."""
    by_index = {query.index: query for query in record.queries}
    worst: dict[tuple[object, ...], JoinedRows] = {}
    for joined in record.joined_rows:
        query = by_index.get(joined.query)
        if query is not None and joined.rows > _apart(joined):
            key = (query.sql, query.location)
            if key not in worst or joined.rows > worst[key].rows:
                worst[key] = joined
    for joined in worst.values():
        yield _finding(record, joined, by_index[joined.query])


def _apart(joined: JoinedRows) -> int:
    """Count the rows of one statement for the parents and one for each collection."""
    return joined.parents + sum(collection.distinct for collection in joined.collections)


def _finding(record: RequestRecord, joined: JoinedRows, query: Query) -> Finding:
    apart = _apart(joined)
    names = [collection.attribute for collection in joined.collections]
    heavy = joined.rows >= MANY_ROWS and joined.rows >= FACTOR * apart
    where = query.location or record.endpoint
    cut = "at least " if query.rows is not None and query.rows > joined.rows else ""
    return RULE.finding(
        f"The query at {place(where)} fetched {cut}{joined.rows} rows for {joined.parents} "
        f"{query.attribute or 'parent'} objects with {_contents(joined)}, because "
        f"{' and '.join(names)} are joined side by side; loaded apart they are {apart} rows.",
        title=f"{' and '.join(names)} multiply one another's rows",
        location=where,
        severity=None if heavy else "info",
        fix=Fix(
            summary="Load the collections with a statement each: selectinload in the place of "
            "joinedload, for all of them or for all but one.",
            code=", ".join(f"selectinload({name})" for name in names),
            location=query.location,
        ),
        evidence={
            "sql": query.sql,
            "attributes": names,
            "rows": joined.rows,
            "rows_apart": apart,
            "parents": joined.parents,
            "distinct": [collection.distinct for collection in joined.collections],
            "largest_possible": prod(max(1, one.distinct) for one in joined.collections),
            "duration_ms": query.duration_ms,
            "phase": query.phase,
            "queries": [query.index],
        },
        cause=" ".join(names),
    )


def _contents(joined: JoinedRows) -> str:
    return " and ".join(
        f"{collection.distinct} {collection.attribute.partition('.')[2]}"
        for collection in joined.collections
    )
