"""SQL307: the commit failed when the client already had its success."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import FailedCommit, RequestRecord
from fastapi_diagnostics.rules.sql._sessions import at, name_of

CLIENT_ERROR = 400
_AFTER = frozenset({"response", "teardown"})

RULE = Rule(
    code="SQL307",
    name="commit-after-response",
    family="sql",
    severity="error",
    title="A commit failed after the client had its success",
    what=(
        "Reports a commit that failed when the response had been sent already, as in a dependency "
        "that commits behind its `yield`: with the error, also where the dependency catches it."
    ),
    why=(
        "FastAPI (from 0.118 on) runs what stands behind the `yield` of a dependency after the "
        "response. A constraint that is checked there, or a connection that is lost, can no longer "
        "become an error: the client believes that its data is stored."
    ),
    example=(
        "async def get_session() -> AsyncIterator[AsyncSession]:\n"
        "    async with new_session() as session:\n"
        "        yield session\n"
        "        await session.commit()"
    ),
    instead=(
        "async def get_session() -> AsyncIterator[AsyncSession]:\n"
        "    async with new_session() as session:\n"
        "        yield session\n\n"
        '@app.post("/books")\n'
        "async def create(\n"
        "    book: BookIn, session: Annotated[AsyncSession, Depends(get_session)]\n"
        ") -> None:\n"
        "    session.add(Book(title=book.title))\n"
        "    await session.commit()"
    ),
    limits=(
        "Only commits that fail are reported, not that they come after the response.",
        "Commits of a connection without a session (`engine.begin()`) are not looked at.",
        "Background tasks have rules of their own.",
    ),
    supersedes=("TASK105", "EXC101"),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield a finding for each such commit."""
    if record.status is None or record.status >= CLIENT_ERROR:
        return
    for failed in record.failed_commits:
        if failed.answered and failed.phase in _AFTER and not failed.repeated:
            yield _finding(record, failed)


def _finding(record: RequestRecord, failed: FailedCommit) -> Finding:
    caught = "" if failed.exception is not None else " The error was caught on its way."
    return RULE.finding(
        f"{name_of(record)} had answered {record.status} when its commit{at(failed.location)} "
        f"failed: {failed.error}. What the client was told is not in the database.{caught}",
        location=failed.location or record.endpoint,
        fix=_fix(record, failed),
        evidence={
            "error": failed.error,
            "status": record.status,
            "phase": failed.phase,
            "caught": failed.exception is None,
        },
        cause=failed.error.partition(":")[0],
        subject="" if failed.exception is None else f"exceptions[{failed.exception}]",
    )


def _fix(record: RequestRecord, failed: FailedCommit) -> Fix:
    where = failed.location
    name = where.function.rpartition(".")[2] if where is not None else ""
    ran = {run.name.rpartition(".")[2] for run in record.dependencies}
    if name and name in ran:
        return Fix(
            summary="Commit in the endpoint, where a failure still becomes an error; or let this "
            "dependency end before the response, where it is asked for (FastAPI 0.121).",
            code=f'Depends({name}, scope="function")',
            location=record.endpoint,
        )
    return Fix(
        summary="Commit before the response begins, where a failure still becomes an error.",
        code="await session.commit()",
        location=record.endpoint,
    )
