"""SQL201: an attribute had to be loaded where no query can run (MissingGreenlet, explained)."""

from collections import defaultdict
from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import LazyLoadFailure, Query, RequestRecord
from fastapi_diagnostics.rules.sql._chains import place

SERVER_ERROR = 500
"""Below it the request went well: somebody caught the error, perhaps on purpose."""

RULE = Rule(
    code="SQL201",
    name="lazy-load-in-async",
    family="sql",
    severity="error",
    title="An attribute was read that had not been loaded (MissingGreenlet)",
    what=(
        "Explains MissingGreenlet: which attribute was read where, why it was not there (never "
        "loaded, expired by a commit, or left out by refresh), and where to load it. Also when "
        "FastAPI reports it as an invalid response."
    ),
    why=(
        "With an AsyncSession reading an attribute cannot run a query, so the request fails. The "
        "traceback names neither the attribute nor the line that should have loaded it."
    ),
    example=(
        "async def titles(session: AsyncSession) -> list[str]:\n"
        "    author = await session.scalar(select(Author))\n"
        "    return [book.title for book in author.books]  # MissingGreenlet"
    ),
    instead=(
        "async def titles(session: AsyncSession) -> list[str]:\n"
        "    query = select(Author).options(selectinload(Author.books))\n"
        "    author = await session.scalar(query)\n"
        "    return [book.title for book in author.books]"
    ),
    limits=(
        "Objects that were loaded outside of the request have no known query.",
        "A commit in another session of the same request may be named as the cause of the expiry.",
    ),
    supersedes=("RES105", "EXC101"),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Explain each attribute that could not be loaded; equal ones once."""
    by_index = {query.index: query for query in record.queries}
    groups: dict[tuple[object, ...], list[LazyLoadFailure]] = defaultdict(list)
    for failure in record.lazy_failures:
        if failure.cause != "raise-strategy":
            same = (failure.attribute, failure.cause, failure.read_at, failure.cause_location)
            groups[same].append(failure)
    for failures in groups.values():
        first = failures[0]
        source = by_index.get(first.parent_query) if first.parent_query is not None else None
        yield _finding(record, failures, source)


def _finding(
    record: RequestRecord, failures: list[LazyLoadFailure], source: Query | None
) -> Finding:
    failure = failures[0]
    index = next((f.exception for f in failures if f.exception is not None), None)
    line = source.location if source is not None else None
    evidence = {
        "attribute": failure.attribute,
        "cause": failure.cause,
        "cause_location": failure.cause_location,
        "count": len(failures),
        "phase": failure.phase,
        "response_field": None if failure.read_at else _name(failure),
        "parent_query": None
        if source is None
        else {"sql": source.sql, "location": source.location},
    }
    caught = index is None and record.status is not None and record.status < SERVER_ERROR
    if failure.read_at is None:
        evidence["no_user_frame"] = "The attribute was read while the response was serialised."
    return RULE.finding(
        _message(record, failure, source, caught=caught),
        severity="info" if caught else None,
        title=f"{failure.attribute} was read in async code, but was not loaded",
        location=failure.read_at or line or record.endpoint,
        fix=_fix(failure, source),
        evidence=evidence,
        cause=f"{failure.attribute} {failure.cause}",
        subject=f"exceptions[{index}]" if index is not None else "",
    )


def _message(
    record: RequestRecord, failure: LazyLoadFailure, source: Query | None, *, caught: bool
) -> str:
    if failure.read_at is not None:
        text = f"{failure.attribute} was read at {place(failure.read_at)}"
    else:
        endpoint = f"{record.endpoint.function}()" if record.endpoint else record.route
        text = f"The response of {endpoint} read {failure.attribute}"
    text += ", where an AsyncSession cannot run the query that loads it (MissingGreenlet)"
    end = " The error was caught on its way." if caught else ""
    return f"{text}: {_reason(failure, source)}.{end}"


def _reason(failure: LazyLoadFailure, source: Query | None) -> str:
    cause = place(failure.cause_location)
    if failure.cause == "refreshed-without-relationship":
        return (
            f"refresh() at {cause} reloaded the columns, but does not load a relationship unless "
            "it is named"
        )
    if failure.cause == "expired-by-commit":
        if failure.cause_location is None:
            return "the object had expired"
        return f"the end of the transaction at {cause} expired the object"
    if source is not None and source.location is not None:
        return f"the query at {place(source.location)} fetched the object without it"
    return "it was never loaded for this object"


def _fix(failure: LazyLoadFailure, source: Query | None) -> Fix:
    owner, _, name = failure.attribute.partition(".")
    variable = owner.lower()
    refresh = f'await session.refresh({variable}, ["{name}"])'
    if failure.cause == "refreshed-without-relationship":
        return Fix(
            summary=f"Name the relationship as well: refresh(…) alone does not load {name}.",
            code=refresh,
            location=failure.cause_location,
        )
    if failure.cause == "expired-by-commit" and failure.collection is None:
        return Fix(
            summary="Create the session with expire_on_commit=False, or refresh the object after "
            "the commit.",
            code="async_sessionmaker(engine, expire_on_commit=False)",
            location=failure.cause_location,
        )
    if failure.cause == "expired-by-commit":
        return Fix(
            summary=f"Load {name} after the commit, or load it in the query and create the session "
            "with expire_on_commit=False.",
            code=refresh,
            location=failure.cause_location,
        )
    if source is None or source.location is None:
        return Fix(
            summary=f"Load {name} before it is read.", code=refresh, location=failure.read_at
        )
    return Fix(
        summary=f"Load {failure.attribute} in the query that fetches the object.",
        code=_option_code(failure, source),
        location=source.location,
        mechanical=True,
    )


def _option_code(failure: LazyLoadFailure, source: Query) -> str:
    loaders = {None: "undefer", True: "selectinload", False: "joinedload"}
    option = f"{loaders[failure.collection]}({failure.attribute})"
    owner = failure.attribute.partition(".")[0]
    if source.kind == "get":
        return f"options=[{option}]"
    if source.kind in {"eager", "lazy"} and source.attribute:
        via = "selectinload" if source.collection else "joinedload"
        return f".options({via}({source.attribute}).{option})"
    if source.kind == "query" and source.attribute == owner:
        return f"select({owner}).options({option})"
    return f".options({option})"


def _name(failure: LazyLoadFailure) -> str:
    return failure.attribute.partition(".")[2]
