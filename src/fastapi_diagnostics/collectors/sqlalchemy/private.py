"""The only place that reads private names of SQLAlchemy; they hold in 2.0 and 2.1.

Nothing is imported here: SQLAlchemy is looked up once the application has imported it.
"""

from itertools import count
from types import CodeType
from typing import Any, NamedTuple


def misfit() -> str:
    """Test that every private name is where we read it.

    Returns:
        What is missing, as a sentence without a full stop; empty when all is well.
    """
    from sqlalchemy.engine import base, cursor, default  # noqa: PLC0415 - not before the application
    from sqlalchemy.orm import context, loading  # noqa: PLC0415
    from sqlalchemy.orm.mapper import Mapper  # noqa: PLC0415
    from sqlalchemy.orm.state import InstanceState  # noqa: PLC0415
    from sqlalchemy.sql.base import Executable  # noqa: PLC0415

    load = getattr(context.QueryContext, "default_load_options", None)
    # 2.1 put an underscore before the class.
    state = getattr(context, "_ORMCompileState", None) or getattr(context, "ORMCompileState", None)
    compiling = getattr(state, "default_compile_options", None)
    places: tuple[tuple[Any, tuple[str, ...]], ...] = (
        (loading, ("_new_runid",)),
        (load, ("_lazy_loaded_from", "_refresh_state", "_is_user_refresh")),
        (compiling, ("_for_refresh_state", "_current_path", "_only_load_props")),
        (
            InstanceState,
            ("runid", "key", "expired", "expired_attributes", "load_path", "load_options"),
        ),
        (Mapper, ("_get_clause", "_primary_key_propkeys")),
        (Executable, ("_propagate_attrs",)),
        (cursor, ("_DEFAULT_FETCH", "CursorFetchStrategy")),
        (default.DefaultExecutionContext, ("cursor_fetch_strategy", "_is_server_side")),
        (base.Connection, ("_is_autocommit_isolation",)),
    )
    missing = (name for owner, names in places for name in names if not hasattr(owner, name))
    first = next(missing, "")
    return f"this version of SQLAlchemy has no {first}" if first else ""


def new_run_id() -> Any:
    """Give the function that numbers the ORM's passes over results.

    Each loaded state bears such a number, so that one taken after a statement tells which states
    were loaded by the statements before it.
    """
    from sqlalchemy.orm import loading  # noqa: PLC0415

    locked = loading._new_runid  # noqa: SLF001
    # Behind its lock is a counter of C, which takes no two steps at once either way.
    held = (cell.cell_contents for cell in getattr(locked, "__closure__", None) or ())
    counter = next((one for one in held if isinstance(one, count)), None)
    return locked if counter is None else counter.__next__


def reading_code() -> CodeType:
    """Give the code that runs when a mapped attribute is read."""
    from sqlalchemy.orm.attributes import InstrumentedAttribute  # noqa: PLC0415

    return InstrumentedAttribute.__get__.__code__


class JoinedParts(NamedTuple):
    """What a compiled statement of the ORM joins on its own behalf.

    Attributes:
        paths: Mappers and relationships in turns; one path for each relationship.
        lead: Positions in a row of the primary key of the class that was selected; empty if they
            cannot be told.
        collections: Name of each collection and positions of its primary key; empty unless two of
            them do not contain one another.
    """

    paths: tuple[tuple[Any, ...], ...]
    lead: tuple[int, ...]
    collections: tuple[tuple[str, tuple[int, ...]], ...]


def joined_parts(compiled: Any) -> JoinedParts:
    """Read what ``joinedload`` added; ``contains_eager`` marks its paths by another name."""
    state = compiled.compile_state
    noted: dict[Any, Any] = getattr(state, "attributes", None) or {}
    before = getattr(getattr(state, "current_path", None), "path", ())
    adapters = {key[1]: noted[key] for key in noted if key[0] == "eager_row_processor"}
    many = {path: adapters[path] for path in adapters if path[-1].uselist}
    paths = tuple((*before, *path) for path in adapters)
    if not any(_apart(one, other) for one in many for other in many):
        return JoinedParts(paths, (), ())
    places = _key_places(compiled)
    tables = {id(adapter.selectable): path for path, adapter in many.items()}
    collections = tuple(
        (f"{tables[table][-1].parent.class_.__name__}.{tables[table][-1].key}", where)
        for table, where in places.items()
        if table in tables
    )
    joined = {id(adapter.selectable) for adapter in adapters.values()}
    lead = next((where for table, where in places.items() if table not in joined), ())
    if len(collections) < len(many):
        return JoinedParts(paths, (), ())
    return JoinedParts(paths, lead, collections)


def _apart(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return one[: len(other)] != other and other[: len(one)] != one


def _key_places(compiled: Any) -> dict[int, tuple[int, ...]]:
    """Find the primary keys among the columns of a result, by the identity of their table."""
    places: dict[int, tuple[int, ...]] = {}
    for position, column in enumerate(compiled._result_columns):  # noqa: SLF001
        for found in column.objects:
            if getattr(found, "primary_key", False) is True and hasattr(found, "table"):
                table = id(found.table)
                places[table] = (*places.get(table, ()), position)
                break
    return places


def default_fetch() -> Any:
    """Give the way of fetching rows that SQLAlchemy uses unless it has a reason not to."""
    from sqlalchemy.engine import cursor  # noqa: PLC0415

    return cursor._DEFAULT_FETCH  # noqa: SLF001


def is_autocommit(conn: Any) -> bool:
    """Tell whether each statement of a connection is a transaction of its own."""
    found: bool = conn._is_autocommit_isolation()  # noqa: SLF001
    return found


def capacity(pool: Any) -> int | None:
    """Give how many connections a pool may have; `None` for a pool without a limit."""
    overflow = getattr(pool, "_max_overflow", -1)
    return None if overflow < 0 else pool.size() + overflow


def state_of(instance: Any) -> Any:
    """Give the ORM's bookkeeping of a mapped object."""
    from sqlalchemy.orm.attributes import instance_state  # noqa: PLC0415

    return instance_state(instance)


def orm_facts(statement: Any, load: Any) -> tuple[str, str | None, bool]:
    """Tell what the ORM was doing with a statement.

    Args:
        statement: ``ExecutionContext.invoked_statement``: of this very execution, where
            ``compiled.compile_state`` may be of an earlier one.
        load: The load options of this execution; `None` for Core.

    Returns:
        `Query.kind`, `Query.attribute` and `Query.collection`.
    """
    propagated = getattr(statement, "_propagate_attrs", None) or {}
    if propagated.get("compile_state_plugin") != "orm":
        return "core", None, False
    options = getattr(statement, "_compile_options", None)
    mapper: Any = propagated.get("plugin_subject")
    entity = mapper.class_.__name__ if hasattr(mapper, "class_") else None
    if load is None or options is None:
        return "query", entity, False
    if getattr(options, "_for_refresh_state", False):
        return _refresh_facts(load, options)
    path = getattr(options, "_current_path", ())
    if len(path) > 1:
        found = _relationship(path)
        if found is not None:
            kind = "lazy" if load._lazy_loaded_from is not None else "eager"  # noqa: SLF001
            return kind, f"{found.parent.class_.__name__}.{found.key}", bool(found.uselist)
    return ("get" if _is_get(statement, mapper) else "query"), entity, False


def _refresh_facts(load: Any, options: Any) -> tuple[str, str | None, bool]:
    state = load._refresh_state  # noqa: SLF001
    mapper = state.mapper
    name = mapper.class_.__name__
    keys = getattr(options, "_only_load_props", None) or ()
    if load._is_user_refresh:  # noqa: SLF001
        return "refresh", name, False
    if not keys or mapper._primary_key_propkeys & set(keys):  # noqa: SLF001
        return "expired", name, False
    # Columns of a subclass are marked so, too: a write must have gone before, see `sealing`.
    written = state.expired_attributes.issuperset(keys)
    made = written and all(is_generated(mapper, key) for key in keys)
    return "expired" if made else "column", f"{name}.{','.join(sorted(keys))}", False


def is_generated(mapper: Any, key: str) -> bool:
    """Tell whether the database makes the value of a column, so that it is read back."""
    prop = mapper.attrs.get(key)
    return any(
        bool(getattr(column, "server_onupdate", None) or getattr(column, "server_default", None))
        or any(
            getattr(getattr(column, name, None), "is_clause_element", False)
            for name in ("onupdate", "default")
        )
        for column in getattr(prop, "columns", ())
    )


def is_of_subclass(mapper: Any, key: str) -> bool:
    """Tell whether a column is none of those that a query for the base class loads."""
    base = mapper.base_mapper
    return base is not mapper and key not in base.attrs and hasattr(mapper.attrs[key], "columns")


def tables_of(cls: Any) -> frozenset[str]:
    """Name the tables that objects of a class and of its subclasses are written to."""
    mapper = getattr(cls, "__mapper__", None)
    family = getattr(mapper, "self_and_descendants", ())
    tables = (table for one in family for table in one.tables)
    return frozenset(str(getattr(table, "fullname", "")) for table in tables)


def is_locking(compiled: Any) -> bool:
    """Tell whether a statement was made with ``with_for_update()``, whatever its dialect does."""
    statement = getattr(compiled, "statement", None)
    return getattr(statement, "_for_update_arg", None) is not None


def relationship_path(path: Any) -> tuple[str, tuple[str, ...]]:
    """Name a path of the ORM: the class it begins at, and its relationships.

    Returns:
        Both empty for a path that begins at an alias: no class of the user's has its attributes.
    """
    parts = path.path
    if not parts or not getattr(parts[0], "is_mapper", False):
        return "", ()
    names = (
        f"{part.parent.class_.__name__}.{part.key}" for part in parts if hasattr(part, "direction")
    )
    return parts[0].class_.__name__, tuple(names)


def asked_for(options: Any, root: str, names: tuple[str, ...]) -> str:
    """Name the loader option that a query has for an attribute already.

    Args:
        options: ``InstanceState.load_options``: those of the query that loaded the object.
        root: The class that the query selects.
        names: The relationships down to the attribute, and the attribute.

    Returns:
        Such as ``immediateload``; empty if there is none, also where one is for all attributes
        (``lazyload("*")``): another one may stand beside that.
    """
    for option in options:
        for element in getattr(option, "context", ()):
            parts: tuple[Any, ...] = getattr(getattr(element, "path", None), "path", ())
            found = tuple(
                f"{part.parent.class_.__name__}.{part.key}"
                for part in parts
                if getattr(part, "is_property", False)
            )
            if parts and found == names and parts[0].class_.__name__ == root:
                return _option(dict(element.strategy or ()))
    return ""


def loader_options(statement: Any) -> tuple[Any, ...]:
    """Give the loader options of a statement; criteria that a listener adds are none."""
    options: tuple[Any, ...] = getattr(statement, "_with_options", ())
    return tuple(option for option in options if hasattr(option, "context"))


def _option(strategy: dict[str, Any]) -> str:
    if strategy.get("deferred"):
        return "defer"
    lazy = str(strategy.get("lazy", ""))
    return {"": "", "select": "lazyload", "raise_on_sql": "raiseload"}.get(lazy, f"{lazy}load")


def _relationship(path: Any) -> Any:
    return next((part for part in reversed(path.path) if hasattr(part, "direction")), None)


def _is_get(statement: Any, mapper: Any) -> bool:
    """Compare with the condition that ``session.get`` uses; copies of it hash alike."""
    criteria: tuple[Any, ...] = getattr(statement, "_where_criteria", ())
    if len(criteria) != 1 or not hasattr(mapper, "_get_clause"):
        return False
    return hash(criteria[0]) == hash(mapper._get_clause[0])  # noqa: SLF001
