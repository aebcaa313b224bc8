"""What is known of a compiled statement: found out at its first run and kept on it.

SQLAlchemy keeps compiled statements by a key in which everything stands that tells what the ORM
does with them, so that all runs of one are alike in this.
"""

from types import CodeType
from typing import Any, Final

from fastapi_diagnostics.collectors.sqlalchemy.private import (
    is_locking,
    loader_options,
    orm_facts,
)

Facts = tuple[str, str | None, bool]

CORE: Final[Facts] = ("core", None, False)
_OF_A_STATE: Final = frozenset({"expired", "refresh", "column"})
"""What these are depends on the object that is loaded again."""
_UNKNOWN: Final = object()


class Known:
    """What all runs of a compiled statement have in common; plain values only, and code.

    Attributes:
        names: Of its positional values.
        locking: Whether it was made with ``with_for_update()``.
        facts: What the ORM was doing: without load options, with them, and for a lazy load;
            `None` while nobody asked, and where it depends on the object.
        options: Whether it was given loader options.
        joined: What it joins, as `eager.joined_in` has found; `watching` tells under which
            installation.
        depth: How many frames down its greenlet begins, if none of them is the user's; zero
            while nobody has counted, negative if one is. `bottom` is what runs there, and
            `version` that of `callsite.UserCode`.
    """

    __slots__ = (
        "bottom",
        "depth",
        "facts",
        "joined",
        "locking",
        "names",
        "options",
        "version",
        "watching",
    )

    def __init__(self, compiled: Any) -> None:
        names = getattr(compiled, "positiontup", None)
        self.names: tuple[str, ...] | None = None if names is None else tuple(names)
        self.locking = is_locking(compiled)
        self.facts: list[Facts | None] = [None, None, None]
        self.options = False
        self.joined: Any = None
        self.watching: object = _UNKNOWN
        self.depth = 0
        self.bottom: CodeType | None = None
        self.version = 0


NOTHING: Final = Known(None)
"""Of a statement that is handed to the driver as text."""
NOTHING.facts[:] = (CORE, CORE, CORE)
NOTHING.depth = -1


def known_of(compiled: Any) -> Known:
    """Give what is known of a compiled statement; `None` for one that is text."""
    if compiled is None:
        return NOTHING
    try:
        found: Known = compiled._fd_known  # noqa: SLF001 - ours
    except AttributeError:
        found = compiled._fd_known = Known(compiled)  # noqa: SLF001
    return found


def facts_of(known: Known, way: int, statement: Any, load: Any) -> Facts:
    """Find out what the ORM is doing with a statement, for all its runs if it is the same.

    Args:
        known: Of its compiled form.
        way: Position in `Known.facts`.
        statement: ``ExecutionContext.invoked_statement``.
        load: The load options of this run.
    """
    facts = orm_facts(statement, load)
    if facts[0] not in _OF_A_STATE:
        known.facts[way] = facts
        known.options = bool(loader_options(statement))
    return facts
