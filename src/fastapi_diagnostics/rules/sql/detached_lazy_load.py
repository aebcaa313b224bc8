"""SQL202: an attribute was read whose object had no session, or that may not be loaded lazily."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Rule
from fastapi_diagnostics.record import LazyLoadFailure, RequestRecord
from fastapi_diagnostics.rules.sql._chains import place
from fastapi_diagnostics.rules.sql._lazy_loads import finding, grouped
from fastapi_diagnostics.rules.sql._sessions import outlived

RULE = Rule(
    code="SQL202",
    name="detached-lazy-load",
    family="sql",
    severity="error",
    title="An attribute was read that could no longer be loaded (DetachedInstanceError)",
    what=(
        'Explains DetachedInstanceError and `lazy="raise"`: which attribute was read where, why '
        "it was not there (never loaded, expired by a commit, or left out by refresh), where the "
        "session was closed, and which query should have loaded it. Also when FastAPI reports it "
        "as an invalid response."
    ),
    why=(
        "An object whose session is closed keeps what it has, and can load nothing more. The "
        "traceback names neither the line that closed the session nor the query that should have "
        "loaded the attribute."
    ),
    example=(
        "def get_author(author_id: int) -> Author:\n"
        "    with Session(engine) as session:\n"
        "        return session.scalars(select(Author).where(Author.id == author_id)).one()\n\n"
        "titles = [book.title for book in get_author(1).books]  # DetachedInstanceError"
    ),
    instead=(
        "def get_author(author_id: int) -> Author:\n"
        "    with Session(engine) as session:\n"
        "        query = select(Author).where(Author.id == author_id)\n"
        "        return session.scalars(query.options(selectinload(Author.books))).one()\n\n"
        "titles = [book.title for book in get_author(1).books]"
    ),
    limits=(
        "Objects that were loaded outside of the request, such as in a cache, have no known query.",
        "Objects that were taken out of an open session with `expunge` are not told from others.",
    ),
    supersedes=("RES105", "EXC101", "TASK101"),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Explain each attribute that could not be loaded; equal ones once.

    What a background task does to objects of a session that was closed is SQL304.
    """
    failures = (
        one for one in record.lazy_failures if one.kind != "async" and not outlived(one, record)
    )
    for group in grouped(failures):
        yield finding(RULE, record, group, _refused, _title)


def _refused(failure: LazyLoadFailure) -> str:
    if failure.kind == "raise":
        return ', which may not be loaded lazily (`lazy="raise"` or `raiseload`)'
    closed = "" if failure.closed_at is None else f", closed at {place(failure.closed_at)}"
    return f", when its object had no session any more (DetachedInstanceError{closed})"


def _title(failure: LazyLoadFailure) -> str:
    if failure.kind == "raise":
        return f"{failure.attribute} was read, but not loaded, and may not be loaded lazily"
    return f"{failure.attribute} was read after its session was closed, but was not loaded"
