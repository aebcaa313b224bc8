"""SQL302: a connection was kept although its request waited for something else."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import IdleConnection, Location, RequestRecord
from fastapi_diagnostics.rules.sql._chains import place
from fastapi_diagnostics.rules.sql._sessions import at, name_of

MIN_IDLE_MS = 200
"""A pool of fifteen connections, each kept so long for nothing, serves 75 requests a second."""
DATABASE_SHARE = 0.5
"""Where more of the looks than this found other statements running, it waited for the database."""

RULE = Rule(
    code="SQL302",
    name="connection-held-while-waiting",
    family="sql",
    severity="warning",
    title="A database connection was held during a wait for something else",
    what=(
        "Reports a connection, mostly with its transaction open, that ran no statement for 200 ms "
        "or more while its request waited for something that is not the database: an HTTP call, a "
        "sleep, a lock, the client of a websocket. The line that waited was seen waiting."
    ),
    why=(
        "A session takes a connection at its first statement and keeps it until commit, rollback "
        "or close, reads included. While it waits for another service, others queue for a "
        "connection, locks of its changed rows stay, and PostgreSQL lists it as idle in "
        "transaction."
    ),
    example=(
        "async def ship(session: AsyncSession, order_id: int) -> None:\n"
        "    order = await session.get(Order, order_id)\n"
        "    label = await carrier.post('/labels', json={'to': order.address})\n"
        "    order.label = label.text\n"
        "    await session.commit()"
    ),
    instead=(
        "async def ship(order_id: int) -> None:\n"
        "    async with new_session() as session:\n"
        "        address = await session.scalar(\n"
        "            select(Order.address).where(Order.id == order_id)\n"
        "        )\n"
        "    label = await carrier.post('/labels', json={'to': address})\n"
        "    async with new_session() as session, session.begin():\n"
        "        await session.execute(\n"
        "            update(Order).where(Order.id == order_id).values(label=label.text)\n"
        "        )"
    ),
    limits=(
        (
            "Rows that are still being read (`stream`, `yield_per`), connections with an advisory "
            "lock or LISTEN, and pools that share one connection are left out."
        ),
        "Threads are watched on Linux only, where the time they compute can be told from waiting.",
        "It is looked at every 50 ms; a wait that is made of many short ones may be missed.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each line that waited with a connection."""
    lines: dict[Location, list[IdleConnection]] = {}
    for idle in record.idle_connections:
        if _is_kept_for_nothing(idle, record):
            lines.setdefault(idle.waited_at, []).append(idle)
    for where, found in lines.items():
        yield _finding(where, found, record)


def _is_kept_for_nothing(idle: IdleConnection, record: RequestRecord) -> bool:
    if idle.streaming or not idle.scarce or idle.database > DATABASE_SHARE:
        return False
    return idle.idle_ms - _otherwise_ms(idle, record) >= MIN_IDLE_MS


def _otherwise_ms(idle: IdleConnection, record: RequestRecord) -> float:
    """Give how long of it the database worked elsewhere, or somebody held the event loop."""
    spans = [(query.started_ms, query.duration_ms) for query in record.queries]
    spans += [(wait.started_ms, wait.waited_ms) for wait in record.pool_waits]
    spans += [(block.started_ms, block.duration_ms) for block in record.blocks]
    covered, at_ms, end = 0.0, idle.started_ms, idle.started_ms + idle.idle_ms
    for started, duration in sorted(spans):
        begin, stop = max(at_ms, started), min(end, started + duration)
        if stop > begin:
            covered += stop - begin
            at_ms = stop
    return covered + sum(wait.waited_ms for wait in record.waits)


def _finding(where: Location, found: list[IdleConnection], record: RequestRecord) -> Finding:
    longest = max(found, key=lambda idle: idle.idle_ms)
    writes = max(idle.writes for idle in found)
    total_ms = sum(idle.idle_ms for idle in found)
    return RULE.finding(
        _message(longest, found, record),
        location=where,
        severity="error" if writes else "warning",
        fix=_fix(longest),
        evidence={
            "idle_ms": round(total_ms, 3),
            "count": len(found),
            "held_ms": longest.held_ms,
            "call": longest.call,
            "in_transaction": longest.in_transaction,
            "writes": writes,
            "took_at": longest.took_at,
            "phase": longest.phase,
        },
        cause="connection",
    )


def _message(longest: IdleConnection, found: list[IdleConnection], record: RequestRecord) -> str:
    what = "a database connection"
    if longest.in_transaction:
        what += " with its transaction open"
    if longest.writes:
        what += " and changes not yet committed"
    call = f" in {longest.call}" if longest.call else ""
    times = "" if len(found) == 1 else f" ({len(found)} times, this is the longest)"
    return (
        f"{name_of(record)} kept {what}, taken{at(longest.took_at)}, for {longest.idle_ms:.0f} ms "
        f"without a statement while it waited at {place(longest.waited_at)}{call}{times}."
    )


def _fix(idle: IdleConnection) -> Fix:
    wait = "await " if idle.is_async else ""
    return Fix(
        summary="Wait before the first statement, or end the transaction before this line: a "
        "commit gives the connection back. Create the session with expire_on_commit=False, so "
        "that its objects stay readable.",
        code=f"{wait}session.commit()",
        location=idle.waited_at,
    )
