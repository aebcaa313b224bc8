"""What the JSON API and the dashboard ask of the running diagnostics."""

from collections.abc import Mapping
from typing import Any, Protocol

from fastapi_diagnostics.app_record import AppRecord
from fastapi_diagnostics.finding import Rule
from fastapi_diagnostics.store.protocol import Store


class Backend(Protocol):
    """The running diagnostics, as the outputs see them.

    Attributes are read at each request; methods may block and are called in a thread.
    """

    @property
    def store(self) -> Store:
        """Where findings and records are kept; opening it may block."""
        ...

    @property
    def prefix(self) -> str:
        """Path of the pages without a trailing slash, such as ``/_diagnostics``."""
        ...

    @property
    def editor(self) -> str | None:
        """The setting `editor`: a known name or a link with ``{file}`` and ``{line}``."""
        ...

    @property
    def editor_path_map(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a folder here and the same folder on the machine of the editor."""
        ...

    @property
    def token_mode(self) -> bool:
        """Whether whoever looks had to show a token."""
        ...

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything this worker recorded before now is stored; blocks."""
        ...

    def application(self) -> AppRecord | None:
        """Tell what is known of the application itself; `None` if nobody saw it yet; blocks."""
        ...

    def rules(self) -> tuple[Rule, ...]:
        """All rules that run, by code."""
        ...

    def status(self) -> Mapping[str, Any]:
        """Tell how we are, ready for JSON: hooks, store, queue, dropped, overhead, faults, ...

        The page names what it knows and prints the rest as it is: ``hooks`` is a list of
        ``{"name", "on", "why"}``, ``dropped`` counts by reason, ``faults`` is a list of
        ``{"where", "count", "last"}``; ``store``, ``queue``, ``overhead`` and ``versions`` are
        mappings. Names end in their unit (``_ms``, ``_us``, ``bytes``).
        """
        ...
