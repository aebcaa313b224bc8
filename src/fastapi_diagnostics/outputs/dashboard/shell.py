"""What surrounds every page: navigation, what is watched, and the token for what is new."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request

from fastapi_diagnostics.outputs.backend import Backend
from fastapi_diagnostics.outputs.dashboard.links import Links, links_for
from fastapi_diagnostics.outputs.dashboard.words import plural
from fastapi_diagnostics.store.protocol import StoreStatus

_NOT_IN_USE = ("is not imported", "is not installed")
_SHORT = {
    "background tasks": "Background",
    "coroutines never awaited": "Coroutines",
    "event loop": "Loop",
    "pydantic 1 methods": "Pydantic 1",
    "response fields": "Responses",
    "state of dependencies": "State",
    "threadpool": "Threads",
}
"""What the strip on top of each page calls them, so that all fit on a line; others stay whole."""


class HookMark(msgspec.Struct, frozen=True):
    """One thing that is watched, or not, and why not.

    Attributes:
        tone: ``on``, ``off``, or ``idle`` where the library is simply not in use.
        short: Its name where room is scarce.
    """

    name: str
    on: bool
    why: str
    tone: str
    short: str


class NavEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A page that the navigation names.

    Attributes:
        section: What views of this part of the pages call themselves.
        path: Below the prefix.
        key: Pressed after ``g``.
    """

    section: str
    label: str
    path: str
    key: str


class NavItem(msgspec.Struct, frozen=True):
    """One entry of the navigation of one page."""

    label: str
    href: str
    key: str
    current: bool


class Shell(msgspec.Struct, frozen=True):
    """The frame of a page.

    Attributes:
        watched: How many of them are on, for small screens.
        watch: Which changes the pill counts: ``groups`` or ``requests``.
        token: What is known so far; the page asks for changes since.
        list: Path of the list in which the new things are shown.
        seen: How much was recorded.
        problem: A sentence about the store that must be seen; usually empty.
        in_memory: Whether that problem means that findings are not kept on disk.
    """

    title: str
    links: Links
    nav: tuple[NavItem, ...]
    hooks: tuple[HookMark, ...]
    hooks_off: int
    watched: str
    watch: str
    token: str
    list: str
    seen: str
    problem: str
    in_memory: bool


class Frame(msgspec.Struct, frozen=True):
    """What every view is given.

    Attributes:
        nav: The pages that every page links.
        now: For ages.
        status: As `Backend.status` told it.
        store: As the store told it.
    """

    backend: Backend
    request: Request
    links: Links
    nav: tuple[NavEntry, ...]
    now: datetime
    status: Mapping[str, Any]
    store: StoreStatus

    def shell(self, title: str, section: str, watch: str = "groups") -> Shell:
        """Build the frame of a page."""
        hooks = hook_marks(self.status)
        return Shell(
            title=title,
            links=self.links,
            nav=self._nav(section),
            hooks=hooks,
            hooks_off=sum(hook.tone == "off" for hook in hooks),
            watched=_watched(hooks),
            watch=watch,
            token=self.backend.store.changes(None).token,
            list=self.links.requests() if watch == "requests" else self.links.home(),
            seen=self.seen(", "),
            problem=self.store.problem,
            in_memory=self.store.kind == "memory" or self.store.waiting > 0,
        )

    def seen(self, joint: str = " and ") -> str:
        """Tell how much was recorded; never "0 queries" where nobody looked."""
        requests = plural(self.store.totals.requests, "request")
        sql = self.sql_hook()
        if sql is not None and not sql.on:
            return f"{requests}, SQL not watched"
        return f"{requests}{joint}{plural(self.store.totals.queries, 'query', 'queries')}"

    def sql_hook(self) -> HookMark | None:
        """Find the hook that watches SQL."""
        return self.hook("sql")

    def hook(self, word: str) -> HookMark | None:
        """Find the hook with *word* in its name, in lower case."""
        hooks = hook_marks(self.status)
        return next((hook for hook in hooks if word in hook.name.lower()), None)

    def _nav(self, section: str) -> tuple[NavItem, ...]:
        return tuple(
            NavItem(entry.label, self.links.page(entry.path), entry.key, entry.section == section)
            for entry in self.nav
        )


def frame_for(
    request: Request, backend: Backend, nav: tuple[NavEntry, ...], now: datetime
) -> Frame:
    """Gather what every page needs; blocks."""
    return Frame(
        backend,
        request,
        links_for(request.scope, backend),
        nav,
        now,
        backend.status(),
        backend.store.status(),
    )


def hook_marks(status: Mapping[str, Any]) -> tuple[HookMark, ...]:
    """Read what is watched from the status, on or off."""
    return tuple(_hook_mark(hook) for hook in status.get("hooks", ()))


def _watched(hooks: tuple[HookMark, ...]) -> str:
    off = ", ".join(f"{hook.name} off" for hook in hooks if hook.tone == "off")
    count = f"{sum(hook.on for hook in hooks)} of {len(hooks)}"
    return f"{count}: {off}" if off else count


def _hook_mark(hook: Mapping[str, Any]) -> HookMark:
    name, on, why = str(hook["name"]), bool(hook["on"]), str(hook.get("why") or "")
    tone = "on" if on else "idle" if why.endswith(_NOT_IN_USE) else "off"
    whole = name[:1].upper() + name[1:]
    return HookMark(whole, on, why, tone, _SHORT.get(name.lower(), whole))
