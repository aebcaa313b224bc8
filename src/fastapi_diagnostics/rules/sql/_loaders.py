"""Writes loader options that work as they are printed, and finds the query to add them to."""

import re
from collections.abc import Sequence

from fastapi_diagnostics.finding import Fix
from fastapi_diagnostics.record import Location, Query

_MAX_CLIMB = 20
_MAX_BACK = 50
"""How far back to look for the query of an eager load: between them are other eager loads."""
_AGAIN = {
    "refresh": "refresh() takes no options",
    "expired": "it was read again because a commit or rollback had expired it",
}
"""Ways in which SQLAlchemy reads an object again, and why no option goes there."""
_LOCKS = re.compile(r"\bFOR (?:NO KEY )?(?:UPDATE|SHARE)\b", re.IGNORECASE)


def loader(attribute: str, *, collection: bool, source: Query) -> str:
    """Choose the option for one relationship.

    A list is loaded with a statement of its own (``selectinload``), a single object is joined:
    but not to a query that locks, as PostgreSQL does not lock the other side of an outer join.
    """
    apart = collection or _LOCKS.search(source.sql) is not None
    return f"{'selectinload' if apart else 'joinedload'}({attribute})"


def root_of(source: Query, by_index: dict[int, Query]) -> tuple[Query, list[Query]]:
    """Go up from a query that was a lazy or an eager load to the one that takes options.

    Returns:
        That query, and the lazy loads on the way, outermost first.
    """
    way: list[Query] = []
    for _ in range(_MAX_CLIMB):
        above = _above(source, by_index)
        if above is None:
            break
        if source.kind == "lazy":
            way.insert(0, source)
        source = above
    return source, way


def _above(source: Query, by_index: dict[int, Query]) -> Query | None:
    if source.kind == "lazy" and source.parent_query is not None:
        return by_index.get(source.parent_query)
    if source.kind != "eager":
        return None
    before = (by_index.get(source.index - back) for back in range(1, _MAX_BACK))
    return next((query for query in before if query and _brings(query, source)), None)


def _brings(query: Query, eager: Query) -> bool:
    """Tell whether a statement is the one whose rows an eager load completed."""
    if query.task != eager.task or query.engine != eager.engine:
        return False
    if query.kind == "lazy":
        return query.attribute in eager.path[:-1]
    return query.kind in {"query", "get"} and query.attribute == eager.root


def line_of(source: Query, by_index: dict[int, Query]) -> Location | None:
    """Give the user's line of a query; of what the response loaded, that of the query above it."""
    return source.location or root_of(source, by_index)[0].location


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


def of_subclass(entity: str, load: Query, root: Query, steps: Sequence[str]) -> str:
    """Write the option for columns of a subclass of what the query selects; empty for others."""
    if steps or root.attribute != load.root or load.root in {"", entity}:
        return ""
    return f"selectin_polymorphic({load.root}, [{entity}])"


def fix(summary: str, option: str, load: Query, root: Query) -> Fix:
    """Say where an option goes: into ``select``, into ``get``, or behind another statement."""
    full = root.kind == "get" and bool(root.option)
    if root.kind == "get" and not full:
        code = f"options=[{option}]"
    elif full:
        code = option
    elif root.attribute == load.root and root.kind in {"query", *_AGAIN}:
        code = f"select({root.attribute}).options({option})"
    else:
        code = f".options({option})"
    again = _AGAIN.get(root.kind, "")
    plain = not (load.option or full or again)
    known = root.location is not None and bool(load.root) and plain
    if load.option:
        summary += f" By hand: it takes the place of the {load.option}() that is there now."
    elif root.location is None:
        summary += " By hand: no line of yours ran that query."
    elif again:
        summary += f" By hand: {again}; fetch the object with a query that has the option."
    elif full:
        summary += " By hand: it goes into the list of options that get() has already."
    elif not known:  # behind an alias the option needs its name, which only the source knows
        summary += " By hand: if it selects from an alias, write the alias's name in the option."
    return Fix(summary=summary, code=code, location=root.location, mechanical=known)
