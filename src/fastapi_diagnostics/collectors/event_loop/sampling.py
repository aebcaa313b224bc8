"""Takes one look at the loop's thread: which line of the user is running, and which call.

Runs in the watchdog's thread. The stack is stored as ``(code, f_lasti)`` before anything else is
done, because whatever lets go of the GIL lets the step end.
"""

import inspect
import logging
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from fastapi_diagnostics.callsite import STOP, USER, USER_CODE, Site
from fastapi_diagnostics.collectors.event_loop.calls import Call, named_call
from fastapi_diagnostics.collectors.event_loop.greenlets import Switches
from fastapi_diagnostics.collectors.event_loop.pulse import Pulse
from fastapi_diagnostics.collectors.event_loop.texts import call_text

MAX_DEPTH: Final = 400
MAX_USER_FRAMES: Final = 8
MAX_INNER: Final = 60

_CAN_AWAIT: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
IMPORTING: Final = "<frozen importlib._bootstrap>"
IN_LOGGING: Final = logging.__file__
OWN_STEP: set[CodeType] = set()
"""Code of our own callbacks, the bottom of every step."""

_DEBUGGERS: Final = ("/pdb.py", "/bdb.py", "/pydevd.py", "/_pydevd_bundle/", "/debugpy/", "/pudb/")


class Sample(NamedTuple):
    """What the thread was doing.

    Attributes:
        at: Reading of the clock before the look.
        user: The user's call sites, innermost first.
        inner: Files of the frames between the user's line and the leaf, nearest to the user first.
        outer: Of files between the user's lines, those that tell something: of logging.
        leaf: The innermost frame of all that is not ours.
        in_greenlet: Whether the stack ended before the bottom of the step.
        debugger: Whether a debugger had the thread.
        system_call: See `LoopState.system_call`; noted by the caller.
        pulse: Of the watchdog; likewise.
        slices: How often the thread had been given a processor; likewise.
    """

    at: float
    user: tuple[Site, ...]
    inner: tuple[str, ...]
    leaf: Site | None
    in_greenlet: bool
    debugger: bool
    system_call: int | None = None
    pulse: Pulse | None = None
    slices: int | None = None
    outer: tuple[str, ...] = ()


class Look:
    """A sample, with the frames that are needed to name its calls; drop it at once."""

    __slots__ = ("frames", "sample")

    def __init__(self, sample: Sample, frames: dict[Site, FrameType]) -> None:
        self.sample = sample
        self.frames = frames


def look_at(ident: int, at: float, switches: Switches | None = None) -> Look | None:
    """Look at a thread; `None` if it has ended.

    Args:
        ident: Of the thread.
        at: The present reading of the clock.
        switches: Of its greenlets, if they are followed.
    """
    frame = sys._current_frames().get(ident)  # noqa: SLF001 - the only way to another's frames
    if frame is None and switches is not None:
        frame = next(switches.parents(), None)  # a greenlet that runs C code only
    return None if frame is None else look_from(frame, at, switches)


def look_from(top: FrameType, at: float, switches: Switches | None = None) -> Look:
    """Walk a stack from its innermost frame."""
    user: list[Site] = []
    inner: list[str] = []
    between: list[str] = []  # noted where another line of the user's follows
    outer: tuple[str, ...] = ()
    leaf: Site | None = None
    frames: dict[Site, FrameType] = {}
    bottom = debugger = False
    depth = 0
    for frame in _frames(top, switches):
        depth += 1
        code = frame.f_code
        debugger = debugger or _is_debugger(code.co_filename)
        kind = USER_CODE.kind(code.co_filename)
        if code in OWN_STEP or (kind == STOP and (leaf or user)):
            bottom = True
            break
        if leaf is None and not _is_ours(code):
            leaf = (code, frame.f_lasti)
            frames[leaf] = frame
        if kind == USER and len(user) < MAX_USER_FRAMES:
            if not user:
                frames[code, frame.f_lasti] = frame
            user.append((code, frame.f_lasti))
            outer = tuple(between[:1])
        elif not user:
            inner.append(code.co_filename)
        elif len(user) < MAX_USER_FRAMES and code.co_filename == IMPORTING:
            # What runs at the top of an imported module is the doing of the import statement.
            inner.append(IMPORTING)
            user.clear()
        elif len(user) < MAX_USER_FRAMES and code.co_filename == IN_LOGGING:
            between.append(IN_LOGGING)
    sample = Sample(
        at=at,
        user=tuple(user),
        inner=tuple(reversed(inner))[:MAX_INNER],
        leaf=leaf,
        in_greenlet=not bottom and depth < MAX_DEPTH,
        debugger=debugger,
        outer=outer,
    )
    return Look(sample, frames)


def _frames(frame: FrameType | None, switches: Switches | None) -> Iterator[FrameType]:
    """Give the frames of a thread outwards, and those of its greenlet's parents; `MAX_DEPTH`."""
    left = MAX_DEPTH
    outer = None if switches is None else switches.parents()
    while frame is not None and left:
        left -= 1
        yield frame
        frame = frame.f_back
        if frame is None and outer is not None:
            frame = next(outer, None)


def own_frames(ident: int, switches: Switches | None) -> Iterator[FrameType]:
    """Give the frames of a thread that run our own code, innermost first."""
    top = sys._current_frames().get(ident)  # noqa: SLF001 - as above
    return (frame for frame in _frames(top, switches) if _is_ours(frame.f_code))


def name_calls(look: Look, calls: dict[Any, Call]) -> None:
    """Find out which functions are being called in the innermost user frame and in the leaf."""
    for site, frame in look.frames.items():
        if site not in calls:
            calls[site] = named_call(site, frame)


def read_texts(look: Look, calls: dict[Any, Call]) -> None:
    """Read the text of the calls at the innermost user frame, and where `await` can be written.

    May wait for a file.
    """
    user = look.sample.user
    outer = awaiting_site(user)
    for site in {*user[:1], *(() if outer is None else (outer,))}:
        call = calls.get(site, Call())
        if not call.source:
            calls[site] = call._replace(source=call_text(*site))


def awaiting_site(sites: tuple[Site, ...]) -> Site | None:
    """Find the innermost call site that lies in a coroutine."""
    return next((site for site in sites if site[0].co_flags & _CAN_AWAIT), None)


def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(OWN_PACKAGE)


@lru_cache(maxsize=4096)
def _is_debugger(filename: str) -> bool:
    return any(mark in filename.replace("\\", "/") for mark in _DEBUGGERS)


OWN_PACKAGE: Final = __file__.rpartition("collectors")[0]
