"""Reports that wait to be described.

asyncio and the interpreter tell of a lost task while it is collected: at any instruction of any
thread, maybe while that thread holds one of our locks. There a report is only put into a queue,
which takes no lock; it is described in a turn of its own of the loop, or when its request is
sealed.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from fastapi_diagnostics.faults import FAULTS

MAX_WAITING: Final = 1000

Report = Callable[[], None]

_REPORTS: deque[Report] = deque(maxlen=MAX_WAITING)


def put(report: Report, loop: Any) -> None:
    """Queue a report, and have it described in a later turn of *loop* if that one runs."""
    _REPORTS.append(report)
    if loop is not None and loop.is_running():
        # Past whatever stands in for it on the instance, and in nobody's context.
        type(loop).call_soon_threadsafe(loop, describe_all, context=contextvars.Context())


def describe_all() -> None:
    """Describe what is queued, in the order in which it came; never raises."""
    while _REPORTS:
        try:
            _REPORTS.popleft()()
        except IndexError:  # another thread was faster
            return
        except Exception as error:  # noqa: BLE001 - ours, contained
            FAULTS.note("tasks.describe", error)


def forget() -> None:
    """Drop what is queued; for undoing."""
    _REPORTS.clear()


def running_loop() -> Any:
    """Give the loop that runs in this thread; `None` without one."""
    return asyncio._get_running_loop()  # noqa: SLF001 - the one that does not raise
