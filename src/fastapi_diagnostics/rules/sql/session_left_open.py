"""SQL303: a request was over, and its connection still out of the pool."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, OpenConnection, RequestRecord
from fastapi_diagnostics.rules.sql._sessions import at, name_of, plural

RULE = Rule(
    code="SQL303",
    name="session-left-open",
    family="sql",
    severity="error",
    title="A session was not closed",
    what=(
        "Reports a connection that a request took and that was still checked out when all of it "
        "was over: response, background tasks and teardown. Names the line that made the session, "
        "and the statement that took the connection."
    ),
    why=(
        "Such a connection goes back only when the garbage collector happens to find it, with "
        "asynchronous drivers not even then. Until the pool is empty all is well; then every "
        "request waits and fails. Changes that were not committed are lost."
    ),
    example=(
        "def get_session() -> Session:\n"
        "    return Session(engine)  # who closes it?\n\n"
        '@app.get("/books")\n'
        "def books(session: Annotated[Session, Depends(get_session)]) -> list[BookOut]: ..."
    ),
    instead=(
        "def get_session() -> Iterator[Session]:\n"
        "    with Session(engine) as session:\n"
        "        yield session\n\n"
        '@app.get("/books")\n'
        "def books(session: Annotated[Session, Depends(get_session)]) -> list[BookOut]: ..."
    ),
    limits=(
        (
            "Sessions made outside of the request (in a fixture, at start-up) are left alone, and "
            "so is what a task or thread beside the request still works with."
        ),
        "Pools that share one connection (StaticPool, SQLite in memory) are not watched for this.",
        (
            "A connection without a session that is kept for later requests looks like a forgotten "
            "one in the request that opened it."
        ),
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each line that left connections out."""
    lines: dict[tuple[Location | None, Location | None], list[OpenConnection]] = {}
    for left in record.open_connections:
        if not (left.closed_before and left.phase == "background"):  # that is SQL304
            lines.setdefault((left.opened_at, left.took_at), []).append(left)
    for found in lines.values():
        yield _finding(found, record)


def _finding(found: list[OpenConnection], record: RequestRecord) -> Finding:
    first = found[0]
    where = first.opened_at or first.took_at or record.endpoint
    return RULE.finding(
        _message(found, record),
        location=where,
        confidence="proven" if first.session else "likely",
        title="A session was not closed" if first.session else "A connection was not closed",
        fix=_fix(first, where),
        evidence={
            "connections": len(found),
            "opened_at": first.opened_at,
            "took_at": first.took_at,
            "closed_at": first.closed_at,
            "held_ms": first.held_ms,
            "in_transaction": first.in_transaction,
            "writes": sum(left.writes for left in found),
            "phase": first.phase,
        },
        cause="session" if first.session else "connection",
    )


def _message(found: list[OpenConnection], record: RequestRecord) -> str:
    first = found[0]
    writes = sum(left.writes for left in found)
    if first.session:
        text = f"The session made{at(first.opened_at)}"
        if first.closed_before:
            text += f" was closed{at(first.closed_at)}, used again{at(first.took_at)}, and then"
        text += " was not closed"
    else:
        text = f"The connection taken{at(first.took_at)} was not closed"
    text += f": when {name_of(record)} was over, "
    if len(found) > 1:
        text += f"{len(found)} connections were still checked out of the pool"
    else:
        text += "its connection was still checked out of the pool"
    if writes:
        text += f", with {plural(writes, 'statement')} that changed rows not committed"
    return f"{text}."


def _fix(left: OpenConnection, where: Location | None) -> Fix:
    way = "async with" if left.is_async else "with"
    if left.session:
        made = "new_session()" if left.is_async else "Session(engine)"
        code = f"{way} {made} as session:\n    yield session"
    else:
        code = f"{way} engine.connect() as connection:\n    ..."
    return Fix(
        summary="Open it in a `with` block, in a dependency around its `yield`: then it is closed "
        "however the request ends.",
        code=code,
        location=where,
    )
