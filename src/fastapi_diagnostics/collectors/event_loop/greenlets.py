"""Follows a loop's thread into greenlets, such as those of SQLAlchemy's asynchronous API.

The frames that another thread can see end where the greenlet was spawned. greenlet tells a tracer
of every switch; a dictionary's own ``__setitem__`` is one, at about 0.1 µs a switch.
"""

import importlib
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

MAX_PARENTS: Final = 20


class Switches(dict[str, Any]):
    """The latest switch of one thread by kind of event: ``(origin, target)``."""

    def parents(self) -> Iterator[FrameType]:
        """Give the frames in which the parents of the running greenlet wait, nearest first."""
        green = next((target for _, target in tuple(self.values()) if _is_running(target)), None)
        for _ in range(MAX_PARENTS):
            green = None if green is None else green.parent
            if green is None:
                return
            if green.gr_frame is not None:
                yield green.gr_frame


def follow() -> Switches | None:
    """Note the switches of the calling thread from now on.

    Returns:
        `None` if there are no greenlets, or somebody else traces them.
    """
    greenlet = _greenlet()
    if greenlet is None:
        return None
    tracer = greenlet.gettrace()
    held = getattr(tracer, "__self__", None)
    if isinstance(held, Switches):
        return held
    if tracer is not None:
        return None
    switches = Switches()
    greenlet.settrace(switches.__setitem__)
    return switches


def leave(switches: Switches | None) -> None:
    """Take the tracer off again; only its own thread can."""
    greenlet = _greenlet()
    if switches is not None and greenlet is not None:
        if greenlet.gettrace() == switches.__setitem__:
            greenlet.settrace(None)
        switches.clear()


def _greenlet() -> Any:
    """Give the module, if the application has greenlets: SQLAlchemy imports it at first use."""
    if "greenlet" not in sys.modules and "sqlalchemy.ext.asyncio" not in sys.modules:
        return None
    try:
        greenlet = importlib.import_module("greenlet")
    except ImportError:
        return None
    return greenlet if hasattr(greenlet, "settrace") else None


def _is_running(green: Any) -> bool:
    """Tell whether a thread is in it: a suspended one has a frame, a dead one is false."""
    return bool(green) and green.gr_frame is None
