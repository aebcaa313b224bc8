"""Takes one look at the loop's thread: which line of the user is running, and which call.

Runs in the watchdog's thread. The stack is stored as ``(code, f_lasti)`` before anything else is
done, because whatever lets go of the GIL lets the step end.
"""

import sys
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from fastapi_diagnostics.callsite import STOP, USER, USER_CODE, Site
from fastapi_diagnostics.collectors.event_loop.calls import Call, named_call

MAX_DEPTH: Final = 400
MAX_USER_FRAMES: Final = 8
MAX_INNER: Final = 60

IMPORTING: Final = "<frozen importlib._bootstrap>"
OWN_STEP: set[CodeType] = set()
"""Code of our own callbacks, the bottom of every step."""

_DEBUGGERS: Final = ("/pdb.py", "/bdb.py", "/pydevd.py", "/_pydevd_bundle/", "/debugpy/", "/pudb/")


class Sample(NamedTuple):
    """What the thread was doing.

    Attributes:
        at: Reading of the clock before the look.
        user: The user's call sites, innermost first.
        inner: Files of the frames between the user's line and the leaf, nearest to the user first.
        leaf: The innermost frame of all that is not ours.
        in_greenlet: Whether the stack ended before the bottom of the step.
        debugger: Whether a debugger had the thread.
        system_call: See `LoopState.system_call`; noted by the caller.
    """

    at: float
    user: tuple[Site, ...]
    inner: tuple[str, ...]
    leaf: Site | None
    in_greenlet: bool
    debugger: bool
    system_call: int | None = None


class Look:
    """A sample, with the frames that are needed to name its calls; drop it at once."""

    __slots__ = ("frames", "sample")

    def __init__(self, sample: Sample, frames: dict[Site, FrameType]) -> None:
        self.sample = sample
        self.frames = frames


def look_at(ident: int, at: float) -> Look | None:
    """Look at a thread; `None` if it has ended."""
    frame = sys._current_frames().get(ident)  # noqa: SLF001 - the only way to another's frames
    if frame is None:
        return None
    user: list[Site] = []
    inner: list[str] = []
    leaf: Site | None = None
    frames: dict[Site, FrameType] = {}
    bottom = debugger = False
    for _ in range(MAX_DEPTH):
        if frame is None:
            break
        code = frame.f_code
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
        elif not user:
            inner.append(code.co_filename)
            debugger = debugger or _is_debugger(code.co_filename)
        elif len(user) < MAX_USER_FRAMES and code.co_filename == IMPORTING:
            # What runs at the top of an imported module is the doing of the import statement.
            inner.append(IMPORTING)
            user.clear()
        frame = frame.f_back
    sample = Sample(
        at=at,
        user=tuple(user),
        inner=tuple(reversed(inner))[:MAX_INNER],
        leaf=leaf,
        in_greenlet=not bottom,
        debugger=debugger,
    )
    return Look(sample, frames)


def name_calls(look: Look, calls: dict[Any, Call]) -> None:
    """Find out which functions are being called in the innermost user frame and in the leaf."""
    for site, frame in look.frames.items():
        if site not in calls:
            calls[site] = named_call(site, frame)


def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(_OWN)


def _is_debugger(filename: str) -> bool:
    return any(mark in filename.replace("\\", "/") for mark in _DEBUGGERS)


_OWN: Final = __file__.rpartition("collectors")[0]
