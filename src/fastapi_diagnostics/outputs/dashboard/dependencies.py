"""The dependencies of a request, as the tree in which they were asked for."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from fastapi_diagnostics.outputs.dashboard.words import cut, milliseconds
from fastapi_diagnostics.record import DependencyRun

MAX_ROWS = 60
MAX_DEPTH = 8


class DependencyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One dependency.

    Attributes:
        depth: 0 for what the endpoint asks for itself.
        branch: Drawn before the name of what another one asked for.
        module: The part of the name that may be dimmed.
        overrides: What it stands in for; usually empty.
        bar: Width in per cent of the longest; empty for nothing.
    """

    depth: int
    branch: str
    module: str
    name: str
    overrides: str
    took: str
    bar: str
    cached: bool
    threadpool: bool
    raised: bool


class DependencyTree(msgspec.Struct, frozen=True, kw_only=True):
    """The rows, and what there is to say of all; `nested` if somebody noted who asked for whom."""

    rows: tuple[DependencyRow, ...]
    summary: str
    nested: bool


def dependency_tree(runs: Sequence[DependencyRun]) -> DependencyTree:
    """Describe the dependencies, each below the one that asked for it."""
    longest = max((run.duration_ms for run in runs if not run.cached), default=0.0)
    ordered = list(_walk(runs))
    return DependencyTree(
        rows=tuple(_row(runs[index], depth, longest) for index, depth in ordered[:MAX_ROWS]),
        summary=_summary(runs),
        nested=any(depth for _, depth in ordered),
    )


def _walk(runs: Sequence[DependencyRun]) -> Iterator[tuple[int, int]]:
    """Give every position once with its depth, whatever the positions of parents claim."""
    children: defaultdict[int | None, list[int]] = defaultdict(list)
    for index, run in enumerate(runs):
        known = run.parent is not None and 0 <= run.parent < len(runs) and run.parent != index
        children[run.parent if known else None].append(index)
    seen: set[int] = set()
    for root in (*children[None], *range(len(runs))):  # a circle has no root
        waiting = [(root, 0)]
        while waiting:
            index, depth = waiting.pop()
            if index not in seen:
                seen.add(index)
                yield index, depth
                waiting += [(child, depth + 1) for child in reversed(children[index])]


def _row(run: DependencyRun, depth: int, longest: float) -> DependencyRow:
    called, _, overridden = run.name.partition(" (overrides ")
    head, dot, name = cut(called, 160).rpartition(".")
    share = run.duration_ms / longest if longest > 0 and not run.cached else 0.0
    return DependencyRow(
        depth=min(depth, MAX_DEPTH),
        branch="\u2514" if depth else "",
        module=head + dot,
        name=name,
        overrides=cut(overridden.removesuffix(")"), 80),
        took="" if run.cached else milliseconds(run.duration_ms),
        bar=str(max(1, round(100 * share))) if share else "",
        cached=run.cached,
        threadpool=run.threadpool and not run.cached,
        raised=run.raised,
    )


def _summary(runs: Sequence[DependencyRun]) -> str:
    spent = sum(run.duration_ms for run in runs if not run.cached)
    ran = sum(not run.cached for run in runs)
    hits = len(runs) - ran
    text = f"{ran:,} ran in {milliseconds(spent)}" if ran else ""
    hit = f"{hits:,} from the cache" if hits else ""
    return ", ".join(filter(None, (text, hit)))
