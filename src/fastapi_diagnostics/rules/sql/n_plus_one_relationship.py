"""SQL101: a relationship is loaded once for each parent, with a query of its own each time."""

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, Query, RequestRecord
from fastapi_diagnostics.rules.sql._chains import Chain, chain, owner, place, spent_ms

MIN_PARENTS = 2
"""Two parents that one query loaded are proof enough: rows in development are few."""

RULE = Rule(
    code="SQL101",
    name="n-plus-one-relationship",
    family="sql",
    severity="error",
    title="A relationship is loaded with one query per parent (N+1)",
    what=(
        "Reports lazy loads of one relationship whose parents were loaded together by one query: "
        "names the relationship, the loop or the response field that reads it, the query that "
        "loaded the parents, and the loader option to add there."
    ),
    why=(
        "The number of queries grows with the number of rows: 20 authors cost 21 round trips "
        "where two would do, and production has more rows than development."
    ),
    example=(
        "for author in session.scalars(select(Author)):\n"
        "    print([book.title for book in author.books])  # one query for each author"
    ),
    instead=(
        "for author in session.scalars(select(Author).options(selectinload(Author.books))):\n"
        "    print([book.title for book in author.books])"
    ),
    limits=(
        "One parent alone is not reported, whatever the code would do with two.",
        "Objects that were loaded outside of the request have no known query and are passed over.",
        "Of one statement's repetitions the first 500 are looked at.",
        "Queries in threads that were started with run_in_executor are not seen.",
    ),
)


class _Group(msgspec.Struct):
    """Lazy loads of one relationship that came the same way."""

    attribute: str
    queries: list[Query]
    source: Query
    together: int  # parents that `source` loaded

    @property
    def parents(self) -> int:
        return len({query.parent_key for query in self.queries})

    @property
    def ids(self) -> set[int]:
        return {query.index for query in self.queries}


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find relationships that were loaded parent by parent."""
    by_index = {query.index: query for query in record.queries}
    groups = list(_groups(record, by_index))
    for group in groups:
        if not any(_below(group, other) for other in groups):
            nested = [other for other in groups if _below(other, group)]
            yield _finding(record, group, nested)


def _groups(record: RequestRecord, by_index: dict[int, Query]) -> Iterator[_Group]:
    found: dict[tuple[str, int, Chain, object], list[Query]] = defaultdict(list)
    for query in record.queries:
        if query.kind != "lazy" or not query.attribute or query.error or query.parent_key is None:
            continue
        source = by_index.get(query.parent_query) if query.parent_query is not None else None
        if source is None:
            continue
        lines = chain(query)
        # Without a line of the user, what was loaded together is what tells loops apart.
        apart = None if lines else (query.phase, source.location)
        found[query.attribute, query.engine, lines, apart].append(query)
    for (attribute, *_), queries in found.items():
        source, together = _proof(queries, by_index)
        if together >= MIN_PARENTS:
            yield _Group(attribute=attribute, queries=queries, source=source, together=together)


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


def _below(inner: _Group, outer: _Group) -> bool:
    """Tell whether the parents of *inner* are what *outer* loaded one by one."""
    if inner is outer or inner.attribute == outer.attribute:
        return False
    from_outer = sum(query.parent_query in outer.ids for query in inner.queries)
    return 2 * from_outer > len(inner.queries)


def _finding(record: RequestRecord, group: _Group, nested: list[_Group]) -> Finding:
    first = group.queries[0]
    source = group.source
    field = group.attribute.partition(".")[2] if _serialising(first) else None
    location = owner(first) or source.location or record.endpoint
    evidence = {
        "attribute": group.attribute,
        "count": len(group.queries),
        "parents": group.parents,
        "parent_query": {"sql": source.sql, "location": source.location},
        "sql": first.sql,
        "phase": first.phase,
        "response_field": field,
        "chain": [group.attribute, *(other.attribute for other in nested)],
        "chain_count": len(group.queries) + sum(len(other.queries) for other in nested),
        "duration_ms": spent_ms(group.queries),
        "queries": [query.index for query in group.queries[:50]],
    }
    if first.location is None:
        evidence["no_user_frame"] = (
            "No line of your code was running; the query that loaded the parents stands for it."
        )
    return RULE.finding(
        _message(record, group, nested, field),
        title=f"{group.attribute} is loaded with one query per {_owner(group.attribute)} (N+1)",
        location=location,
        fix=_fix(group, nested),
        evidence=evidence,
        cause=group.attribute,
    )


def _serialising(query: Query) -> bool:
    return query.location is None and query.phase == "serialisation"


def _message(record: RequestRecord, group: _Group, nested: list[_Group], field: str | None) -> str:
    first, source = group.queries[0], group.source
    count, entity = len(group.queries), _owner(group.attribute)
    truncated = "at least " if "queries" in record.truncated else ""
    text = (
        f"{group.attribute} was loaded {truncated}{count} times, with a query for each of "
        f"{group.parents} {entity} objects"
    )
    if field is not None:
        text += f", while {_response(record)} read the field `{field}`"
    elif first.location is not None and first.location == source.location:
        text += f" at {place(source.location)}, in the line of the query that loaded the parents"
        return f"{text}; unless that line reads it, it is set to load immediately.{_also(nested)}"
    elif first.location is None:
        text += f" in the phase {first.phase}"
    else:
        text += f" at {place(owner(first))}"
    loaded = "them all" if group.together == group.parents else f"{group.together} of them"
    return f"{text}; one query at {place(source.location)} had loaded {loaded}.{_also(nested)}"


def _also(nested: list[_Group]) -> str:
    if not nested:
        return ""
    names = ", ".join(f"{group.attribute} ({len(group.queries)} times)" for group in nested)
    return f" Below it the same happens to {names}."


def _response(record: RequestRecord) -> str:
    endpoint = f"{record.endpoint.function}()" if record.endpoint else record.route
    model = f" ({record.response_model})" if record.response_model else ""
    return f"the response of {endpoint}{model}"


def _owner(attribute: str) -> str:
    return attribute.partition(".")[0]


def _fix(group: _Group, nested: list[_Group]) -> Fix:
    source = group.source
    options = _loader(group)
    for other in nested:
        if _owner(other.attribute) != _owner(group.attribute):
            options += f".{_loader(other)}"
    if source.kind == "eager" and source.attribute:
        name = "selectinload" if source.collection else "joinedload"
        options = f"{name}({source.attribute}).{options}"
        summary = f"Load {group.attribute} along with {source.attribute}."
        code = f".options({options})"
    elif source.kind == "get":
        summary = f"Load {group.attribute} together with the {_owner(group.attribute)}."
        code = f"options=[{options}]"
    else:
        summary = f"Load {group.attribute} for all parents in the query that fetches them."
        same = source.attribute == _owner(group.attribute) and source.kind == "query"
        code = f"select({source.attribute}).options({options})" if same else f".options({options})"
    where: Location | None = source.location
    return Fix(summary=summary, code=code, location=where, mechanical=where is not None)


def _loader(group: _Group) -> str:
    many = group.queries[0].collection
    return f"{'selectinload' if many else 'joinedload'}({group.attribute})"
