"""What is noted of sessions and transactions while a request runs; weak references at most."""

from typing import Final, NamedTuple
from weakref import ref

from fastapi_diagnostics.callsite import Site
from fastapi_diagnostics.record import PhaseName

MAX_SESSIONS: Final = 500
MAX_NOTED: Final = 50

Close = tuple[float, tuple[Site, ...], PhaseName]


class SessionNote:
    """A session that was made in this record.

    Attributes:
        opened: The user's line that made it.
        closing: Whether it is being closed right now.
        raised: Whether an exception was on its way when it was closed last.
        closes: Each time it was closed.
        added: The user's line that added its first object.
    """

    __slots__ = ("added", "closes", "closing", "is_async", "made", "opened", "raised")

    def __init__(self, opened: tuple[Site, ...], made: float) -> None:
        self.opened = opened
        self.made = made
        self.closing = False
        self.raised = False
        self.is_async = False
        self.closes: list[Close] = []
        self.added: tuple[Site, ...] = ()


class Bound(NamedTuple):
    """From this moment on a connection (its identity) worked for a session (its number)."""

    moment: float
    connection: int
    session: int


class Reuse(NamedTuple):
    """A transaction of a session that had been closed `closes` times; `error` if it refused."""

    moment: float
    phase: PhaseName
    sites: tuple[Site, ...]
    note: SessionNote
    closes: int
    error: "ref[BaseException] | None"


class Lost(NamedTuple):
    """What went with a transaction; `written` holds when the statements began."""

    phase: PhaseName
    note: SessionNote | None
    closed: tuple[Site, ...]
    written: tuple[float, ...]
    writes: int
    added: tuple[str, ...]
    is_async: bool


class Failed(NamedTuple):
    """A commit that raised."""

    phase: PhaseName
    sites: tuple[Site, ...]
    session: int
    answered: bool
    text: str
    error: "ref[BaseException]"


class Clash(NamedTuple):
    """A call that came while another one of the same session was under way."""

    phase: PhaseName
    sites: tuple[Site, ...]
    text: str
    closing: bool
    error: "ref[BaseException]"


class Meeting(NamedTuple):
    """Two statements under way on one connection; `sites` is the line that gathers their tasks."""

    phase: PhaseName
    sites: tuple[Site, ...]
