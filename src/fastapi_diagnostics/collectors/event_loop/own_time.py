"""What of a stretch of time was not lost in waiting: for the loop, for the GIL, for a processor.

Asked for the few statements that took long. Their time goes on while something else runs on the
loop, or while threads keep each other waiting.
"""

from itertools import pairwise
from typing import Final

from fastapi_diagnostics.collectors.event_loop.state import LoopState, running_state
from fastapi_diagnostics.collectors.event_loop.watchdog import WATCHDOG

HANDOVERS: Final = 12
"""How often a statement changes hands at most between its task, its loop and a driver's thread:
twice for each awaited call, of which aiosqlite makes up to four. Each time it may have to wait as
long as the watchdog does at its turns."""


def own_time(started: float, ended: float, *, on_loop: bool) -> float | None:
    """Tell how much of a stretch was not lost in waiting.

    Args:
        started: Reading of the clock.
        ended: Likewise; about now.
        on_loop: Whether it could go on only when the loop of this thread was free.

    Returns:
        Seconds, at least: what is not known counts as lost. `None` if nothing is known.
    """
    if on_loop:
        state = running_state()
    else:
        state = next((one for one in reversed(WATCHDOG.states) if not one.is_over()), None)
        if state is None:  # a script without a loop
            return ended - started
    marks = () if state is None or (on_loop and state.driven) else state.load.since(started)
    if state is None or not marks:
        return None
    taken = ended - max(started, marks[0].at)
    lost = _lost([*(mark.late for mark in marks), WATCHDOG.late()])
    if lost > taken / 2:
        return 0.0  # too much to be told with confidence
    if on_loop:
        lost += _busy(state, ended) - marks[0].busy
    return max(0.0, taken - lost)


def _lost(late: list[float]) -> float:
    """Judge by the turn for which the watchdog waited longest."""
    longest = max(after - before for before, after in pairwise(late))
    return max(0.0, late[-1] - late[0], HANDOVERS * longest)


def _busy(state: LoopState, now: float) -> float:
    step = state.step
    return state.load.ended() + (now - step if step is not None else 0.0)
