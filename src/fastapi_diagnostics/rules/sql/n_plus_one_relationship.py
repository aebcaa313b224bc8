"""SQL101: a relationship is loaded once for each parent, with a query of its own each time."""

from collections.abc import Iterator, Sequence

import msgspec

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, Query, RequestRecord
from fastapi_diagnostics.rules.sql import _loaders
from fastapi_diagnostics.rules.sql._chains import (
    chain,
    loop_mark,
    owner,
    place,
    read_by_response,
    spent_ms,
)
from fastapi_diagnostics.rules.sql._parents import Loads, indexed, loads_of

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
        "    print([book.title for book in author.books])\n\n"
        "# So that it cannot come back: with raiseload, what is not loaded fails when it is read.\n"
        'select(Author).options(selectinload(Author.books), raiseload("*"))'
    ),
    limits=(
        "One parent alone is not reported, whatever the code would do with two.",
        "Objects that were loaded outside of the request have no known query and are passed over.",
        "Of one statement's repetitions the first 500 are looked at.",
        "Queries in threads or processes that you start yourself are not seen; in executors, yes.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find relationships that were loaded parent by parent."""
    by_index = indexed(record)
    every = [group for group in loads_of(record, by_index, "lazy") if group.parents >= MIN_PARENTS]
    groups = [group for group in every if group.together >= MIN_PARENTS]
    inner = {id(group) for group in groups if any(_below(group, other) for other in groups)}
    for group in groups:
        if id(group) not in inner:
            yield _finding(record, group, _all_below(group, every), by_index)


def _below(inner: Loads, outer: Loads) -> bool:
    """Tell whether the parents of *inner* are what *outer* loaded one by one."""
    if inner is outer or inner.attribute == outer.attribute:
        return False
    from_outer = sum(query.parent_query in outer.ids for query in inner.queries)
    return 2 * from_outer > len(inner.queries)


def _all_below(outer: Loads, groups: Sequence[Loads]) -> list[Loads]:
    """Give what hangs below a group, level by level.

    Also what each of its queries loaded for one parent only: once the group is loaded together,
    they are together as well.
    """
    found: list[Loads] = []
    level = [outer]
    while level:
        level = [
            group
            for group in groups
            if group is not outer
            and not any(group is known for known in found)
            and any(_below(group, above) for above in level)
        ]
        found += level
    return found


def _finding(
    record: RequestRecord, group: Loads, nested: list[Loads], by_index: dict[int, Query]
) -> Finding:
    first = group.queries[0]
    source = group.source
    line = _loaders.line_of(source, by_index)
    serialising = read_by_response(first)
    field = group.attribute.partition(".")[2] if serialising and not first.location else None
    evidence = {
        "attribute": group.attribute,
        "count": len(group.queries),
        "parents": group.parents,
        "parent_query": {"sql": source.sql, "location": line},
        "sql": first.sql,
        "phase": first.phase,
        "response_field": field,
        "chain": [group.attribute, *(other.attribute for other in nested)],
        "chain_count": len(group.queries) + sum(len(other.queries) for other in nested),
        "duration_ms": spent_ms(group.queries),
        "call_chain": [frame.location for frame in first.stack],
        "queries": [query.index for query in group.queries[:50]],
    }
    if first.location is None:
        evidence["no_user_frame"] = (
            "No line of your code was running; the query that loaded the parents stands for it."
        )
    return RULE.finding(
        _message(record, group, nested, line),
        title=f"{group.attribute} is loaded with one query per {group.entity} (N+1)",
        location=(None if serialising else owner(first)) or line or record.endpoint,
        fix=_fix(record, group, nested, by_index),
        evidence=evidence,
        cause=f"{group.attribute}{loop_mark(first)}",
    )


def _message(
    record: RequestRecord, group: Loads, nested: list[Loads], line: Location | None
) -> str:
    first, source = group.queries[0], group.source
    count, entity = len(group.queries), group.entity
    truncated = "at least " if "queries" in record.truncated else ""
    text = (
        f"{group.attribute} was loaded {truncated}{count} times, with a query for each of "
        f"{group.parents} {entity} objects"
    )
    if read_by_response(first):
        field = group.attribute.partition(".")[2]
        text += f", while {_response(record)} "
        text += f"read {place(first.location)}" if first.location else f"read the field `{field}`"
    elif first.location is not None and first.location == source.location:
        text += f" at {place(source.location)}, in the line of the query that loaded the parents"
        return f"{text}; unless that line reads it, it is set to load immediately.{_also(nested)}"
    elif first.location is None:
        text += f" in the phase {first.phase}"
    else:
        text += f" at {place(owner(first))}"
    loaded = "them all" if group.together == group.parents else f"{group.together} of them"
    by = "one query" if source.location else "one query below that"
    return f"{text}; {by} at {place(line)} had loaded {loaded}.{_also(nested)}"


def _also(nested: list[Loads]) -> str:
    if not nested:
        return ""
    names = ", ".join(f"{group.attribute} ({len(group.queries)} times)" for group in nested)
    return f" Below it the same happens to {names}."


def _response(record: RequestRecord) -> str:
    endpoint = f"{record.endpoint.function}()" if record.endpoint else record.route
    model = f" ({record.response_model})" if record.response_model else ""
    return f"the response of {endpoint}{model}"


def _fix(
    record: RequestRecord, group: Loads, nested: list[Loads], by_index: dict[int, Query]
) -> Fix:
    load = group.queries[0]
    root, way = _loaders.root_of(group.source, by_index)
    steps = _loaders.prefix(load, root, way)
    if _recurses(group):
        # One option for all levels takes the place of those that lead down to it.
        steps = [step for step in steps if group.attribute not in step]
    option = ".".join([*steps, _tree(group, nested, root)])
    if group.source.kind == "eager" and group.source.attribute:
        summary = f"Load {group.attribute} along with {group.source.attribute}."
    elif way:
        summary = f"Load {group.attribute} in the query that everything above it comes from."
    elif root.kind == "get":
        summary = f"Load {group.attribute} together with the {group.entity}."
    else:
        summary = f"Load {group.attribute} for all parents in the query that fetches them."
    found = _loaders.fix(summary, option, load, root)
    if any(_refreshes(query, group) for query in record.queries):
        summary = f"{found.summary} Then take the refresh() out of the loop by hand."
        return msgspec.structs.replace(found, summary=summary, mechanical=False)
    return found


def _refreshes(query: Query, group: Loads) -> bool:
    """Tell whether it is refresh() of a named relationship that makes the loads."""
    same = query.kind == "refresh" and query.attribute == group.entity
    return same and chain(query) == chain(group.queries[0])


def _tree(group: Loads, below: Sequence[Loads], root: Query) -> str:
    """Write the option of a group and of what hangs below it: a chain, or several branches."""
    option = _loaders.loader(group.attribute, collection=group.queries[0].collection, source=root)
    if _recurses(group) and option.startswith("selectinload"):
        option = f"selectinload({group.attribute}, recursion_depth=-1)"
    children = [other for other in below if _below(other, group)]
    rest = [other for other in below if not any(other is child for child in children)]
    branches = list(dict.fromkeys(_tree(child, rest, root) for child in children))
    if not branches:
        return option
    if len(branches) == 1:
        return f"{option}.{branches[0]}"
    return f"{option}.options({', '.join(branches)})"


def _recurses(group: Loads) -> bool:
    ids = group.ids
    return any(query.parent_query in ids for query in group.queries)
