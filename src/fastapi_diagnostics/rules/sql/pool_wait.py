"""SQL301: every connection of the pool was out, and a request had to wait for one."""

from collections.abc import Iterator
from typing import Any

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import ConnectionHolder, Location, PoolWait, RequestRecord
from fastapi_diagnostics.rules.sql._chains import place
from fastapi_diagnostics.rules.sql._sessions import at, name_of, plural

MIN_WAIT_MS = 50
"""What a wait for a thread or a blocked loop is reported for, too."""
ERROR_MS = 500
IDLE_SHARE = 0.5
"""A holder that ran no statement for more than this share of its time only kept it from others."""

RULE = Rule(
    code="SQL301",
    name="pool-wait",
    family="sql",
    severity="warning",
    title="A request waited for a database connection",
    what=(
        "Measures how long a request waited for a connection because all that its pool may have "
        "were out, and tells who had them at that moment, since when, and whether they used them. "
        "Reported from 50 ms in one request on; an error from 500 ms on and when the pool gave up."
    ),
    why=(
        "A pool has five connections and lends ten more unless it is told otherwise. When requests "
        "keep theirs for longer than their statements take, others queue, and in the end fail with "
        "`QueuePool limit ... reached`."
    ),
    example=(
        "async def checkout(session: AsyncSession, order_id: int) -> None:\n"
        "    order = await session.get(Order, order_id)\n"
        "    await payments.charge(order.total)  # keeps its connection all the while\n"
        "    await session.commit()"
    ),
    instead=(
        "async def checkout(order_id: int) -> None:\n"
        "    async with new_session() as session:\n"
        "        order = await session.get(Order, order_id)\n"
        "    await payments.charge(order.total)  # the connection serves others meanwhile\n"
        "    async with new_session() as session:\n"
        "        await mark_as_paid(session, order_id)"
    ),
    limits=(
        "Time for opening a new connection is not a wait and not counted here.",
        "Connections that are out for work of no request, such as a job, have no name here.",
        "A pool in front of the database, such as PgBouncer, is not seen.",
        "SQLAlchemy 2.0.36 hides it where several ask in one moment for the last free connection.",
    ),
    supersedes=("EXC101", "TASK101"),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each line that had to wait."""
    waits: dict[Location | None, list[PoolWait]] = {}
    for wait in record.pool_waits:
        waits.setdefault(wait.location, []).append(wait)
    for where, found in waits.items():
        gave_up = any(wait.timed_out for wait in found)
        if gave_up or sum(wait.waited_ms for wait in found) >= MIN_WAIT_MS:
            yield _finding(where, found, record)


def _finding(where: Location | None, waits: list[PoolWait], record: RequestRecord) -> Finding:
    longest = max(waits, key=lambda wait: (wait.timed_out, wait.waited_ms))
    total_ms = sum(wait.waited_ms for wait in waits)
    failed = [wait.exception for wait in waits if wait.exception is not None]
    evidence: dict[str, Any] = {
        "waited_ms": round(total_ms, 3),
        "count": len(waits),
        "capacity": longest.capacity,
        "timed_out": longest.timed_out,
        "holders": [_shown(holder) for holder in longest.holders],
        "phase": longest.phase,
    }
    if where is None:
        evidence["no_user_frame"] = "No line of your code was running; the endpoint stands for it."
    return RULE.finding(
        _message(longest, total_ms, record),
        location=where or record.endpoint,
        severity="error" if longest.timed_out or total_ms >= ERROR_MS else "warning",
        fix=_fix(longest),
        evidence=evidence,
        cause="pool",
        subject=f"exceptions[{failed[0]}]" if failed else "",
        also=tuple(f"exceptions[{index}]" for index in failed[1:]),
    )


def _message(wait: PoolWait, total_ms: float, record: RequestRecord) -> str:
    if wait.timed_out:
        begun = f"{name_of(record)} got no database connection within {wait.waited_ms:.0f} ms"
    else:
        begun = f"{name_of(record)} waited {total_ms:.0f} ms for a database connection"
    all_out = "the only one" if wait.capacity == 1 else f"all {wait.capacity}"
    text = f"{begun}{at(wait.location)}: {all_out} of the pool {_were(wait.capacity)} out"
    if wait.holders and (wait.holders[0].route or wait.holders[0].own):
        text += f", {_who(wait.holders[0], wait.capacity)}"
    return f"{text}."


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _who(holder: ConnectionHolder, capacity: int) -> str:
    most = f"{holder.connections} of them "
    if holder.connections == capacity:
        most = "" if capacity == 1 else "all "
    name = "this request itself" if holder.own else holder.route
    text = f"{most}held by {name}{at(holder.location)} for {holder.held_ms:.0f} ms"
    if holder.idle_ms >= 1:
        text += f", {holder.idle_ms:.0f} ms of it without a statement"
    return text


def _fix(wait: PoolWait) -> Fix:
    own = next((holder for holder in wait.holders if holder.own), None)
    if own is not None:
        return Fix(
            summary="Use the session that this request has already, instead of one that needs a "
            "second connection: with enough such requests at once, each waits for another one.",
            location=wait.location,
        )
    idle = max(wait.holders, key=lambda holder: holder.idle_ms, default=None)
    if idle is not None and idle.idle_ms >= max(1.0, IDLE_SHARE * idle.held_ms):
        return Fix(
            summary=f"Let {idle.route or 'the holder'} end its transaction before it waits for "
            f"something else: its connection was out for {idle.held_ms:.0f} ms and ran nothing "
            f"for {idle.idle_ms:.0f} ms of it (see {place(idle.location)}).",
            location=idle.location,
        )
    return Fix(
        summary=f"Shorten the work of those who hold them; if the database can bear more than "
        f"{plural(wait.capacity, 'connection')} from each process, allow more.",
        code=f"create_async_engine(url, pool_size={wait.capacity * 2}, max_overflow=10)",
    )


def _shown(holder: ConnectionHolder) -> dict[str, Any]:
    return {
        "request_id": holder.request_id,
        "route": holder.route,
        "location": holder.location,
        "connections": holder.connections,
        "held_ms": holder.held_ms,
        "idle_ms": holder.idle_ms,
        "own": holder.own,
    }
