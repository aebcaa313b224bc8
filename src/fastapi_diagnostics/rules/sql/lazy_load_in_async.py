"""SQL201: an attribute had to be loaded where no query can run (MissingGreenlet, explained)."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Rule
from fastapi_diagnostics.record import LazyLoadFailure, RequestRecord
from fastapi_diagnostics.rules.sql._lazy_loads import finding, grouped

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
    limits=("Objects that were loaded outside of the request have no known query.",),
    supersedes=("RES105", "EXC101", "TASK101", "TASK103", "TASK105", "TASK106"),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Explain each attribute that could not be loaded; equal ones once."""
    for failures in grouped(one for one in record.lazy_failures if one.kind == "async"):
        yield finding(RULE, record, failures, _refused, _title)


def _refused(_failure: LazyLoadFailure) -> str:
    return ", where an AsyncSession cannot run the query that loads it (MissingGreenlet)"


def _title(failure: LazyLoadFailure) -> str:
    return f"{failure.attribute} was read in async code, but was not loaded"
