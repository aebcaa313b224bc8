"""Tells which dependency asked for which, by the order in which FastAPI solves them.

It solves what a dependency asks for before the dependency itself, also where the cache has both.
So the runs stand in the post-order of what the route declares; those whose own parameters were
refused are missing among them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastapi_diagnostics.collectors.fastapi import private

MAX_NODES = 1_000
"""A larger tree is told without parents."""


class Node(NamedTuple):
    """A dependency as declared; `parent` is the place of the node that asks for it, or `None`."""

    call: Any
    parent: int | None
    use_cache: bool


def declared(dependant: Any, overrides: Mapping[Any, Any]) -> list[Node]:
    """List what a route depends on, each one before what it asks for: solved from the last on.

    Args:
        dependant: Of the route.
        overrides: ``app.dependency_overrides``; what stands in for another is looked into instead.
    """
    nodes: list[Node] = []
    waiting: list[tuple[Any, int | None]] = [(inner, None) for inner in dependant.dependencies]
    while waiting:
        one, parent = waiting.pop()
        if len(nodes) >= MAX_NODES:
            return []
        nodes.append(Node(one.call, parent, one.use_cache))
        used = overrides.get(one.call, one.call) if overrides else one.call
        inside = one if used is one.call else private.dependant_of(used)
        waiting += [(inner, len(nodes) - 1) for inner in getattr(inside, "dependencies", ())]
    return nodes


class Placed(NamedTuple):
    """Where the runs stand.

    Attributes:
        parents: For each run the position of the run that asked for it, `None` for the endpoint.
        raised: What raised without having been looked up, so that there is no run of it; its
            place is after all others.
    """

    parents: list[int | None]
    raised: Any


def placed(nodes: Sequence[Node], calls: Sequence[Any], *, failed: bool) -> Placed:
    """Find each run among what is declared.

    Args:
        nodes: As `declared` lists them.
        calls: What ran, in order.
        failed: Whether something raised after the last of them.
    """
    last = len(nodes) - 1
    if len(calls) == len(nodes) and all(
        nodes[last - run].call is call for run, call in enumerate(calls)
    ):  # the usual case, in which everything ran
        above = [nodes[last - run].parent for run in range(len(calls))]
        return Placed([None if node is None else last - node for node in above], None)
    run_of: dict[int, int] = {}
    places: list[int | None] = []
    left = len(nodes)
    for run, call in enumerate(calls):
        place = next((n for n in range(left - 1, -1, -1) if nodes[n].call is call), None)
        places.append(place)
        if place is not None:
            run_of[place] = run
            left = place
    raised = None
    if failed and None not in places:
        # Only what asks for no cache is called before anybody could note it.
        never = next((n for n in range(left - 1, -1, -1) if not nodes[n].use_cache), None)
        if never is not None:
            raised, run_of[never] = nodes[never].call, len(calls)
            places.append(never)
    return Placed([_asker(nodes, place, run_of) for place in places], raised)


def _asker(nodes: Sequence[Node], place: int | None, run_of: Mapping[int, int]) -> int | None:
    """Give the run of the nearest one above; one that was never called has none."""
    above = nodes[place].parent if place is not None else None
    while above is not None and above not in run_of:
        above = nodes[above].parent
    return None if above is None else run_of[above]
