"""SQL110: the pattern of SQL101 with a single parent: more rows would make it an N+1."""

import re
from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Rule
from fastapi_diagnostics.record import Query, RequestRecord
from fastapi_diagnostics.rules.sql import _loaders
from fastapi_diagnostics.rules.sql._chains import loop_mark, looping, owner, place, spent_ms
from fastapi_diagnostics.rules.sql._parents import Loads, indexed, loads_of

RULE = Rule(
    code="SQL110",
    name="latent-n-plus-one",
    family="sql",
    severity="info",
    title="A relationship would be loaded with one query per parent, if there were more parents",
    what=(
        "Reports a relationship that was loaded lazily in a for loop over the result of a query "
        "without LIMIT, where this query found one parent only. It is off unless selected: with "
        "few rows in development a loop and a single object are hard to tell apart."
    ),
    why=(
        "A development database often holds a single row where production holds hundreds; then "
        "the same line costs one query per row."
    ),
    example=(
        "for author in session.scalars(select(Author)):  # one author so far\n"
        "    print([book.title for book in author.books])"
    ),
    instead=(
        "for author in session.scalars(select(Author).options(selectinload(Author.books))):\n"
        "    print([book.title for book in author.books])"
    ),
    limits=(
        "A query by a unique column other than `id` is not known to find a single row only.",
        "Loads while the response is made are passed over: it may be a list or a single object.",
    ),
    selected=False,
)

_ONE = re.compile(r"\bLIMIT\b|\bFETCH FIRST\b", re.IGNORECASE)
_BY_ID = re.compile(r"\bWHERE\b.*\bid = \?", re.IGNORECASE)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find lazy loads in loops that had one turn."""
    by_index = indexed(record)
    for group in loads_of(record, by_index, "lazy"):
        frame = looping(group.queries[0])
        if (
            len(group.queries) == 1
            and frame is not None
            and frame.loop == "for"
            and _may_find_more(group.source)
        ):
            yield _finding(group, by_index)


def _may_find_more(source: Query) -> bool:
    return (
        source.kind == "query"
        and source.rows in {None, 1}
        and _ONE.search(source.sql) is None
        and _BY_ID.search(source.sql) is None
    )


def _finding(group: Loads, by_index: dict[int, Query]) -> Finding:
    first, source = group.queries[0], group.source
    root, way = _loaders.root_of(source, by_index)
    option = _loaders.loader(group.attribute, collection=first.collection, source=root)
    steps = _loaders.prefix(first, root, way)
    return RULE.finding(
        f"{group.attribute} was loaded in the loop at {place(owner(first))} for the one "
        f"{group.entity} that the query at {place(source.location)} found; each further "
        f"{group.entity} would cost another query.",
        title=f"{group.attribute} would be loaded with one query per {group.entity}",
        location=owner(first),
        confidence="likely",
        fix=_loaders.fix(
            f"Load {group.attribute} in the query that fetches the parents.",
            ".".join([*steps, option]),
            first,
            root,
        ),
        evidence={
            "attribute": group.attribute,
            "count": len(group.queries),
            "parents": group.parents,
            "parent_query": {"sql": source.sql, "location": source.location},
            "sql": first.sql,
            "phase": first.phase,
            "response_field": None,
            "duration_ms": spent_ms(group.queries),
            "queries": [query.index for query in group.queries],
        },
        cause=f"{group.attribute}{loop_mark(first)}",
    )
