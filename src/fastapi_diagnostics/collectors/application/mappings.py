"""Finds relationships whose mapping loads them with every query.

Mappers are not configured by looking: that would fail, or succeed, at another moment than without
us.
"""

import sys
from collections.abc import Iterator
from typing import Any

from fastapi_diagnostics.app_record import EagerMapping
from fastapi_diagnostics.collectors.application.text import Sources

_EAGER = {
    "selectin": "selectin",
    "joined": "joined",
    False: "joined",
    "subquery": "subquery",
    "immediate": "immediate",
}


def eager_mappings(cls: type, sources: Sources) -> Iterator[EagerMapping]:
    """Look at the relationships that a mapped class declares itself."""
    mapper = vars(cls).get("__mapper__")
    orm = sys.modules.get("sqlalchemy.orm")
    if mapper is None or orm is None:
        return
    for name, declared in tuple(_properties(mapper).items()):
        if not isinstance(declared, orm.RelationshipProperty) or declared.parent is not mapper:
            continue
        lazy = declared.lazy
        how = _EAGER.get(lazy) if isinstance(lazy, str | bool) else None
        place = sources.of_class(cls, rf"{name}\s*[:=]") if how is not None else None
        if how is not None and place is not None:
            yield EagerMapping(attribute=f"{cls.__name__}.{name}", lazy=how, location=place)


def _properties(mapper: Any) -> dict[str, Any]:
    """Read the private name: `Mapper.relationships` would configure all mappers."""
    found = getattr(mapper, "_props", None)
    return dict(found) if found is not None else {}
