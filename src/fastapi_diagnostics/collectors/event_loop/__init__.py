"""Times every callback of the running event loop and finds the lines that hold it.

A step timer stands in for ``call_soon`` and relatives of the loop *instance*; a watchdog thread,
asleep while no request is in flight, samples what a long step is doing.
"""

import gc
import os
import time
from asyncio import _get_running_loop
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from fastapi_diagnostics.collectors.event_loop.blocks import look_before_response, open_loop
from fastapi_diagnostics.collectors.event_loop.driver import WHY, Driver, driver_here, forget
from fastapi_diagnostics.collectors.event_loop.greenlets import leave
from fastapi_diagnostics.collectors.event_loop.holds import HOLDS
from fastapi_diagnostics.collectors.event_loop.late import LATE, NOBODY
from fastapi_diagnostics.collectors.event_loop.part import LoopPart
from fastapi_diagnostics.collectors.event_loop.pauses import FORKS, PAUSES
from fastapi_diagnostics.collectors.event_loop.state import (
    DRIVEN,
    SETTINGS,
    WATCHED,
    LoopState,
    running_state,
)
from fastapi_diagnostics.collectors.event_loop.timer import PATCHED, patch
from fastapi_diagnostics.collectors.event_loop.victims import ROUTES
from fastapi_diagnostics.collectors.event_loop.watchdog import WATCHDOG
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.times import PART
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.record import LoopBlock
from fastapi_diagnostics.recorder import PARTS_FROM_START, Recorder

NAME: Final = "event loop"

on_late_victims: Callable[[str, tuple[LoopBlock, ...]], object] | None = None
"""Called on the watchdog's thread with a culprit's record id and all of its blocks, when requests
that waited became known after it was sealed; at most once for each burst."""

on_block_of_nobody: Callable[[LoopBlock, str], object] | None = None
"""Called on the watchdog's thread with a block that belongs to no record of a request: of a thread
that works for none, or of a request that is still in it; and with its route or ``""``."""

_installed: list[Hooks] = []
_refused: set[type] = set()
"""Loops of these classes cannot be patched; asked once, not for each request."""
_patched: dict[int, tuple[LoopState, dict[str, Any]]] = {}


def configure(threshold_ms: float) -> None:
    """Set how long a callback may run before it is a block, in milliseconds."""
    SETTINGS.set(threshold_ms / 1000)


def name_routes(name: Callable[[Recorder], str]) -> None:
    """Set how the route of a request that waits is named; else its method and path are shown."""
    ROUTES.name = name


def install(hooks: Hooks) -> None:
    """Watch the running loop, if there is one, and every loop that a request runs in later."""
    if hooks in _installed:
        return
    _installed.append(hooks)
    PARTS_FROM_START[PART] = LoopPart
    gc.callbacks.append(PAUSES)
    WATCHDOG.on_turn = _tell_late_victims
    NOBODY.tell = _tell_of_nobody
    WATCHDOG.on_drowsy = _has_late_victims
    hooks.on_undo(_undo)
    hooks.report(NAME, on=True)
    if _get_running_loop() is not None:
        watch_running_loop()


def watch_running_loop() -> bool:
    """Watch the loop that runs in this thread; about 0.1 µs where it is watched already.

    Returns:
        Whether it is; elsewhere `driver` watches single requests.
    """
    loop = _get_running_loop()
    state = WATCHED.get(id(loop))
    if state is None:
        state = _begin(loop) if _installed else None
        if state is None:
            return False
    if WATCHDOG.asleep:
        WATCHDOG.wake(state)
    return True


def driver() -> Driver | None:
    """Give what times a request step by step where its loop cannot be watched, as on trio."""
    if not _installed:
        return None
    try:
        return driver_here()
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("event loop driver", error)
        return None


def before_response(now: float) -> None:
    """Be called just before a response goes out, on its loop; about 0.1 µs without a block.

    Who waits is looked up while no client can have got that response yet.

    Args:
        now: Reading of the clock.
    """
    try:
        state = running_state()
        if state is None or now < state.calm_until:
            return
        step = state.step
        if step is not None and now - step >= SETTINGS.threshold_s:
            look_before_response(state, step)
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("event loop response", error)


def glance() -> None:
    """Be called by a thread of ours that has just got the GIL; about 0.1 µs where all is well."""
    WATCHDOG.glance()


def _begin(loop: Any) -> LoopState | None:
    """Patch a loop at first sight; `None` if it cannot be watched."""
    if loop is None:
        _report_driven("no asyncio loop runs here")
        return None
    if type(loop) in _refused:
        return None
    try:
        state = LoopState(loop)
        made = patch(loop, state)
        state.note_reading()
        open_loop(state)
    except (AttributeError, TypeError) as error:
        name = f"{type(loop).__module__}.{type(loop).__qualname__}"
        _report_driven(f"{name} refuses: {error}")
        _refused.add(type(loop))
        _give_up(loop)
        return None
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("event loop patch", error)
        _refused.add(type(loop))
        _give_up(loop)
        return None
    for known in [key for key, (old, _) in _patched.items() if old.is_over()]:
        _patched.pop(known)
    WATCHED[id(loop)] = state
    _patched[id(loop)] = (state, made)
    WATCHDOG.watch(state)
    for hooks in _installed:
        hooks.report(NAME, on=True)
    return state


def _give_up(loop: Any) -> None:
    """Take off what was set."""
    with suppress(AttributeError, TypeError):
        for name in PATCHED & vars(loop).keys():
            delattr(loop, name)


def _report_driven(because: str) -> None:
    for hooks in _installed:
        hooks.report(NAME, on=True, why=WHY.format(because))


def _undo() -> None:
    PARTS_FROM_START.pop(PART, None)
    if PAUSES in gc.callbacks:
        gc.callbacks.remove(PAUSES)
    for state, made in tuple(_patched.values()):
        loop = state.loop()
        if loop is not None:
            _restore(loop, made)
        leave(state.switches)
    forget()
    _patched.clear()
    WATCHED.clear()
    _refused.clear()
    _installed.clear()
    LATE.forget()
    WATCHDOG.end()


def _restore(loop: Any, made: dict[str, Any]) -> None:
    """Take our instance attributes off, unless somebody has wrapped them in the meantime."""
    held = vars(loop)
    for name, replacement in made.items():
        if held.get(name) is replacement:
            delattr(loop, name)


def _tell_late_victims(now: float) -> None:
    tell = on_late_victims
    for record_id, blocks in LATE.settled(now):
        if not record_id:
            _tell_of_nobody(blocks[0], "")
        elif tell is not None:
            tell(record_id, blocks)


def _tell_of_nobody(block: LoopBlock, route: str) -> None:
    if on_block_of_nobody is not None:
        on_block_of_nobody(block, route)


def _has_late_victims() -> bool:
    return LATE.pending(time.perf_counter()) or HOLDS.pending()


def _forked() -> None:
    FORKS.end()
    WATCHED.clear()
    DRIVEN.clear()
    WATCHDOG.forked()
    LATE.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=FORKS.begin, after_in_parent=FORKS.end, after_in_child=_forked)

__all__ = [
    "before_response",
    "configure",
    "driver",
    "install",
    "name_routes",
    "on_block_of_nobody",
    "on_late_victims",
    "watch_running_loop",
]
