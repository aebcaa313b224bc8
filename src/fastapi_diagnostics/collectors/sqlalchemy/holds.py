"""Connections that are out of their pool, as far as a request took them.

A hold lives as long as the pool's proxy of the connection, which it only refers to weakly: when
the connection goes back, or its owner is collected, the proxy dies and the hold with it.
"""

from asyncio import _get_running_loop, current_task
from functools import lru_cache
from threading import get_ident, get_native_id
from time import perf_counter
from typing import Any, Final, NamedTuple
from weakref import ref

from fastapi_diagnostics.callsite import Site
from fastapi_diagnostics.collectors.sqlalchemy.private import is_autocommit
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import PhaseName
from fastapi_diagnostics.recorder import Recorder

IDLE_S: Final = 0.2
"""From here on a connection that waits for something else is a fact."""
MAX_IDLES: Final = 50
MAX_WRITTEN: Final = 20

_CHANGES: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"})
_FIRST_LETTERS: Final = frozenset("IUDMRWCiudmrwc")
_LOCKS: Final = ("PG_ADVISORY_", "PG_TRY_ADVISORY_", "GET_LOCK(", "LISTEN ")
"""What a connection is held for on purpose: it would be lost with it."""


class Look(NamedTuple):
    """What the watch saw of a request whose connection ran nothing.

    Attributes:
        site: The user's line that waited; `None` if it did not wait, or none could be told.
        call: What waited, such as ``asyncio.sleep``.
        database: Whether another statement of the same request ran, or another connection was
            being waited for.
    """

    site: Site | None
    call: str
    database: bool


class Idle(NamedTuple):
    """A stretch without statements on a connection that was out."""

    began: float
    ended: float
    taken: float
    phase: PhaseName
    looks: tuple[Look, ...]
    sites: tuple[Site, ...]
    in_transaction: bool
    writes: int
    streaming: bool
    scarce: bool
    dialect: str
    is_async: bool


class Hold:
    """One connection out of its pool; holds nothing of the application but weak references.

    Attributes:
        proxy: The pool's own proxy of the connection, weakly.
        recorder: Of the request that took it; `None` once that is closed.
        idle_since: End of its last statement; `None` before the first and while one runs.
        idle_s: Seconds between statements before that.
        busy: Whether a statement is under way.
        taken: When it was taken; `returned` likewise, `None` while it is out.
        sites: The user's line of its first statement; empty before that.
        stack: The user's frames of its last statement, innermost first.
        session: Number of the session that uses it.
        written: When each statement began that changed rows of the open transaction, the first
            ones; `writes` counts them all.
        marks: `writes` at each open savepoint.
        scarce: Whether others have to do without it; false for pools that share one connection.
        kept: Whether it holds a lock or a subscription, which is why it is kept.
        looks: What the watch saw since `idle_since`.
        cpu: The processor's time of its thread when the watch looked last.
    """

    __slots__ = (
        "busy",
        "cpu",
        "dialect",
        "idle_s",
        "idle_since",
        "in_transaction",
        "is_async",
        "kept",
        "looks",
        "marks",
        "native",
        "phase",
        "pool",
        "proxy",
        "record_id",
        "recorder",
        "returned",
        "route",
        "scarce",
        "session",
        "sites",
        "stack",
        "streaming",
        "taken",
        "task",
        "thread",
        "writes",
        "written",
    )

    def __init__(self, recorder: Recorder, pool: int, moment: float, *, scarce: bool) -> None:
        self.proxy: ref[Any] | None = None
        self.recorder: Recorder | None = recorder
        self.record_id = recorder.id
        self.route = ""
        self.pool = pool
        self.taken = moment
        self.returned: float | None = None
        self.phase: PhaseName = recorder.phase
        self.idle_s = 0.0
        self.idle_since: float | None = None
        self.sites: tuple[Site, ...] = ()
        self.stack: tuple[Site, ...] = ()
        self.session: int | None = None
        self.busy = False
        self.in_transaction = False
        self.is_async = False
        self.dialect = ""
        self.written: list[float] = []
        self.writes = 0
        self.marks: list[int] = []
        self.scarce = scarce
        self.streaming = False
        self.kept = False
        self.looks: list[Look] = []
        loop = _get_running_loop()
        task = current_task(loop) if loop is not None else None
        self.task: ref[Any] | None = None if task is None else ref(task)
        self.thread = get_ident()
        # Only of threads it is asked how long they ran; telling it is a call of the system.
        self.native = get_native_id() if task is None else 0
        self.cpu: tuple[float, float] | None = None

    def is_out(self) -> bool:
        """Tell whether the connection is still out of its pool."""
        proxy = None if self.proxy is None else self.proxy()
        return proxy is not None and proxy.dbapi_connection is not None

    def settle(self) -> None:
        """Forget the writes of a transaction that has ended."""
        self.in_transaction = False
        if self.writes:
            self.writes = 0
            self.written = []
        if self.marks:
            self.marks = []


HELD: Final[dict[int, Hold]] = {}
"""Every hold, by the identity of the pool's proxy."""


def take(hold: Hold, proxy: Any) -> None:
    """Keep a hold until its proxy dies."""
    key = id(proxy)

    def gone(dead: ref[Any]) -> None:
        try:
            held = HELD.get(key)
            if held is not None and held.proxy is dead:
                del HELD[key]
                held.returned = perf_counter()
                if held.idle_since is not None and held.looks:
                    end_idle(held)
        except Exception as error:  # noqa: BLE001 - ours, in a destructor
            FAULTS.note("sql.hold", error)

    hold.proxy = ref(proxy, gone)
    HELD[key] = hold


def of_connection(conn: Any) -> Hold | None:
    """Find the hold of a connection of SQLAlchemy that is valid."""
    return HELD.get(id(conn.connection))


def began(hold: Hold, moment: float) -> bool:
    """Note that a statement begins; tell whether another one is under way."""
    if hold.looks:
        end_idle(hold)
    since = hold.idle_since
    if since is not None:
        hold.idle_s += moment - since
        hold.idle_since = hold.cpu = None
    met, hold.busy = hold.busy, True
    return met


def ended(
    hold: Hold,
    sites: tuple[Site, ...] | None,
    conn: Any,
    cursor: Any,
    statement: str,
    context: Any,
    moment: float,
) -> None:
    """Note that a statement is over; *sites* is `None` for one that was only counted."""
    hold.busy = False
    hold.idle_since = moment
    hold.in_transaction = True
    if sites is not None:
        hold.stack = sites
    if not hold.sites:
        hold.sites = hold.stack[:1]
        hold.dialect = conn.dialect.name
        hold.is_async = conn.dialect.is_async
    hold.streaming = (
        context._is_server_side  # noqa: SLF001 - tested in `private`
        or "yield_per" in context.execution_options
    )
    if statement[:1] in _FIRST_LETTERS:
        _note_change(hold, conn, cursor, statement, context, moment)
    elif not hold.kept and _is_lock(statement):
        hold.kept = True


def failed(conn: Any, moment: float) -> None:
    """Note that a statement ended in an error."""
    hold = None if conn is None or conn.invalidated else HELD.get(id(conn.connection))
    if hold is not None:
        hold.busy = False
        hold.idle_since = moment


def end_idle(hold: Hold, moment: float | None = None) -> None:
    """Close a stretch that the watch looked into, and tell of it if it was long."""
    looks, hold.looks = tuple(hold.looks), []
    since, now = hold.idle_since, moment or perf_counter()
    recorder = hold.recorder
    if since is None or now - since < IDLE_S or recorder is None or recorder.closed:
        return
    if hold.kept:
        return
    idle = Idle(
        began=since,
        ended=now,
        taken=hold.taken,
        phase=recorder.phase_during(since, now),
        looks=looks,
        sites=hold.sites,
        in_transaction=hold.in_transaction,
        writes=hold.writes,
        streaming=hold.streaming,
        scarce=hold.scarce,
        dialect=hold.dialect,
        is_async=hold.is_async,
    )
    part = recorder.parts.get("sessions")
    if part is not None and len(part.idles) < MAX_IDLES:
        part.idles.append(idle)


def _note_change(
    hold: Hold, conn: Any, cursor: Any, statement: str, context: Any, moment: float
) -> None:
    words = statement.split(None, 1)
    verb = words[0].upper() if words else ""
    if verb == "COMMIT":  # written by hand
        hold.settle()
        return
    if verb == "WITH":
        changes = context.isinsert or context.isupdate or context.isdelete
    else:
        changes = verb in _CHANGES
    if changes and cursor.rowcount != 0 and not is_autocommit(conn):
        hold.writes += 1
        if len(hold.written) < MAX_WRITTEN:
            hold.written.append(getattr(context, "_fd_started", moment))


@lru_cache(maxsize=1024)
def _is_lock(statement: str) -> bool:
    # Only the beginning: a lock is taken by a short statement of its own.
    text = statement[:200].upper()
    return any(lock in text for lock in _LOCKS)
