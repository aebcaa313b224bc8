"""What the rules about attributes that could not be loaded have in common."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import LazyLoadFailure, Location, Query, RequestRecord
from fastapi_diagnostics.rules.sql import _loaders
from fastapi_diagnostics.rules.sql._chains import place

SERVER_ERROR = 500
"""Below it the request went well: somebody caught the error, perhaps on purpose."""

Groups = list[list[LazyLoadFailure]]
Words = Callable[[LazyLoadFailure], str]


def grouped(failures: Iterable[LazyLoadFailure]) -> Groups:
    """Put equal failures together; what one commit expired is one, whatever a response reads."""
    groups: dict[tuple[object, ...], list[LazyLoadFailure]] = defaultdict(list)
    for failure in failures:
        together = failure.cause == "expired-by-commit" and failure.read_at is None
        name = failure.attribute.partition(".")[0] if together else failure.attribute
        same = (name, failure.cause, failure.read_at, failure.cause_location)
        groups[same].append(failure)
    return list(groups.values())


def finding(
    rule: Rule, record: RequestRecord, failures: list[LazyLoadFailure], refused: Words, title: Words
) -> Finding:
    """Explain equal failures.

    Args:
        rule: Whose finding it is.
        record: The facts.
        failures: At least one.
        refused: Completes "Author.books was read at app.py:3", without the reason.
        title: The line for lists.
    """
    failure = failures[0]
    by_index = {query.index: query for query in record.queries}
    source = by_index.get(failure.parent_query) if failure.parent_query is not None else None
    line = None if source is None else _loaders.line_of(source, by_index)
    index = next((one.exception for one in failures if one.exception is not None), None)
    caught = index is None and record.status is not None and record.status < SERVER_ERROR
    end = " The error was caught on its way." if caught else ""
    return rule.finding(
        f"{_read(record, failures)}{refused(failure)}: {_reason(failure, line)}.{end}",
        severity="info" if caught else None,
        title=title(failure),
        location=failure.read_at or failure.cause_location or line or record.endpoint,
        fix=_fix(failure, source, by_index),
        evidence=_evidence(failure, failures, source, line),
        cause=f"{failure.attribute} {failure.cause}",
        subject=f"exceptions[{index}]" if index is not None else "",
    )


def _evidence(
    failure: LazyLoadFailure,
    failures: list[LazyLoadFailure],
    source: Query | None,
    line: Location | None,
) -> dict[str, Any]:
    evidence: dict[str, Any] = {
        "attribute": failure.attribute,
        "attributes": _attributes(failures),
        "cause": failure.cause,
        "cause_location": failure.cause_location,
        "count": len(failures),
        "phase": failure.phase,
        "response_field": None if failure.read_at else failure.attribute.partition(".")[2],
        "parent_query": None if source is None else {"sql": source.sql, "location": line},
    }
    if failure.closed_at is not None:
        evidence["closed_at"] = failure.closed_at
    if failure.read_at is None:
        evidence["no_user_frame"] = "The attribute was read while the response was serialised."
    return evidence


def _attributes(failures: list[LazyLoadFailure]) -> list[str]:
    return list(dict.fromkeys(failure.attribute for failure in failures))


def _read(record: RequestRecord, failures: list[LazyLoadFailure]) -> str:
    failure = failures[0]
    if failure.read_at is not None:
        return f"{failure.attribute} was read at {place(failure.read_at)}"
    endpoint = f"{record.endpoint.function}()" if record.endpoint else record.route
    return f"The response of {endpoint} read {' and '.join(_attributes(failures)[:3])}"


def _reason(failure: LazyLoadFailure, line: Location | None) -> str:
    cause = place(failure.cause_location)
    if failure.cause == "refreshed-without-relationship":
        return (
            f"refresh() at {cause} reloaded the columns, but does not load a relationship unless "
            "it is named"
        )
    if failure.generated:
        at = "" if failure.cause_location is None else f" at {cause}"
        return f"the database made its value when the object was written{at}, and it was not read"
    if failure.cause == "expired-by-commit":
        if failure.cause_location is None:
            return "the object had expired"
        return f"the end of the transaction at {cause} expired the object"
    if line is not None:
        return f"the query at {place(line)} fetched the object without it"
    return "it was never loaded for this object"


def _fix(failure: LazyLoadFailure, source: Query | None, by_index: dict[int, Query]) -> Fix:
    owner, _, name = failure.attribute.partition(".")
    wait = "await " if failure.is_async else ""
    refresh = f'{wait}session.refresh({owner.lower()}, ["{name}"])'
    if failure.cause == "refreshed-without-relationship":
        return Fix(
            summary=f"Add a second refresh that names the relationship: refresh(…) alone does not "
            f"load {name}. By hand, as the names of the variables are guessed.",
            code=refresh,
            location=failure.cause_location,
        )
    if failure.cause == "expired-by-commit":
        return _after_commit(failure, name, refresh)
    if source is None or _loaders.line_of(source, by_index) is None:
        return Fix(
            summary=f"Load {name} before it is read"
            f"{', while the session is open' if failure.kind == 'detached' else ''}: by hand, as "
            "the names of the variables are guessed.",
            code=refresh,
            location=None if failure.kind == "detached" else failure.read_at,
        )
    return _option(failure, source, by_index)


def _after_commit(failure: LazyLoadFailure, name: str, refresh: str) -> Fix:
    if failure.generated:
        return Fix(
            summary=f"Read {name} back after the write, or have the mapping read such values back "
            'with each write: __mapper_args__ = {"eager_defaults": True}. By hand, as the names '
            "of the variables are guessed.",
            code=refresh,
            location=failure.cause_location,
        )
    if failure.cause_location is None:
        return Fix(
            summary=f"Refresh {name} before it is read: by hand, as the names of the variables are "
            "guessed.",
            code=refresh,
            location=failure.read_at,
        )
    maker = "async_sessionmaker" if failure.is_async else "sessionmaker"
    if failure.collection is None:
        return Fix(
            summary="Create the session with expire_on_commit=False, or refresh the object after "
            "the commit: by hand, as the first goes where the session or its maker is made.",
            code=f"{maker}(engine, expire_on_commit=False)",
            location=failure.cause_location,
        )
    return Fix(
        summary=f"Load {name} after the commit, or load it in the query and create the session "
        "with expire_on_commit=False: by hand, as the names of the variables are guessed.",
        code=refresh,
        location=failure.cause_location,
    )


def _option(failure: LazyLoadFailure, source: Query, by_index: dict[int, Query]) -> Fix:
    """Write the loader option for the query that everything above the object comes from."""
    root, way = _loaders.root_of(source, by_index)
    if failure.root:
        load = msgspec.structs.replace(
            source, kind="column", path=failure.path, root=failure.root, option=failure.option
        )
    else:
        owner = failure.attribute.partition(".")[0]
        plain = source.kind in {"query", "get"} and source.attribute == owner
        load = msgspec.structs.replace(
            source, kind="column", path=source.path, root=source.root or (owner if plain else "")
        )
    steps = _loaders.prefix(load, root, way)
    if failure.collection is None:
        last = f"undefer({failure.attribute})"
        last = _loaders.of_subclass(failure.attribute.partition(".")[0], load, root, steps) or last
    else:
        last = _loaders.loader(failure.attribute, collection=failure.collection, source=root)
    option = ".".join([*steps, last])
    summary = f"Load {failure.attribute} in the query that fetches the object."
    return _loaders.fix(summary, option, load, root)
