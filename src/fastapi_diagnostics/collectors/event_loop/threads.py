"""What the other threads of the process do, and how much processor time each of them had.

Linux only: elsewhere no clock of another thread can be read without the risk that it has ended.
"""

import sys
import threading
import time
from collections.abc import Mapping
from contextvars import Context
from types import FrameType
from typing import Any, Final, NamedTuple, TypeAlias

from fastapi_diagnostics.callsite import Site
from fastapi_diagnostics.collectors.event_loop.calls import Call
from fastapi_diagnostics.collectors.event_loop.sampling import Look, Sample, look_from, name_calls
from fastapi_diagnostics.recorder import CURRENT, Recorder

OURS: Final = "fastapi-diagnostics"
"""How the names of our own threads begin."""
_MAX_THREADS: Final = 200
_MAX_OUTER: Final = 200


class Doing(NamedTuple):
    """What a thread was doing.

    Attributes:
        calls: By site, those of the innermost user frame and of the leaf.
        recorder: Of the request for which it works; `None` without one.
    """

    sample: Sample
    calls: Mapping[Site, Call]
    recorder: Recorder | None


def clocks() -> dict[int, tuple[threading.Thread, float]]:
    """Read the CPU seconds of every thread that Python started, by ident; 1 µs a thread."""
    if sys.platform != "linux":
        return {}
    found = {}
    for thread in threading.enumerate()[:_MAX_THREADS]:
        native, ident = thread.native_id, thread.ident
        if native is None or ident is None or thread.name.startswith(OURS):
            continue
        try:
            # What pthread_getcpuclockid() makes of a thread; that crashes if it has ended.
            found[ident] = (thread, time.clock_gettime((~native << 3) | 6))
        except OSError:
            continue
    return found


Glimpse: TypeAlias = tuple[Look, Recorder | None]
"""A thread's stack, of which no call has been named yet, and for whom it works; holds what its
frames hold, so drop it soon."""


def glimpses(at: float, but: frozenset[int]) -> dict[int, Glimpse]:
    """Walk the stacks of all threads, except those with one of the given idents.

    Nothing else is done: whatever takes long or lets go of the GIL lets them go on. For whom a
    thread works is asked now as well: once its call has ended, its frames lead nowhere.
    """
    found = {}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the only way to them
        if ident not in but and ident != threading.get_ident():
            look = look_from(frame, at)
            found[ident] = (look, _recorder(frame) if look.sample.user else None)
    return found


def described(seen: Mapping[int, Glimpse]) -> dict[int, Doing]:
    """Name the calls of threads in which a line of the user's was running."""
    found = {}
    for ident, (look, recorder) in seen.items():
        if look.sample.user:
            calls: dict[Any, Call] = {}
            name_calls(look, calls)
            found[ident] = Doing(look.sample, calls, recorder)
    return found


def _recorder(frame: FrameType | None) -> Recorder | None:
    """Find the request for which a thread works: whoever started it left the context there."""
    for _ in range(_MAX_OUTER):
        if frame is None:
            return None
        filename = frame.f_code.co_filename.replace("\\", "/")
        if filename.endswith("/anyio/_backends/_asyncio.py"):
            context = frame.f_locals.get("context")
        elif filename.endswith("/concurrent/futures/thread.py"):
            function = getattr(frame.f_locals.get("self"), "fn", None)
            carried = getattr(function, "recorder", None)
            if isinstance(carried, Recorder):
                return carried
            context = getattr(getattr(function, "func", None), "__self__", None)
        else:
            context = None
        if isinstance(context, Context):
            return context.get(CURRENT)
        frame = frame.f_back
    return None
