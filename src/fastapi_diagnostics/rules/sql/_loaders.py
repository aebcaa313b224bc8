"""Writes loader options that work as they are printed, and finds the query to add them to."""

import re
from collections.abc import Sequence

from fastapi_diagnostics.finding import Fix
from fastapi_diagnostics.record import Query

_MAX_CLIMB = 20
_LOCKS = re.compile(r"\bFOR (?:NO KEY )?(?:UPDATE|SHARE)\b", re.IGNORECASE)


def loader(attribute: str, *, collection: bool, source: Query) -> str:
    """Choose the option for one relationship.

    A list is loaded with a statement of its own (``selectinload``), a single object is joined:
    but not to a query that locks, as PostgreSQL does not lock the other side of an outer join.
    """
    apart = collection or _LOCKS.search(source.sql) is not None
    return f"{'selectinload' if apart else 'joinedload'}({attribute})"


def root_of(source: Query, by_index: dict[int, Query]) -> tuple[Query, list[Query]]:
    """Go up from a query that was itself a lazy load to the one that takes options.

    Returns:
        That query, and the lazy loads on the way, outermost first.
    """
    way: list[Query] = []
    for _ in range(_MAX_CLIMB):
        above = by_index.get(source.parent_query) if source.parent_query is not None else None
        if source.kind != "lazy" or above is None:
            break
        way.insert(0, source)
        source = above
    return source, way


def prefix(load: Query, root: Query, way: Sequence[Query]) -> list[str]:
    """Write the options that lead from the class of the root query to the load's object.

    Those that were lazy loads are to be loaded as well; others keep the way they have
    (``defaultload``): another option for what the query loads already would be refused.
    """
    lazy = {query.attribute: query for query in way}
    options = []
    for attribute in load.path[:-1] if load.kind == "lazy" else load.path:
        if attribute in lazy:
            options.append(loader(attribute, collection=lazy[attribute].collection, source=root))
        else:
            options.append(f"defaultload({attribute})")
    return options


def fix(summary: str, option: str, load: Query, root: Query) -> Fix:
    """Say where an option goes: into ``select``, into ``get``, or behind another statement."""
    if root.kind == "get":
        code = f"options=[{option}]"
    elif root.kind == "query" and root.attribute == load.root:
        code = f"select({root.attribute}).options({option})"
    else:
        code = f".options({option})"
    known = root.location is not None and bool(load.root) and not load.option
    if load.option:
        summary += f" By hand: it takes the place of the {load.option}() that is there now."
    elif root.location is None:
        summary += " By hand: no line of yours ran that query."
    elif not known:  # behind an alias the option needs its name, which only the source knows
        summary += " By hand: if it selects from an alias, write the alias's name in the option."
    return Fix(summary=summary, code=code, location=root.location, mechanical=known)
