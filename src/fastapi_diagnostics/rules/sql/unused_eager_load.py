"""SQL107: a relationship was loaded along with its parents, and nobody read it."""

from collections import defaultdict
from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import EagerLoad, Query, RequestRecord
from fastapi_diagnostics.rules.sql._chains import place

FAILED = 400
"""From this status on the endpoint may have given up before it read what it loaded."""

RULE = Rule(
    code="SQL107",
    name="unused-eager-load",
    family="sql",
    severity="info",
    title="A relationship was loaded eagerly and never read",
    what=(
        "Notes a relationship that an option of the query (selectinload, joinedload, "
        'subqueryload) or the mapping (lazy="selectin" and the like) loaded for all parents, '
        "and that nobody in the process read until the request was over, with what it cost."
    ),
    why=(
        "The statement or the join, and the objects made of its rows, were for nothing. In a "
        "mapping every query for the class pays."
    ),
    example=(
        "authors = session.scalars(select(Author).options(selectinload(Author.books)))\n"
        "names = [author.name for author in authors]  # no book is looked at"
    ),
    instead=(
        "authors = session.scalars(select(Author))\nnames = [author.name for author in authors]"
    ),
    limits=(
        "Another request, or another way through the code, may read what this one did not.",
        "Reads past the attribute are not seen: `__dict__` in a helper, session.get() later on.",
        "Objects that a cache keeps beyond the request may be read there.",
        "A request that failed, or that wrote through the unit of work, is passed over.",
        "Models and endpoints whose own code mentions `__dict__` or `vars` are passed over.",
        "Of a relationship that several requests load at once, any read counts for all.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Find eager loads that were not read when all was over."""
    if record.state != "closed" or _may_have_stopped(record):
        return
    by_index = {query.index: query for query in record.queries}
    told = {field.attribute for diff in record.response_diffs for field in diff.fields}
    groups: dict[tuple[object, ...], list[EagerLoad]] = defaultdict(list)
    for load in _unread(record.eager_loads):
        query = by_index.get(load.query)
        if query is not None and query.rows and load.attribute not in told:
            groups[load.attribute, load.how, query.location, query.sql].append(load)
    for loads in groups.values():
        yield _finding(record, loads, by_index)


def _may_have_stopped(record: RequestRecord) -> bool:
    return (
        bool(record.exceptions)
        or (record.status is not None and record.status >= FAILED)
        or any(query.flush is not None for query in record.queries)
    )


def _unread(loads: tuple[EagerLoad, ...]) -> Iterator[EagerLoad]:
    """Give those that were not read, without what hangs below another one of them."""
    unread = [load for load in loads if load.read is False]
    paths = {load.path for load in unread if load.path}
    for load in unread:
        if not any(load.path[:length] in paths for length in range(1, len(load.path))):
            yield load


def _finding(record: RequestRecord, loads: list[EagerLoad], by_index: dict[int, Query]) -> Finding:
    load = loads[0]
    queries = [by_index[one.query] for one in loads]
    source = by_index.get(load.source) if load.source is not None else None
    place_of = queries[0].location or (source.location if source else None) or record.endpoint
    own = load.how == "selectin"
    spent = round(sum(query.duration_ms for query in queries), 3) if own else None
    rows = sum(query.rows or 0 for query in queries) if own else None
    return RULE.finding(
        f"{load.attribute} was loaded along with its parents at {place(place_of)} "
        f"{_cost(load, len(queries), rows, spent)}, because {_asked(load)}, and nobody read it "
        "in this request.",
        title=f"{load.attribute} is loaded eagerly and was not read",
        location=place_of,
        confidence="likely",
        fix=_fix(load, source),
        evidence={
            "attribute": load.attribute,
            "how": load.how,
            "mapped": load.mapped,
            "count": len(queries),
            "rows": rows,
            "duration_ms": spent,
            "sql": queries[0].sql,
            "parent_query": None
            if source is None
            else {"sql": source.sql, "location": source.location},
            "phase": queries[0].phase,
            "queries": [query.index for query in queries[:50]],
        },
        cause=f"{load.attribute} {load.how}",
    )


def _cost(load: EagerLoad, count: int, rows: int | None, spent: float | None) -> str:
    if load.how == "joined":
        return "by a join"
    many = "a statement" if count == 1 else f"{count} statements"
    return f"by {many} of its own ({rows} rows, {spent:.1f} ms)"


def _asked(load: EagerLoad) -> str:
    return "the mapping says so" if load.mapped else "an option of the query asks for it"


def _fix(load: EagerLoad, source: Query | None) -> Fix:
    where = source.location if source is not None else None
    if not load.mapped:
        return Fix(
            summary=f"Take the option for {load.attribute} out of the query.", location=where
        )
    steps = [f"defaultload({attribute})" for attribute in load.path[:-1]]
    option = ".".join([*steps, f"lazyload({load.attribute})"])
    entity = source.attribute if source is not None and source.kind == "query" else None
    first = load.path[0].partition(".")[0] if load.path else ""
    code = f".options({option})"
    if entity and entity == first:
        code = f"select({entity}){code}"
    elif source is not None and source.kind == "get":
        code = f"options=[{option}]"
    return Fix(
        summary=f"Leave it out of this query; or take lazy=… out of the mapping of "
        f"{load.attribute} and ask for it where it is read.",
        code=code,
        location=where,
        mechanical=where is not None and bool(load.path),
    )
