"""SQL305: a synchronous database driver, used on the event loop."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, LoopBlock, Query, RequestRecord
from fastapi_diagnostics.rules.sql._chains import spent_ms
from fastapi_diagnostics.rules.sql._sessions import at, name_of, plural

ERROR_MS = 100
"""As LOOP101: from here on people notice."""
_PHASES = frozenset({"startup", "outside"})
_KINDS = frozenset({"db", "rows"})
"""Waiting for the driver, and building objects from what it gave."""

RULE = Rule(
    code="SQL305",
    name="sync-session-on-loop",
    family="sql",
    severity="warning",
    title="A synchronous database session was used on the event loop",
    what=(
        "Reports statements of a synchronous driver that ran in the thread of the event loop: in "
        "an `async def` endpoint, dependency or background task with a plain Session. Where one of "
        "them held the loop for long, its block and the requests that waited are part of it."
    ),
    why=(
        "While a synchronous driver waits for the database, nothing else runs: every other request "
        "of this worker stands still. In development each statement takes a millisecond and nobody "
        "notices; with a real database and real traffic it is the throughput of the service."
    ),
    example=(
        '@app.get("/books")\n'
        "async def books(session: Annotated[Session, Depends(get_session)]) -> list[str]:\n"
        "    return list(session.scalars(select(Book.title)))  # holds the loop"
    ),
    instead=(
        '@app.get("/books")\n'
        "def books(session: Annotated[Session, Depends(get_session)]) -> list[str]:\n"
        "    return list(session.scalars(select(Book.title)))  # FastAPI runs it in a thread"
    ),
    limits=(
        "Drivers that are used without SQLAlchemy are not seen here, only as a block (LOOP101).",
        "What `capture` records is left out: outside of a server nobody else waits for the loop.",
    ),
    supersedes=("LOOP101",),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each engine whose statements ran on the loop."""
    if record.kind not in {"http", "websocket"}:
        return
    engines: dict[int, list[Query]] = {}
    for query in record.queries:
        if query.on_loop and query.phase not in _PHASES:
            engines.setdefault(query.engine, []).append(query)
    for queries in engines.values():
        yield _finding(record, queries)


def _finding(record: RequestRecord, queries: list[Query]) -> Finding:
    lines = list(dict.fromkeys(query.location for query in queries if query.location is not None))
    blocks = [block for block in record.blocks if block.kind in _KINDS and block.location in lines]
    longest = max(blocks, key=lambda block: block.duration_ms, default=None)
    where = longest.location if longest is not None else next(iter(lines), None)
    victims = sum(len(block.victims) for block in blocks)
    evidence: dict[str, object] = {
        "statements": len(queries),
        "duration_ms": spent_ms(queries),
        "locations": lines[:20],
        "dialect": queries[0].dialect,
        "phase": queries[0].phase,
    }
    if where is None:
        evidence["no_user_frame"] = "No line of your code was running; the endpoint stands for it."
    if longest is not None:
        evidence |= {"kind": longest.kind, "call": longest.call, "held_ms": _held_ms(blocks)}
    held = bool(victims) or any(block.duration_ms >= ERROR_MS for block in blocks)
    return RULE.finding(
        _message(record, queries, where, blocks, victims),
        location=where or record.endpoint,
        severity="error" if held else "warning",
        fix=_fix(record, where, queries[0].phase),
        evidence=evidence,
        cause="sync driver",
        subject=_subject(where),
        also=tuple(_subject(line) for line in lines if line != where),
    )


def _subject(location: Location | None) -> str:
    """Name the fact as LOOP101 does."""
    return "" if location is None else f"blocks {location.file}:{location.line}"


def _held_ms(blocks: list[LoopBlock]) -> float:
    return round(sum(block.duration_ms for block in blocks), 3)


def _message(
    record: RequestRecord,
    queries: list[Query],
    where: Location | None,
    blocks: list[LoopBlock],
    victims: int,
) -> str:
    spent = spent_ms(queries)
    took = f"{spent:.1f} ms in all" if spent >= 0.1 else "less than 0.1 ms in all"  # noqa: PLR2004
    text = (
        f"{name_of(record)} ran {plural(len(queries), 'statement')} of a synchronous driver "
        f"({queries[0].dialect}) on the event loop{at(where)}, {took}"
    )
    if blocks:
        text += f"; it held the loop for {_held_ms(blocks):.0f} ms"
    if victims:
        text += f", and {plural(victims, 'other request')} waited"
    return f"{text}."


def _fix(record: RequestRecord, where: Location | None, phase: str) -> Fix:
    endpoint = record.endpoint
    summary = "use an AsyncSession with an asynchronous driver"
    if endpoint is None or where is None or endpoint.function != where.function:
        what = "the dependency" if phase == "dependencies" else "the endpoint"
        return Fix(
            summary=f"Make {what} a plain `def`, so that FastAPI runs it in a thread, or "
            f"{summary}; a call from code that has to stay asynchronous goes through a thread.",
            code="await run_in_threadpool(...)",
            location=where or endpoint,
        )
    name = endpoint.function.rpartition(".")[2]
    return Fix(
        summary=f"Make {name} a plain `def`, so that FastAPI runs it in a thread, if it awaits "
        f"nothing; else {summary}.",
        code=f"def {name}(",
        location=endpoint,
        replaces=f"async def {name}(",
    )
