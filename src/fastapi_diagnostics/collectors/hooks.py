"""The one mechanism by which we replace attributes of others and listen to their events.

Every change is undone by `Hooks.undo`, in reverse order, and leaves every attribute as before.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from fastapi_diagnostics.locks import Lock

_MISSING = object()


class HookStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a part of the application is watched.

    Attributes:
        name: What people call it: ``SQL``, ``event loop``, ``background tasks``.
        on: Whether it works.
        why: Why it is off, or a remark; ``""`` when there is nothing to say.
    """

    name: str
    on: bool
    why: str = ""


class Hooks:
    """What is replaced at present, and how to put it back."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._undo: list[Callable[[], None]] = []
        self._places: set[tuple[int, str]] = set()
        self._status: dict[str, HookStatus] = {}

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Set ``owner.name`` to ``make(original)``; once per place, however often it is asked for.

        Args:
            owner: A module, a class or an instance.
            name: Of the attribute.
            make: Takes the original and returns what stands in for it.

        Raises:
            AttributeError: There is no such attribute, or it cannot be set.
        """
        with self._lock:
            if (id(owner), name) in self._places:
                return
            held = vars(owner).get(name, _MISSING)
            replacement = make(getattr(owner, name))
            setattr(owner, name, replacement)
            self._places.add((id(owner), name))
            self._undo.append(lambda: self._put_back(owner, name, held, replacement))

    def on_undo(self, action: Callable[[], None]) -> None:
        """Remember how to undo a change made by other means, such as an event listener."""
        with self._lock:
            self._undo.append(action)

    def report(self, name: str, *, on: bool, why: str = "") -> None:
        """Say whether a part is watched, for the status page."""
        self._status[name] = HookStatus(name=name, on=on, why=why)

    def status(self) -> tuple[HookStatus, ...]:
        """List what is watched and what is not."""
        return tuple(self._status.values())

    def undo(self) -> None:
        """Put everything back; idempotent."""
        with self._lock:
            while self._undo:
                self._undo.pop()()
            self._places.clear()
            self._status.clear()

    def _put_back(self, owner: Any, name: str, held: Any, replacement: Any) -> None:
        if vars(owner).get(name, _MISSING) is not replacement:
            # Somebody wrapped ours in the meantime; taking ours out would take theirs out too.
            return
        if held is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, held)


HOOKS = Hooks()
