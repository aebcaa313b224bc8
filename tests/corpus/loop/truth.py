"""What really happened in the server's process: each guilty statement, measured around itself.

A statement is labelled by what nobody else's work can falsify: the processor time of its thread,
or for how long it was told to wait.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CASE: ContextVar[str] = ContextVar("corpus_case", default="")
"""The path of the request, which tells its record apart from all others."""


@dataclass(frozen=True)
class Block:
    """A guilty statement.

    Attributes:
        case: The path of its request.
        name: Of the situation.
        at: Seconds since the epoch when it began.
        ms: Wall time.
        net_ms: For how long it was told to wait, or the processor time of the thread.
    """

    case: str
    name: str
    at: float
    ms: float
    net_ms: float


@dataclass(frozen=True)
class Watch:
    """A request that did nothing but tick; a block while it was there made it wait.

    Attributes:
        gaps: Beginning (seconds since the epoch) and milliseconds of each late tick.
    """

    case: str
    begin: float
    end: float
    gaps: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Situation:
    """What a route does.

    Attributes:
        kinds: Right names for it; empty for one in which nothing is wrong.
        file: Where the guilty line stands.
        lines: Lines that are right to name, those marked ``# block: NAME``.
        rule: Which rule concludes it.
        fixed_ms: Its duration, where that cannot be chosen.
        path: How it is reached; ``None`` for a plain GET.
        apart: Whether it cannot run among others, such as what holds the GIL elsewhere.
    """

    name: str
    kinds: frozenset[str]
    file: str = ""
    lines: tuple[int, ...] = ()
    rule: str = "LOOP101"
    fixed_ms: float | None = None
    reached: str = "get"
    apart: bool = False


BLOCKS: list[Block] = []
WATCHES: list[Watch] = []
SITUATIONS: dict[str, Situation] = {}
ENDPOINTS: dict[str, Callable[[float], Any]] = {}


def situation(
    *kinds: str, name: str = "", **options: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register an endpoint that takes the milliseconds for which it is to block."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        title = name or function.__name__.replace("_", "-")
        declare(title, *kinds, file=function.__code__.co_filename, **options)
        ENDPOINTS[title] = function
        return function

    return register


def declare(name: str, *kinds: str, file: str, **options: Any) -> None:
    """Register a situation whose routes are made elsewhere."""
    text = Path(file).read_text(encoding="utf-8").splitlines()
    lines = tuple(n for n, line in enumerate(text, 1) if line.endswith(f"# block: {name}"))
    if bool(kinds) != bool(lines):
        raise ValueError(f"{name}: marked lines {lines}, kinds {kinds}")
    SITUATIONS[name] = Situation(name, frozenset(kinds), Path(file).name, lines, **options)


@contextmanager
def block(name: str, waits_ms: float | None = None) -> Iterator[None]:
    """Measure a statement that keeps the thread; lets nobody else have the GIL."""
    at, began, cpu = time.time(), time.perf_counter(), time.thread_time()
    try:
        yield
    finally:
        ms = (time.perf_counter() - began) * 1000
        net_ms = (time.thread_time() - cpu) * 1000 if waits_ms is None else waits_ms
        BLOCKS.append(Block(case=CASE.get(), name=name, at=at, ms=ms, net_ms=net_ms))


def told() -> dict[str, Any]:
    """Give everything that was measured, JSON-ready."""
    return {
        "blocks": [asdict(one) for one in BLOCKS],
        "watches": [asdict(one) for one in WATCHES],
    }


def spin(milliseconds: float) -> None:
    """Compute for so much processor time, however busy the machine is."""
    end = time.thread_time() + milliseconds / 1000
    while time.thread_time() < end:
        sum(range(200))
