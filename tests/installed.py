"""Collectors at work without the rest of us."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.faults import FAULTS


@contextmanager
def installed(*collectors: Any, root: Path) -> Iterator[Hooks]:
    """Install collectors, and put everything back; no failure of ours may have been contained.

    Args:
        collectors: Modules with an ``install(hooks)``.
        root: Folder of what counts as the user's code.
    """
    USER_CODE.add_root(root)
    FAULTS.clear()
    event_loop.configure(50)
    hooks = Hooks()
    try:
        for collector in collectors:
            collector.install(hooks)
        yield hooks
    finally:
        hooks.undo()
        event_loop.configure(50)
        event_loop.on_block_of_nobody = event_loop.on_late_victims = None
        USER_CODE.reset()
        faults = FAULTS.all()
        FAULTS.clear()
    assert faults == (), faults
