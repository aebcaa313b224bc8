"""Hands the request on to threads of `concurrent.futures`, which begin with an empty context.

``loop.run_in_executor`` submits to one as well, so what it runs belongs to the request too.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

from fastapi_diagnostics.callsite import HANDED, MAX_HANDED, Site, caller_sites
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import CURRENT, Recorder, active


def install(hooks: Hooks) -> None:
    """Stand in for `ThreadPoolExecutor.submit`; executors of processes are left alone."""
    # Not before it is needed: asyncio too imports it with the first executor.
    from concurrent.futures.thread import ThreadPoolExecutor  # noqa: PLC0415 - see above

    hooks.replace(ThreadPoolExecutor, "submit", _carrying)


class _Carried:
    """Runs a function with our variable set, and with nothing else of the caller's context.

    Attributes:
        recorder: Also read by whoever asks for which request a thread works.
        sites: The user's lines that submitted it, innermost first.
    """

    __slots__ = ("__wrapped__", "recorder", "sites")

    def __init__(
        self, function: Callable[..., Any], recorder: Recorder, sites: tuple[Site, ...]
    ) -> None:
        self.__wrapped__ = function
        self.recorder = recorder
        self.sites = sites

    def __call__(self, /, *args: Any, **options: Any) -> Any:
        token = CURRENT.set(self.recorder)
        HANDED.sites = self.sites
        try:
            return self.__wrapped__(*args, **options)
        finally:  # the thread goes on to work for others
            HANDED.sites = ()
            CURRENT.reset(token)


def _carrying(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return original(self, _carried(fn), *args, **kwargs)

    return submit


def _carried(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        recorder = active()
        if recorder is None:
            return function
        caller = sys._getframe(2)  # noqa: SLF001 - the call site
        if caller.f_code.co_name == "run_in_executor":  # else the walk would end at the loop
            caller = caller.f_back or caller
        return _Carried(function, recorder, caller_sites(caller, MAX_HANDED)[0])
    except Exception as error:  # noqa: BLE001 - ours, contained
        FAULTS.note("executors", error)
        return function
