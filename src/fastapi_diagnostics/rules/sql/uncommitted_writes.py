"""SQL306: rows were changed, a success was answered, and then all of it was rolled back."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, LooseTask, LostWrites, Query, RequestRecord
from fastapi_diagnostics.rules.sql._sessions import at, name_of, plural

CLIENT_ERROR = 400
"""From here on nothing was promised to the client."""
_READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

RULE = Rule(
    code="SQL306",
    name="uncommitted-writes",
    family="sql",
    severity="error",
    title="Changes were rolled back because nothing committed them",
    what=(
        "Reports rows that were inserted, updated or deleted in a transaction that ended because "
        "its session or connection was closed, without a commit and without a rollback of the "
        "application's own, while the client got a success. Also objects that were added to a "
        "session and never written, when the method is one that changes things."
    ),
    why=(
        "A session that is closed rolls back what was not committed, without an error or a "
        "warning. Within the request all looks well, even the new id is there; afterwards the row "
        "does not exist."
    ),
    example=(
        "async def create_book(session: AsyncSession, title: str) -> int:\n"
        "    book = Book(title=title)\n"
        "    session.add(book)\n"
        "    await session.flush()\n"
        "    return book.id"
    ),
    instead=(
        "async def create_book(session: AsyncSession, title: str) -> int:\n"
        "    book = Book(title=title)\n"
        "    session.add(book)\n"
        "    await session.commit()\n"
        "    return book.id"
    ),
    limits=(
        "Sessions made outside of the request, such as a test's fixture, are left alone.",
        "Whether a function or a trigger that a SELECT calls changes rows is not known.",
        (
            "Objects that were changed and never flushed are not counted: they may be meant for "
            "the response only."
        ),
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each session whose changes were lost."""
    if record.kind != "http" or record.status is None or record.status >= CLIENT_ERROR:
        return
    if any(_is_lost_commit(task) for task in record.loose_tasks):
        return  # TASK107 tells that a commit was called and not awaited
    by_index = {query.index: query for query in record.queries}
    written = [lost for lost in record.lost_writes if lost.statements]
    for lost in written:
        yield _of_statements(record, lost, by_index)
    told = {(lost.opened_at, lost.closed_at) for lost in written}
    for lost in record.lost_writes:
        pending = not lost.statements and record.method not in _READING
        if pending and (lost.opened_at, lost.closed_at) not in told:
            yield _of_objects(record, lost)


def _is_lost_commit(task: LooseTask) -> bool:
    return task.kind == "never-awaited" and task.name.rpartition(".")[2] == "commit"


def _of_statements(record: RequestRecord, lost: LostWrites, by_index: dict[int, Query]) -> Finding:
    queries = [by_index[index] for index in lost.queries if index in by_index]
    last = queries[-1] if queries else None
    where = next((query.location for query in reversed(queries) if query.location), None)
    closed = f" was closed{at(lost.closed_at)}"
    owner = "its session" if lost.opened_at is not None else "its connection"
    return RULE.finding(
        f"{name_of(record)} answered {record.status}, but {plural(lost.statements, 'statement')} "
        f"that changed rows{at(where)} {_was(lost.statements)} rolled back: {owner}{closed} "
        "without a commit.",
        location=where or lost.opened_at or record.endpoint,
        fix=_fix(lost, where),
        evidence={
            "statements": lost.statements,
            "sql": last.sql if last is not None else None,
            "opened_at": lost.opened_at,
            "closed_at": lost.closed_at,
            "phase": lost.phase,
            "queries": list(lost.queries),
        },
        cause="rolled back",
    )


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _of_objects(record: RequestRecord, lost: LostWrites) -> Finding:
    names = ", ".join(lost.added)
    return RULE.finding(
        f"{name_of(record)} answered {record.status}, but what it had added to its session"
        f"{at(lost.added_at)} ({names}) was never written: the session was closed"
        f"{at(lost.closed_at)} without a commit.",
        location=lost.added_at or lost.opened_at or record.endpoint,
        severity="warning",
        confidence="likely",
        title="Objects were added to a session and never written",
        fix=_fix(lost, lost.added_at),
        evidence={
            "added": list(lost.added),
            "opened_at": lost.opened_at,
            "closed_at": lost.closed_at,
            "phase": lost.phase,
        },
        cause="never written",
    )


def _fix(lost: LostWrites, where: Location | None) -> Fix:
    owner = "session" if lost.opened_at is not None else "connection"
    return Fix(
        summary="Commit when the work is done, before the response; if it is meant to be undone, "
        "say so with rollback().",
        code=f"{'await ' if lost.is_async else ''}{owner}.commit()",
        location=where,
    )
