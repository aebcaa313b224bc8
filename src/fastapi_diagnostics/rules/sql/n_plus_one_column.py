"""SQL102: columns that were put off, expired or refreshed are loaded object by object."""

from collections import defaultdict
from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, Query, RequestRecord
from fastapi_diagnostics.rules.sql import _loaders, write_per_row
from fastapi_diagnostics.rules.sql._chains import (
    chain,
    loop_mark,
    looping,
    of_one_message,
    owner,
    paced,
    place,
    read_by_response,
    spent_ms,
)
from fastapi_diagnostics.rules.sql._parents import Loads, indexed, loads_of

MIN_PARENTS = 2
"""As in SQL101: two objects of one query are proof enough, rows in development are few."""
MIN_ALONE = 3
"""Objects that no query of the request loaded (they were added in it), and calls of refresh():
two may be a pair of named things, three are a list."""

RULE = Rule(
    code="SQL102",
    name="n-plus-one-column",
    family="sql",
    severity="error",
    title="Columns are loaded with one query per object (N+1)",
    what=(
        "Reports columns that were loaded object by object although the objects came together: "
        "deferred columns and those that load_only left out, columns of a subclass, objects that "
        "a commit had expired, and refresh() in a loop. Names the query, or the commit, and what "
        "to add there."
    ),
    why=(
        "Each object costs a round trip of its own for values that the first query could have "
        "brought, or that were in memory until the commit."
    ),
    example=(
        "articles = session.scalars(select(Article)).all()  # Article.body is deferred\n"
        "for article in articles:\n"
        "    print(len(article.body))  # one query for each article"
    ),
    instead=(
        "articles = session.scalars(select(Article).options(undefer(Article.body))).all()\n"
        "for article in articles:\n"
        "    print(len(article.body))"
    ),
    limits=(
        "One object alone is not reported, whatever the code would do with two.",
        "Of objects that were expired by expire() or expire_all() no cause is named.",
        "A refresh() that is there to see what others wrote looks the same.",
        "Reloads in a while loop, or with waits of more than 100 ms between most, are passed over.",
        "Deferred columns of objects that were loaded outside of the request are passed over.",
    ),
)

_KINDS = frozenset({"column", "expired", "refresh"})


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find columns that were loaded object by object."""
    if not any(query.kind in _KINDS for query in record.queries):
        return
    by_index = indexed(record)
    for group in loads_of(record, by_index, "column"):
        if group.together >= MIN_PARENTS:
            yield _deferred(record, group, by_index)
    expired = [group for group in loads_of(record, by_index, "expired") if _expired_at_once(group)]
    reloaded: list[tuple[list[Query], Query | None]] = [
        (group.queries, group.source) for group in expired
    ]
    told = {query.index for group in expired for query in group.queries}
    for kind in ("expired", "refresh"):
        reloaded += ((queries, None) for queries in _alone(record, kind, told))
    if not reloaded:
        return
    # Where every turn of a loop commits, that is the defect: without it nothing expires.
    committing = {finding.location for finding in write_per_row.check(record)}
    for queries, source in reloaded:
        if queries[0].kind == "refresh" or queries[-1].expired_at not in committing:
            yield _reloaded(record, queries, source)


def _expired_at_once(group: Loads) -> bool:
    return group.together >= MIN_PARENTS and all(query.flush is None for query in group.queries)


def _alone(record: RequestRecord, kind: str, told: set[int]) -> Iterator[list[Query]]:
    """Group reloads by the way they came; those of `refresh` only in loops of ``for``."""
    found: dict[tuple[object, ...], list[Query]] = defaultdict(list)
    # refresh(author, ["books"]) loads the relationship as well: that is SQL101.
    lazily = {
        ((query.attribute or "").partition(".")[0], chain(query))
        for query in record.queries
        if query.kind == "lazy"
    }
    for query in record.queries:
        named = kind == "refresh" and (query.attribute, chain(query)) in lazily
        if query.kind == kind and query.index not in told and query.flush is None and not named:
            key = (query.attribute, query.engine, chain(query), query.error, query.phase)
            found[key].append(query)
    for reloads in found.values():
        queries = of_one_message(reloads)
        frame = looping(queries[0])
        repeated = frame.loop == "for" if frame is not None else not queries[0].location
        objects = {query.parent_key for query in queries} - {None}
        if repeated and len(objects) >= MIN_ALONE and not queries[0].error and not paced(queries):
            yield queries


def _deferred(record: RequestRecord, group: Loads, by_index: dict[int, Query]) -> Finding:
    first, source = group.queries[0], group.source
    names = _names(group.attribute)
    line = _loaders.line_of(source, by_index)
    text = (
        f"{' and '.join(names)} {'was' if len(names) == 1 else 'were'} loaded "
        f"{_at_least(record)}{len(group.queries)} times, with a query for each of "
        f"{group.parents} {group.entity} objects {_where(record, first)}; the query at "
        f"{place(line)} had loaded {_all(group)} without "
        f"{'it' if len(names) == 1 else 'them'}."
    )
    return RULE.finding(
        text,
        title=f"{names[0]} is loaded with one query per {group.entity} (N+1)",
        location=_line(first) or line or record.endpoint,
        fix=_undefer(group, names, by_index),
        evidence=_evidence(group.attribute, group.queries, source, line) | {"cause": "deferred"},
        cause=f"{group.attribute}{loop_mark(first)}",
    )


def _undefer(group: Loads, names: list[str], by_index: dict[int, Query]) -> Fix:
    load = group.queries[0]
    root, way = _loaders.root_of(group.source, by_index)
    steps = _loaders.prefix(load, root, way)
    option = _loaders.of_subclass(group.entity, load, root, steps)
    if option:
        summary = f"Load the columns of {group.entity} for all rows with one more query."
        return _loaders.fix(summary, option, load, root)
    option = ", ".join(".".join([*steps, f"undefer({name})"]) for name in names)
    summary = "Load the column in the query that fetches the objects."
    return _loaders.fix(summary, option, load, root)


def _reloaded(record: RequestRecord, queries: list[Query], source: Query | None) -> Finding:
    first = queries[0]
    entity = first.attribute or "object"
    objects = len({query.parent_key for query in queries})
    refreshed = first.kind == "refresh"
    commit = None if refreshed else first.expired_at
    text = (
        f"refresh() loaded {objects} {entity} objects one by one {_where(record, first)}, with "
        f"{_at_least(record)}{len(queries)} queries; one can load them all."
        if refreshed
        else f"{objects} {entity} objects were loaded again one by one {_where(record, first)}, "
        f"with {_at_least(record)}{len(queries)} queries, because "
        f"{_expired_by(commit, first.generated)}."
    )
    return RULE.finding(
        text,
        title=f"{entity} objects are {'refreshed' if refreshed else 'reloaded'} one by one (N+1)",
        location=_line(first) or commit or record.endpoint,
        severity="warning" if refreshed else None,
        fix=_keep(entity, first, None if first.generated else commit),
        evidence=_evidence(entity, queries, source, source.location if source else None)
        | {"cause": "refreshed" if refreshed else "expired", "cause_location": commit},
        cause=f"{entity} {first.kind}{loop_mark(first)}",
    )


def _keep(entity: str, first: Query, commit: Location | None) -> Fix:
    """Say how to keep what was in memory; where the session is made is not known."""
    if first.kind == "refresh":
        return Fix(
            summary="Load all of them with one query, before or instead of the loop: by hand, as "
            "`ids` stands for their keys. After a commit, a session made with "
            "expire_on_commit=False needs neither.",
            code=_all_of(
                f"select({entity}).where({entity}.id.in_(ids))"
                ".execution_options(populate_existing=True)",
                first,
            ),
            location=owner(first),
        )
    if commit is None:
        return Fix(
            summary="Load all of them again with one query before they are read: by hand, as "
            "`ids` stands for their keys.",
            code=_all_of(f"select({entity}).where({entity}.id.in_(ids))", first),
            location=owner(first),
        )
    return Fix(
        summary="Make the session with expire_on_commit=False, so that the commit leaves its "
        "objects as they are: by hand, as it goes where the session or its sessionmaker is made.",
        code="expire_on_commit=False",
        location=commit,
    )


def _all_of(statement: str, query: Query) -> str:
    call = f"session.scalars({statement})"
    return f"(await {call}).all()" if query.is_async else f"{call}.all()"


def _evidence(
    attribute: str, queries: list[Query], source: Query | None, line: Location | None
) -> dict[str, object]:
    first = queries[0]
    field = attribute.partition(".")[2] if first.phase == "serialisation" else None
    return {
        "attribute": attribute,
        "count": len(queries),
        "parents": len({query.parent_key for query in queries}),
        "parent_query": None if source is None else {"sql": source.sql, "location": line},
        "sql": first.sql,
        "phase": first.phase,
        "response_field": field if first.location is None else None,
        "duration_ms": spent_ms(queries),
        "call_chain": [frame.location for frame in first.stack],
        "queries": [query.index for query in queries[:50]],
    }


def _line(first: Query) -> Location | None:
    """Give the line that read it; none for a response, whose query is to be named instead."""
    return None if read_by_response(first) else owner(first)


def _where(record: RequestRecord, first: Query) -> str:
    if read_by_response(first):
        endpoint = f"{record.endpoint.function}()" if record.endpoint else record.route
        by = f" by {place(first.location)}" if first.location is not None else ""
        return f"while the response of {endpoint} was made{by}"
    if first.location is not None:
        return f"at {place(owner(first))}"
    return f"in the phase {first.phase}"


def _expired_by(commit: Location | None, generated: tuple[str, ...]) -> str:
    if generated:
        at = "" if commit is None else f" at {place(commit)}"
        return f"the database made {' and '.join(generated)} when it wrote them{at}"
    if commit is None:
        return "they had expired"
    return f"the end of the transaction at {place(commit)} had expired them"


def _names(attribute: str) -> list[str]:
    """Give the names of the columns; those of one group are loaded together."""
    entity, _, keys = attribute.partition(".")
    return [f"{entity}.{key}" for key in keys.split(",")]


def _all(group: Loads) -> str:
    return "them all" if group.together == group.parents else f"{group.together} of them"


def _at_least(record: RequestRecord) -> str:
    return "at least " if "queries" in record.truncated else ""
