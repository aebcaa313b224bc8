"""SQL203: one session, used by several tasks at the same time."""

from collections.abc import Iterator
from itertools import pairwise

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, Query, RequestRecord, SessionClash
from fastapi_diagnostics.rules.sql._chains import place
from fastapi_diagnostics.rules.sql._sessions import name_of

ROUNDING_MS = 0.01
"""Times are kept to a microsecond: a shorter overlap may come of rounding."""

RULE = Rule(
    code="SQL203",
    name="shared-async-session",
    family="sql",
    severity="error",
    title="One session was used by several tasks at the same time",
    what=(
        "Reports statements of different tasks that ran on one connection at the same time, as "
        "with `asyncio.gather` over one AsyncSession, and the errors with which SQLAlchemy refuses "
        "a call while another one is under way."
    ),
    why=(
        "A session is one conversation with the database: it is not safe for use in concurrent "
        "tasks. A fresh one fails at once; one that has its connection mostly works, until a "
        "flush, a rollback or a commit of one task meets the half-done work of another."
    ),
    example=(
        "async def dashboard(session: AsyncSession) -> tuple[int, int]:\n"
        "    return await asyncio.gather(\n"
        "        session.scalar(select(func.count(Book.id))),\n"
        "        session.scalar(select(func.count(Author.id))),\n"
        "    )"
    ),
    instead=(
        "async def dashboard(session: AsyncSession) -> tuple[int, int]:\n"
        "    books = await session.scalar(select(func.count(Book.id)))\n"
        "    authors = await session.scalar(select(func.count(Author.id)))\n"
        "    return books, authors"
    ),
    limits=(
        "Tasks that share a session without ever meeting in a statement are not noticed.",
        "Where SQLAlchemy refuses the second call, the first one's line is not known.",
    ),
    supersedes=("EXC101", "TASK101", "TASK103"),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each pair of lines that met; else one for what was refused."""
    pairs = list(_met(record.queries))
    refused = [clash for clash in record.session_clashes if clash.error and not clash.closing]
    met = (clash.location for clash in record.session_clashes if not clash.error)
    gathered = next((where for where in met if where is not None), None)
    seen: set[frozenset[Location | None]] = set()
    for first, second in pairs:
        lines = frozenset((first.location, second.location))
        if lines not in seen:
            seen.add(lines)
            yield _of_pair(record, first, second, pairs, refused, gathered)
    if refused and not pairs:
        yield _of_refusal(record, refused)


def _met(queries: tuple[Query, ...]) -> Iterator[tuple[Query, Query]]:
    """Find neighbours on one connection that overlap and are of different tasks."""
    by_connection: dict[int, list[Query]] = {}
    for query in queries:
        if query.connection is not None:
            by_connection.setdefault(query.connection, []).append(query)
    for own in by_connection.values():
        own.sort(key=lambda query: query.started_ms)
        for first, second in pairwise(own):
            end = first.started_ms + first.duration_ms
            if first.task != second.task and second.started_ms < end - ROUNDING_MS:
                yield first, second


def _of_pair(
    record: RequestRecord,
    first: Query,
    second: Query,
    pairs: list[tuple[Query, Query]],
    refused: list[SessionClash],
    gathered: Location | None,
) -> Finding:
    line = second.location or first.location or gathered
    tasks = {query.task for pair in pairs for query in pair}
    if line is None:
        where = "in tasks without a line of yours"
    elif first.location == second.location or None in {first.location, second.location}:
        where = f"at {place(line)}"
    else:
        where = f"at {place(first.location)} and {place(second.location)}"
    index = next((clash.exception for clash in refused if clash.exception is not None), None)
    return RULE.finding(
        f"{name_of(record)} used one session from {len(tasks)} tasks at the same time, {where}: "
        "the second statement began before the first had ended.",
        location=line or record.endpoint,
        fix=_fix(line),
        evidence={
            "tasks": len(tasks),
            "overlaps": len(pairs),
            "first": {"sql": first.sql, "location": first.location},
            "second": {"sql": second.sql, "location": second.location},
            "phase": second.phase,
        },
        cause="overlapping statements",
        subject="" if index is None else f"exceptions[{index}]",
    )


def _of_refusal(record: RequestRecord, refused: list[SessionClash]) -> Finding:
    clash = next((one for one in refused if one.location is not None), refused[0])
    found = [one.exception for one in refused if one.exception is not None]
    return RULE.finding(
        f"{name_of(record)} called a session at {place(clash.location)} while another call of it "
        f"was under way in another task, and SQLAlchemy refused it: {clash.error}",
        location=clash.location or record.endpoint,
        fix=_fix(clash.location),
        evidence={"refused": len(refused), "error": clash.error, "phase": clash.phase},
        cause="refused",
        subject=f"exceptions[{found[0]}]" if found else "",
        also=tuple(f"exceptions[{index}]" for index in found[1:]),
    )


def _fix(location: Location | None) -> Fix:
    return Fix(
        summary="Await one call after the other, or open a session of its own in each task.",
        code="async with new_session() as session:\n    ...  # what this task does",
        location=location,
    )
